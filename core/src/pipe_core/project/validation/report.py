"""What was found wrong with a project, each with its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pipe_core.project.project import Project

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class ValidationProblem:
    """Something that is wrong, or that somebody should look at.

    Attributes:
        severity: ``error``: a run would fail, or what it gives would be left to chance. ``warning``: look at it.
        text: What is wrong, and what to do.
        place: Where that is said: ``pipe.yaml:12``.
        key: The way to it: ``nodes.extract.input``.
    """

    severity: Severity
    text: str
    place: str
    key: str

    def __str__(self) -> str:
        return f"{self.place}, {self.key}: {self.severity}: {self.text}"

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {"severity": self.severity, "text": self.text, "place": self.place, "key": self.key}


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What was found wrong with a project.

    Attributes:
        problems: All of it, errors first, then in the order in which it was found.
    """

    problems: tuple[ValidationProblem, ...] = ()

    @property
    def errors(self) -> tuple[ValidationProblem, ...]:
        """What would make a run fail."""
        return tuple(one for one in self.problems if one.severity == "error")

    @property
    def warnings(self) -> tuple[ValidationProblem, ...]:
        """What somebody should look at."""
        return tuple(one for one in self.problems if one.severity == "warning")

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return not self.errors

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "ok": self.ok,
            "errors": [one.to_dict() for one in self.errors],
            "warnings": [one.to_dict() for one in self.warnings],
        }

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems)) or "Nothing is wrong."


@dataclass(slots=True)
class Findings:
    """Collects problems of a project. What is found twice, by two pipelines with the same node, is told once."""

    project: Project
    _found: dict[ValidationProblem, None] = field(default_factory=dict)

    def error(self, text: str, *key: str | int) -> None:
        """Something at *key* is wrong."""
        self._add("error", text, key)

    def warning(self, text: str, *key: str | int) -> None:
        """Something at *key* should be looked at."""
        self._add("warning", text, key)

    def _add(self, severity: Severity, text: str, key: tuple[str | int, ...]) -> None:
        place = self.project.place(*key)
        self._found[ValidationProblem(severity, text.removesuffix("."), place, ".".join(map(str, key)))] = None

    def report(self) -> ValidationReport:
        """The report."""
        return ValidationReport(tuple(sorted(self._found, key=lambda one: one.severity != "error")))
