"""Figures, their targets, and the sections that they are shown in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with the target that it should reach.

    Attributes:
        name: What was measured.
        value: What came out.
        unit: Of value and target: ``"x"`` for a ratio, ``"ms"``, ``"MB"``.
        target: None where none was set.
        better: Whether the target is a least or a most.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    better: Literal["more", "less"] = "more"

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.target is None:
            return None
        return self.value >= self.target if self.better == "more" else self.value <= self.target

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The figure as a row: name, value, target, reached."""
        sign = "≥" if self.better == "more" else "≤"
        target = "none" if self.target is None else f"{sign} {_number(self.target)} {self.unit}"
        reached = {None: "", True: "yes", False: "**no**"}[self.reached]
        return self.name, f"{_number(self.value)} {self.unit}", target, reached


@dataclass(slots=True)
class Section:
    """What one benchmark found.

    Attributes:
        title: Its heading.
        text: What was measured, in a sentence or two.
        columns: The heads of its table.
        rows: The cells of its table.
        figures: What has a target.
        raw: Everything measured, for the JSON file.
        evidence: Text to look into, such as a list of slow imports.
    """

    title: str
    text: str
    columns: Sequence[str] = ()
    rows: list[Sequence[str]] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    evidence: str = ""

    def missing(self, name: str, why: str = "not installed") -> None:
        """A row for what could not take part."""
        self.rows.append((name, why, *[""] * (len(self.columns) - 2)))


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
