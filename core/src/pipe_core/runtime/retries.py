"""Retries: whether a failed attempt is followed by another one, and when."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pipe_core.kernel.errors import OptionsError

Predicate = Callable[[BaseException], bool]


@dataclass(frozen=True, slots=True)
class Retry:
    """Exponential back-off with jitter.

    Attempt *n* is followed by the next one after a random time between ``1 - jitter`` and ``1`` times
    ``min(delay * factor ** (n - 1), max_delay)`` seconds.

    Attributes:
        retries: How many attempts may follow the first one.
        delay: Seconds behind the first attempt.
        factor: By how much the delay grows with each attempt.
        max_delay: The longest delay, in seconds.
        jitter: How much of the delay is left to chance, 0.0 to 1.0: those that fail together shall not return together.
        on: The classes of errors that are tried again, or a predicate; what the predicate raises is a no. Default: any
            `Exception` that does not say ``retryable = False``.
        random: Where chance comes from; a seeded one makes delays repeatable.

    Raises:
        OptionsError: A number is out of its range, or *on* is something else.
    """

    retries: int = 3
    delay: float = 0.1
    factor: float = 2.0
    max_delay: float = 30.0
    jitter: float = 0.5
    on: type[BaseException] | tuple[type[BaseException], ...] | Predicate | None = None
    random: random.Random = field(default_factory=random.Random, repr=False, compare=False)

    def __post_init__(self) -> None:
        retries: Any = self.retries
        if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
            raise OptionsError(f"retries wants a whole number from 0 on, not {self.retries!r}.")
        for name in ("delay", "max_delay"):
            if not _is_number(getattr(self, name), 0):
                raise OptionsError(f"{name} wants seconds from 0 on, not {getattr(self, name)!r}.")
        if not _is_number(self.factor, 1):
            raise OptionsError(f"factor wants a number from 1 on, not {self.factor!r}.")
        if not _is_number(self.jitter, 0, 1):
            raise OptionsError(f"jitter wants a number from 0 to 1, not {self.jitter!r}.")
        if not _chooses_errors(self.on):
            raise OptionsError(
                f"on wants a class of errors, a tuple of them such as (OSError, TimeoutError), or a function that is "
                f"given the error and says whether to try again, not {self.on!r}."
            )

    def after(self, attempt: int, error: BaseException) -> float | None:
        """Seconds until the attempt that follows *attempt* (the first is 1); None when there is none."""
        if attempt > self.retries or not self._is_met(error):
            return None
        try:
            longest = min(self.delay * self.factor ** (attempt - 1), self.max_delay)
        except OverflowError:
            longest = self.max_delay
        return longest * (1 - self.jitter * self.random.random())

    def _is_met(self, error: BaseException) -> bool:
        try:
            return self._matches(error)
        except BaseException as broken:  # the user's code, on a thread that has others to look after
            note = f"There was no other attempt: asking whether to make one raised {type(broken).__name__}."
            BaseException.add_note(error, note)
            return False

    def _matches(self, error: BaseException) -> bool:
        if self.on is None:
            return isinstance(error, Exception) and getattr(error, "retryable", True) is not False
        if isinstance(self.on, type | tuple):
            return isinstance(error, self.on)
        return bool(self.on(error))


def _is_number(value: Any, least: float, most: float = math.inf) -> bool:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and least <= value <= most and value != math.inf


def _chooses_errors(on: Any) -> bool:
    if on is None:
        return True
    if isinstance(on, type | tuple):
        kinds = on if isinstance(on, tuple) else (on,)
        return all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds)
    return callable(on)
