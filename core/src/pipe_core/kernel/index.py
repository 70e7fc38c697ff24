"""The plugin index: what is installed. Reads metadata, imports nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from pipe_core.kernel.errors import PluginBlockedError, PluginConflictError, PluginNotFoundError
from pipe_core.kernel.families import FAMILIES, Family

CORE: Final = "pipe-core"


@dataclass(frozen=True, slots=True)
class PluginEntry:
    """One installed entry point.

    Attributes:
        family: Plural name of its family.
        name: What users type.
        module: The dotted name of the light module that describes it.
        distribution: The installed distribution that brought it.
        version: That distribution's version.
        blocked: Which environment variable keeps it from being loaded, or None.
    """

    family: str
    name: str
    module: str
    distribution: str
    version: str
    blocked: str | None = None
    entry_point: EntryPoint | None = field(default=None, repr=False, compare=False)

    @property
    def qualified(self) -> str:
        """``distribution:name``, which is always unambiguous."""
        return f"{self.distribution}:{self.name}"


class PluginIndex:
    """All entry points of the six groups, as installed now.

    `stevedore` keeps a cache of entry points on disk that can be stale for two minutes after an installation and
    forgets which distribution an entry point came from, so the index reads `importlib.metadata` itself.

    Args:
        environ: Where ``PIPE_DISABLE_PLUGINS``, ``PIPE_ONLY_PLUGINS`` and ``PIPE_NO_PLUGINS`` are looked up.
            Default: the process's environment.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    @cached_property
    def _entries(self) -> Mapping[str, tuple[PluginEntry, ...]]:
        found = entry_points()
        gate = _Gate(self._environ)
        return {
            family.name: tuple(
                sorted((_entry(family, point, gate) for point in found.select(group=family.group)), key=_order)
            )
            for family in FAMILIES.values()
        }

    def entries(self, family: str) -> tuple[PluginEntry, ...]:
        """What is installed of *family*, sorted by name and distribution."""
        return self._entries[family]

    def names(self, family: str) -> list[str]:
        """The names of *family* that can be selected."""
        return sorted({entry.name for entry in self.entries(family) if not entry.blocked})

    def find(self, family: str, name: str) -> PluginEntry:
        """The one entry called *name*, which may be qualified as ``distribution:name``.

        Raises:
            PluginNotFoundError: Nothing installed has that name.
            PluginBlockedError: It is installed, but blocked by an environment variable.
            PluginConflictError: Two distributions offer it.
        """
        distribution, _, plain = name.rpartition(":")
        matching = [entry for entry in self.entries(family) if entry.name == plain]
        if distribution:
            matching = [entry for entry in matching if _normal(entry.distribution) == _normal(distribution)]
        usable = [entry for entry in matching if not entry.blocked]
        if len(usable) == 1:
            return usable[0]
        if usable:
            raise _conflict(FAMILIES[family], plain, usable)
        if matching:
            raise _blocked(FAMILIES[family], plain, matching[0])
        raise _unknown(FAMILIES[family], name, self.names(family))


class _Gate:
    """Which plugins the environment keeps out."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._disabled = _words(environ.get("PIPE_DISABLE_PLUGINS", ""))
        self._only = _words(environ["PIPE_ONLY_PLUGINS"]) if environ.get("PIPE_ONLY_PLUGINS") else None
        self._none = environ.get("PIPE_NO_PLUGINS", "") not in ("", "0")

    def blocks(self, name: str, distribution: str) -> str | None:
        """The variable that blocks the plugin, or None. Only the first of the three can block core's own."""
        ids = {name.lower(), f"{_normal(distribution)}:{name.lower()}"}
        if ids & self._disabled:
            return "PIPE_DISABLE_PLUGINS"
        if _normal(distribution) == CORE:
            return None
        if self._none:
            return "PIPE_NO_PLUGINS"
        if self._only is not None and not ids & self._only:
            return "PIPE_ONLY_PLUGINS"
        return None


def _words(text: str) -> set[str]:
    words = (word.strip().lower() for word in text.split(","))
    return {":".join((_normal(dist), name)) if dist else name for dist, _, name in (w.rpartition(":") for w in words)}


def _normal(distribution: str) -> str:
    return distribution.lower().replace("_", "-").replace(".", "-")


def _entry(family: Family, point: EntryPoint, gate: _Gate) -> PluginEntry:
    distribution = point.dist.name if point.dist else "unknown"
    version = point.dist.version if point.dist else "0"
    blocked = gate.blocks(point.name, distribution)
    return PluginEntry(family.name, point.name, point.value, distribution, version, blocked, point)


def _order(entry: PluginEntry) -> tuple[str, str]:
    return entry.name, _normal(entry.distribution)


def suggestion(word: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` for the nearest of *known*, or nothing."""
    import difflib  # only ever needed for a message

    near = difflib.get_close_matches(word.lower(), sorted(known), n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


def _unknown(family: Family, name: str, installed: list[str]) -> PluginNotFoundError:
    plain = name.rpartition(":")[2]
    known = {**dict.fromkeys(installed, ""), **family.published}
    hint = suggestion(plain, known)
    nearest = hint.split("'")[1] if hint else plain
    package = family.published.get(nearest, "") if nearest not in installed else ""
    hint = "" if nearest == plain else hint
    text = f"No {family.word} named '{name}'. Installed: {', '.join(installed) or 'none'}.{hint}"
    if package:
        text += f" Install it: pip install {package}"
    return PluginNotFoundError(text, family=family.name, name=name, installed=installed)


def _blocked(family: Family, name: str, entry: PluginEntry) -> PluginBlockedError:
    return PluginBlockedError(
        f"The {family.word} '{name}' of {entry.distribution} is installed but blocked by {entry.blocked}. "
        f"Change or unset {entry.blocked} to use it.",
        family=family.name,
        name=name,
    )


def _conflict(family: Family, name: str, entries: list[PluginEntry]) -> PluginConflictError:
    owners = [entry.distribution for entry in entries]
    ways = " or ".join(f"'{entry.qualified}'" for entry in entries)
    return PluginConflictError(
        f"{len(owners)} distributions offer the {family.word} '{name}': {', '.join(owners)}. "
        f"Say which one you mean: {ways}, or uninstall one.",
        family=family.name,
        name=name,
        distributions=owners,
    )
