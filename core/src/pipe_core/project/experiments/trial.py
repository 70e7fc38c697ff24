"""One call of the objective, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Status: TypeAlias = Literal["running", "completed", "failed"]
"""How far a trial is. In a result there are only those that ended."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One call of the objective.

    Attributes:
        number: From 0 on, in the order in which points were asked for.
        point: As the objective got it: a dictionary, or a list.
        value: What it gave; None where it failed.
        status: ``"completed"`` or ``"failed"``.
        duration: Seconds from when it was submitted to its end, the way to a worker and back included.
        error: Why it failed: ``"ValueError: no such model"``.
    """

    number: int
    point: Any
    value: float | None
    status: Status
    duration: float
    error: str | None = None
