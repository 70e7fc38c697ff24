"""Priorities: what a person says, and the two numbers that a scheduler sorts by."""

from __future__ import annotations

import enum
import math
from typing import Any

from pipe_core.kernel.errors import OptionsError


class PriorityTypeError(OptionsError, TypeError):
    """What was given as a priority is neither a `TaskPriority` nor a number."""


class TaskPriority(enum.Enum):
    """How urgent a task is: tasks of a higher band go first. The value is the band.

    Priorities can be compared, sorted and used as keys. Each has a second name as some libraries write it:
    ``TaskPriority.High is TaskPriority.HIGH``.
    """

    LOW = 0
    NORMAL = 1
    HIGH = 2
    URGENT = 3
    Low = LOW
    Normal = NORMAL
    High = HIGH
    Urgent = URGENT

    __hash__ = object.__hash__  # there is one of each; Enum's own hash is a Python function

    def __lt__(self, other: object) -> bool:
        """Whether *other* goes first."""
        return self.value < other.value if isinstance(other, TaskPriority) else NotImplemented

    def __le__(self, other: object) -> bool:
        """Whether *other* goes first, or is the same."""
        return self.value <= other.value if isinstance(other, TaskPriority) else NotImplemented

    def __gt__(self, other: object) -> bool:
        """Whether this one goes first."""
        return self.value > other.value if isinstance(other, TaskPriority) else NotImplemented

    def __ge__(self, other: object) -> bool:
        """Whether this one goes first, or is the same."""
        return self.value >= other.value if isinstance(other, TaskPriority) else NotImplemented


def priority_key(value: Any) -> tuple[int, float]:
    """The band of a priority, and its number inside the band: higher bands go first, then lower numbers.

    A `TaskPriority` chooses the band, with the number 0. A number orders tasks inside the band NORMAL.

    Raises:
        PriorityTypeError: *value* is neither. True and False are no numbers here.
        OptionsError: The number is not finite, or too large for a float.
    """
    if isinstance(value, TaskPriority):
        return value.value, 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PriorityTypeError(
            f"A priority is a TaskPriority or a number, not a {type(value).__name__}. "
            f"Say TaskPriority.HIGH, or a number: lower ones go first inside the band NORMAL.",
            problems={"priority": f"is a {type(value).__name__}"},
        )
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        given = repr(value) if isinstance(value, float) else f"a whole number of {value.bit_length()} bits"
        raise OptionsError(
            f"A priority must be a finite number, not {given}: tasks could not be put in order by it. "
            f"TaskPriority.URGENT goes before all numbers, TaskPriority.LOW behind them.",
            problems={"priority": "is not finite"},
        )
    return TaskPriority.NORMAL.value, number
