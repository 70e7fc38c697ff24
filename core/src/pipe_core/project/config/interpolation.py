"""``${NAME}`` and ``${NAME:-default}`` in the texts of project files.

A name stands for what the command line says of it, else for the environment variable, else for what ``variables:``
says. Variables and defaults may use others. ``$${`` is a plain ``${``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipe_core.looks.redaction import is_secret
from pipe_core.project.config.fields import Said
from pipe_core.project.config.problems import nearest
from pipe_core.project.config.secrets import SECRET

MAX_LENGTH: Final = 1 << 16
"""Letters of a text when everything was put in."""
MAX_TOTAL: Final = 1 << 22
"""Letters of all texts that something was put into."""
MAX_DEPTH: Final = 32

_NO_SECRETS: Final = (
    "a secret cannot stand here: only in the path and the options of a data set, and in the options of an executor, "
    "which are never kept with a run"
)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class InterpolationError(ValueError):
    """Nothing can be put in; says why."""


class CircleError(InterpolationError):
    """Variables go in a circle."""


@dataclass(frozen=True, slots=True)
class _Reference:
    """One ``${...}``."""

    name: str
    default: tuple[str | _Reference, ...] | None = None
    secret: bool = False


_Parts = tuple[str | _Reference, ...]


@dataclass
class Interpolation:
    """Puts values in the place of their names.

    Args:
        variables: What ``variables:`` says.
        environ: The environment.
        chosen: Variables that the command line says, which win over the environment.
    """

    variables: Mapping[str, Any]
    environ: Mapping[str, str]
    chosen: frozenset[str] = frozenset()
    _values: dict[str, Any] = field(default_factory=dict)
    _tried: set[str] = field(default_factory=set)
    _total: int = 0

    def text(self, text: str, used: Callable[[str, str], None] | None = None, *, secrets: bool = False) -> Any:
        """What *text* stands for: text, or the variable's own value where *text* is nothing but its name.

        Args:
            text: What the file says.
            used: Is told every name and where its value came from.
            secrets: Whether secrets may be named.

        Raises:
            InterpolationError: It cannot be said.
        """
        if "$" not in text:
            return text
        return self._joined(_parse(text), (), used or _nobody, secrets)

    def circles(self) -> Iterator[tuple[str, str]]:
        """The variables that go in a circle, and how. Those that were used have told it already."""
        for name in self.variables:
            if name not in self._tried:
                try:
                    self._variable(name, (), _nobody, secrets=True)
                except CircleError as error:
                    yield name, str(error)
                except InterpolationError:  # nobody uses it
                    continue

    def _joined(self, parts: _Parts, via: tuple[str, ...], used: Callable[[str, str], None], secrets: bool) -> Any:
        if len(parts) == 1 and isinstance(parts[0], _Reference):
            return self._value(parts[0], via, used, secrets)
        joined = "".join(
            part if isinstance(part, str) else _as_text(self._value(part, via, used, secrets)) for part in parts
        )
        if len(joined) > MAX_LENGTH:
            raise InterpolationError(f"the text would have more than {MAX_LENGTH} letters")
        self._total += len(joined)
        if self._total > MAX_TOTAL:
            raise InterpolationError(f"all variables together would fill more than {MAX_TOTAL >> 20} MiB")
        return joined

    def _value(
        self, reference: _Reference, via: tuple[str, ...], used: Callable[[str, str], None], secrets: bool
    ) -> Any:
        name = reference.name
        if reference.secret:
            return self._secret(name, secrets)
        if name not in self.chosen and self.environ.get(name):
            used(name, "the environment")
            return self._from_environment(name)
        if name in self.variables:
            used(name, "variables")
            return self._variable(name, via, used, secrets)
        if reference.default is not None:
            used(name, "its default")
            value = self._joined(reference.default, via, used, secrets) if reference.default else ""
            return Said(value) if isinstance(value, str) and SECRET not in value else value
        if name in self.environ:
            used(name, "the environment")
            return Said("")
        raise InterpolationError(
            f"there is no variable '{name}'.{nearest(name, self.variables)} Set it in the environment or under "
            f"variables:, or give a default: ${{{name}:-...}}"
        )

    def _from_environment(self, name: str) -> Said:
        value = self.environ[name]
        if is_secret(name):
            raise InterpolationError(f"'{name}' sounds like a secret: write ${{secret:{name}}}, which is never shown")
        if SECRET in value or "\0" in value:
            raise InterpolationError(f"the environment variable {name} holds a '{SECRET}', which only a file may")
        return Said(value)

    def _secret(self, name: str, allowed: bool) -> str:
        if not allowed:
            raise InterpolationError(_NO_SECRETS)
        if name not in self.environ:
            raise InterpolationError(f"there is no secret '{name}': the environment variable of that name is not set")
        return f"{SECRET}{name}}}"

    def _variable(self, name: str, via: tuple[str, ...], used: Callable[[str, str], None], secrets: bool) -> Any:
        if name in via:
            path = " -> ".join((*via[via.index(name) :], name))
            raise CircleError(f"the variables go in a circle: {path}")
        if len(via) >= MAX_DEPTH:
            raise InterpolationError(f"variables stand in variables more than {MAX_DEPTH} deep")
        if name not in self._values:
            self._tried.add(name)
            value = self.variables[name]
            if isinstance(value, str) and "$" in value:
                value = self._joined(_parse(value), (*via, name), used, secrets=True)
            self._values[name] = value
        value = self._values[name]
        if not secrets and isinstance(value, str) and SECRET in value:
            raise InterpolationError(_NO_SECRETS)
        return value


def _nobody(name: str, source: str) -> None:
    return None


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- parsing ---


def _parse(text: str) -> _Parts:
    if len(text) > MAX_LENGTH:
        raise InterpolationError(f"a text with variables in it has at most {MAX_LENGTH} letters")
    parts, end = _parts(text, 0, 0)
    if end != len(text):  # the whole of it is read, unless it is a default's
        raise InterpolationError("a '}' too many")
    return parts


def _parts(text: str, at: int, depth: int) -> tuple[_Parts, int]:
    """The parts of *text* from *at* to its end, or at a depth to the ``}`` that closes a default."""
    if depth > MAX_DEPTH:
        raise InterpolationError(f"'${{' stands in '${{' more than {MAX_DEPTH} deep")
    found: list[str | _Reference] = []
    plain: list[str] = []
    while at < len(text) and not (depth and text[at] == "}"):
        if text.startswith("$${", at):
            plain.append("${")
            at += 3
        elif text.startswith("${", at):
            if plain:
                found.append("".join(plain))
                plain = []
            reference, at = _reference(text, at, depth)
            found.append(reference)
        else:
            plain.append(text[at])
            at += 1
    if plain:
        found.append("".join(plain))
    if any(isinstance(part, str) and SECRET in part for part in found):
        raise InterpolationError(f"'{SECRET}' cannot be plain text")
    return tuple(found), at


def _reference(text: str, start: int, depth: int) -> tuple[_Reference, int]:
    at = start + 2
    secret = text.startswith("secret:", at)
    at += len("secret:") if secret else 0
    name = _NAME.match(text, at)
    if name is None:
        raise InterpolationError(f"'{_excerpt(text, start)}' names no variable: write ${{NAME}} or ${{NAME:-default}}")
    at = name.end()
    default: _Parts | None = None
    if text.startswith(":-", at) and not secret:
        default, at = _parts(text, at + 2, depth + 1)
    if at >= len(text):
        raise InterpolationError(f"'{_excerpt(text, start)}' is never closed: a '}}' is missing")
    if text[at] != "}":
        how = "${secret:NAME}" if secret else "${NAME} or ${NAME:-default}"
        raise InterpolationError(f"'{_excerpt(text, start)}' cannot be read: write {how}")
    return _Reference(name.group(), default, secret), at + 1


def _excerpt(text: str, start: int) -> str:
    return text[start : start + 40]
