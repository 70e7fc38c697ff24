"""What came of an event."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pipe_core.runtime.ledger import TaskStatus


class UnsetType(enum.Enum):
    """The type of `Unset`. An enumeration, so that there is one member however it is copied or pickled."""

    UNSET = "Unset"

    def __repr__(self) -> str:
        return "Unset"

    def __bool__(self) -> bool:
        return False


Unset: Final = UnsetType.UNSET
"""There is no value yet, or there will be none. Other than None, which is a value."""


class Ending(NamedTuple):
    """How a run ended, or that it ended without having begun."""

    duration: float | UnsetType = 0.0
    response: Any = Unset
    error: BaseException | UnsetType | None = None
    retryable: bool | UnsetType = False
    streamed: bool = False
    """Whether the response is a list of chunks."""


OPEN: Final = Ending(Unset, Unset, Unset, Unset)
"""Of an event that has not ended."""


@dataclass(frozen=True, slots=True)
class Execution:
    """An event's status and what came of it, as it was when asked for.

    Attributes:
        status: Where the event is.
        duration: Seconds that it ran, the last time, 0 where it never began. `Unset` until it has ended.
        response: What `_invoke` gave, None included; the list of chunks for an event that streams, also where the
            stream broke off. `Unset` where there is none.
        error: What it raised, or why it was cancelled or refused. None where there is none, `Unset` until it has ended.
        retryable: Whether another try makes sense. `Unset` until it has ended.
        attempt: Which attempt that is, from 1 on: more than 1 where it was tried again.
    """

    status: TaskStatus
    duration: float | UnsetType = Unset
    response: Any = Unset
    error: BaseException | UnsetType | None = Unset
    retryable: bool | UnsetType = Unset
    attempt: int = 1


def checked_timeout(timeout: Any) -> Any:
    """*timeout* again, if it is None or a finite number of seconds greater than 0.

    Raises:
        ValueError: It is neither. Something that is no number at all is left for pydantic to refuse.
    """
    wrong = isinstance(timeout, bool) or (
        isinstance(timeout, int | float) and not (timeout > 0 and math.isfinite(timeout))
    )
    if wrong:
        raise ValueError(f"timeout is {timeout!r}, but must be a finite number of seconds greater than 0, or None")
    return timeout


def is_retryable(error: BaseException) -> bool:
    """What *error* says of itself by an attribute `retryable`, else True. A group is if all its members are."""
    errors = [error]
    while errors:  # groups may be deeper than the stack
        one = errors.pop()
        if isinstance(one, BaseExceptionGroup):
            errors.extend(one.exceptions)
        elif _says_no(one):
            return False
    return True


def _says_no(error: BaseException) -> bool:
    try:
        return getattr(error, "retryable", True) is False
    except Exception:  # a property of the user's
        return False
