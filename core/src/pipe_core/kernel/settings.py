"""Settings: what holds where a call says nothing.

Precedence: the call's own argument, ``with using(...)``, the environment (``PIPE_CHUNK_SIZE``,
``PIPE_EXECUTOR__NUM_CPUS``), the nearest ``pipe.toml`` or ``[tool.pipe]`` of ``pyproject.toml``, the default.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from pipe_core.kernel.errors import SettingsError
from pipe_core.kernel.families import FAMILIES
from pipe_core.kernel.index import suggestion

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SELECTED: Final = tuple(FAMILIES[name].word for name in ("executors", "schedulers", "codecs"))
"""Settings that select a plugin and may carry its options."""

KINDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(SELECTED, "selection"),
    "observers": "names",
    "chunk_size": "count",
    "max_inflight": "count",
    "max_bytes_inflight": "size",
    "concurrency": "count",
    "hook_timeout": "seconds",
    "checkpoint_seconds": "seconds",
    "compression": "text",
    "on_error": "text",
    "max_errors": "number",
    "max_error_rate": "share",
    "max_poison": "number",
    "max_runtime": "seconds",
    "error_payload": "text",
}
"""Every setting and the kind of its value. ``Pipe`` and the other front doors have parameters of the same names."""

PROJECT: Final = frozenset({"project", "variables", "catalog", "nodes", "pipelines", "include", "environments"})
"""What a project's file may say: a ``pipe.toml`` with one of these is one, and holds no settings."""

_RESERVED: Final = frozenset({"disable_plugins", "only_plugins", "no_plugins"})


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and where it came from."""

    value: Any
    source: str


_using: contextvars.ContextVar[tuple[Mapping[str, Any], ...]] = contextvars.ContextVar("pipe_using", default=())


class using(contextlib.ContextDecorator):  # noqa: N801  # reads as a word of the language: with using(executor="ray")
    """Settings for a block, a function, or everything that either calls.

    ``with using(executor="threads", chunk_size=500): ...``. Blocks nest; threads and tasks started inside with a copy
    of the context see them too. ``kernel=`` chooses the kernel whose plugins are used.

    Raises:
        SettingsError: There is no setting of that name, or its value is of a wrong type.
    """

    def __init__(self, **settings: Any) -> None:
        kernel = settings.pop("kernel", None)
        self._layer = checked("using(...)", **settings)
        if kernel is not None:
            self._layer["kernel"] = kernel
        self._tokens: list[contextvars.Token[tuple[Mapping[str, Any], ...]]] = []

    def __enter__(self) -> using:
        """Make the settings hold."""
        self._tokens.append(_using.set((self._layer, *_using.get())))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Go back to what held before."""
        _using.reset(self._tokens.pop())


def kernel_in_use() -> Any | None:
    """The kernel of the innermost ``using(kernel=...)``, or None."""
    return next((layer["kernel"] for layer in _using.get() if "kernel" in layer), None)


def using_layers() -> tuple[Mapping[str, Any], ...]:
    """What the blocks of ``using`` around the caller say. The same object as long as they are the same blocks."""
    return _using.get()


class Settings:
    """The settings below the call's own arguments.

    Args:
        environ: The environment; default the process's.
        folder: Where to look, upwards, for a settings file; default the working folder.
    """

    def __init__(self, environ: Mapping[str, str] | None = None, folder: Path | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._folder = folder

    def layers(self) -> list[tuple[str, Mapping[str, Any]]]:
        """``(source, values)``, the strongest first."""
        inner = [("using(...)", layer) for layer in _using.get()]
        return [*inner, ("the environment", self._from_environment()), self._from_file()]

    def get(self, name: str, default: Any = None) -> Setting:
        """The value of *name* and where it came from."""
        for source, values in self.layers():
            if name in values:
                return Setting(values[name], _exact(source, name))
        return Setting(default, "default")

    def selections(self, name: str) -> list[Setting]:
        """Every value of a setting that selects a plugin, the strongest first: options of several levels add up."""
        return [Setting(values[name], _exact(source, name)) for source, values in self.layers() if name in values]

    def place(self, source: str, option: str) -> str:
        """Where an *option* of a selection from *source* was said: it may have a variable of its own."""
        variable = f"{source}__{option.upper()}"
        return variable if variable in self._environ else source

    def _from_environment(self) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        options: dict[str, dict[str, str]] = {}
        for variable, text in self._environ.items():
            name, _, option = variable.removeprefix("PIPE_").lower().partition("__")
            if not variable.startswith("PIPE_") or name not in KINDS or name in _RESERVED:
                continue
            if option and name not in SELECTED:
                raise SettingsError(
                    f"The setting '{name}' has no options (from {variable}). Set PIPE_{name.upper()} instead."
                )
            if option:
                options.setdefault(name, {})[option] = text
            elif text:
                found[name] = text
        values = checked("the environment", **found)
        for name, given in options.items():
            values[name] = {"name": values[name], **given} if name in values else given
        return values

    def _from_file(self) -> tuple[str, Mapping[str, Any]]:
        path = _nearest(self._folder or Path.cwd())
        if path is None:
            return "no settings file", {}
        return str(path), checked(str(path), **_read(path))


def _exact(source: str, name: str) -> str:
    return f"PIPE_{name.upper()}" if source == "the environment" else source


def _nearest(folder: Path) -> Path | None:
    for place in (folder, *folder.parents):
        if (own := place / "pipe.toml").is_file() and not PROJECT & _toml(own).keys():
            return own
        project = place / "pyproject.toml"
        if project.is_file() and "pipe" in _tools(project):
            return project
    return None


def _read(path: Path) -> dict[str, Any]:
    values = _toml(path) if path.name == "pipe.toml" else _tools(path)["pipe"]
    if not isinstance(values, dict):
        raise SettingsError(f"[tool.pipe] of {path} is no table but {values!r}. Write settings under [tool.pipe].")
    return values


def _tools(path: Path) -> dict[str, Any]:
    tools = _toml(path).get("tool")
    return tools if isinstance(tools, dict) else {}


def _toml(path: Path) -> Mapping[str, Any]:
    at = path.stat()
    return _parsed(path, at.st_mtime_ns, at.st_size)


@lru_cache(maxsize=16)
def _parsed(path: Path, changed: int, size: int) -> Mapping[str, Any]:
    """The document in *path* as it was when it had *changed* last: every setting of a run asks for it again."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}. Correct it, or run from another folder.") from error


def checked(source: str, /, **values: Any) -> dict[str, Any]:
    """*values* as the settings of their names want them.

    Raises:
        SettingsError: One is of a wrong type or out of range, or there is no such setting; names *source*.
    """
    for name, value in values.items():
        if name not in KINDS:
            known = ", ".join(sorted(KINDS))
            raise SettingsError(
                f"There is no setting '{name}' (from {source}).{suggestion(name, KINDS)} Known: {known}"
            )
        values[name] = check(name, value, _exact(source, name))
    return values


def check(name: str, value: Any, source: str) -> Any:
    """*value* as the setting *name* wants it.

    Raises:
        SettingsError: It is of a wrong type or out of range; names *source*.
    """
    if value is None:
        return None
    kind = KINDS[name]
    if kind == "selection":
        return value
    if kind == "names" and isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]["msg"]
        raise SettingsError(
            f"The setting '{name}' cannot be {value!r} (from {source}): {first}.", problems={name: first}
        ) from None


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    from typing import Annotated

    from pydantic import ByteSize, Field, TypeAdapter

    kinds: dict[str, Any] = {
        "count": Annotated[int, Field(ge=1)],
        "number": Annotated[int, Field(ge=0)],
        "seconds": Annotated[float, Field(gt=0, allow_inf_nan=True)],
        "share": Annotated[float, Field(ge=0, le=1)],
        "size": Annotated[ByteSize, Field(ge=1)],
        "text": str,
        "names": list[Any],
    }
    return TypeAdapter(kinds[kind])
