"""Leave to start a task: rate limits and circuit breakers, as pure state with the time given from outside."""

from __future__ import annotations

import math
import threading
from typing import Any, Final, Literal

from pipe_core.kernel.errors import CircuitOpenError, OptionsError

_LOOK: Final = 0.05
"""Seconds until those who wait for a try of another call look again."""

BreakerState = Literal["closed", "open", "half-open"]


class RateLimit:
    """At most so many starts in a time: a token bucket that waits.

    It keeps the theoretical time of the next start (the generic cell rate algorithm of ITU-T I.371), counted in whole
    starts from an anchor, so that no error of rounding adds up.

    Args:
        limit: How many starts.
        per: In how many seconds.
        burst: How many of them may come at once, after a rest. With 1, the default, they are spread evenly, and in no
            time of *per* seconds there are more than *limit*; with more there may be up to ``limit + burst - 1``.

    Raises:
        OptionsError: A number is not positive, or not a number.
    """

    def __init__(self, limit: float, per: float = 1.0, burst: int = 1) -> None:
        for name, value in (("limit", limit), ("per", per), ("burst", burst)):
            if not _is_positive(value):
                raise OptionsError(f"A rate limit wants a positive number as {name}, not {value!r}.")
        if burst != int(burst):
            raise OptionsError(f"A rate limit's burst is a whole number of starts, not {burst!r}.")
        self.limit, self.per, self.burst = limit, per, int(burst)
        self._anchor = -math.inf  # when the bucket was full last
        self._starts = 0  # since then

    @classmethod
    def of(cls, given: float | tuple[float, float] | RateLimit | None) -> RateLimit | None:
        """From a number a second, or ``(number, seconds)``.

        Raises:
            OptionsError: It is neither, or a number is not positive.
        """
        if given is None or isinstance(given, RateLimit):
            return given
        pair: tuple[Any, ...] = given if isinstance(given, tuple) else (given, 1.0)
        if len(pair) != 2 or not all(map(_is_positive, pair)):
            raise OptionsError(
                f"rate_limit wants how many calls may start in a second, such as 10, or a pair such as (100, 60) for a "
                f"hundred in sixty seconds, or a RateLimit, not {given!r}.",
                problems={"rate_limit": "is none of these"},
            )
        return cls(*pair)

    def __repr__(self) -> str:
        return f"RateLimit({self.limit:g}, per={self.per:g}, burst={self.burst})"

    def wait(self, now: float) -> float:
        """Seconds until the next start; 0.0 when it may come now."""
        return max(0.0, self._next() - now)

    def take(self, now: float) -> None:
        """One starts now."""
        if now > self._anchor + self._starts * self.per / self.limit:  # all tokens have come back, and longer ago
            self._anchor, self._starts = now, 1
        else:
            self._starts += 1

    def _next(self) -> float:
        if self._starts < self.burst:
            return self._anchor
        return self._anchor + (self._starts - self.burst + 1) * self.per / self.limit


class StartBudget:
    """A budget of starts in each interval, the first of which begins with the first start.

    Args:
        starts: How many.
        interval: Seconds.
    """

    def __init__(self, starts: int, interval: float) -> None:
        self._starts, self._interval = starts, interval
        self._begun = -math.inf
        self._spent = 0

    def wait(self, now: float) -> float:
        """Seconds until the next start; 0.0 when it may come now."""
        if self._spent < self._starts or now >= self._begun + self._interval:
            return 0.0
        return self._begun + self._interval - now

    def take(self, now: float) -> None:
        """One starts now."""
        if now >= self._begun + self._interval:
            self._begun, self._spent = now, 0
        self._spent += 1

    def give_back(self, taken: float) -> None:
        """What was to start at *taken* does not start. It counts where it was taken, and in no later interval."""
        if taken >= self._begun:
            self._spent -= 1


class CircuitBreaker:
    """Keeps calls away from a resource that fails.

    Closed, it lets all of them through. After so many failures in a row it opens: nothing starts. When it has rested,
    one call may try (half-open): its success closes it, its failure opens it again.

    Safe under threads: several executors may share one, for their calls use the same resource.

    Args:
        name: Of the resource, for messages.
        failures: How many failures in a row open it.
        reset_after: Seconds until one call may try.
        waits: Whether tasks wait while it is open. Otherwise they are refused, with `CircuitOpenError`.

    Raises:
        OptionsError: A number is not positive.
    """

    def __init__(self, name: str, failures: int = 5, reset_after: float = 30.0, *, waits: bool = False) -> None:
        if not _is_positive(failures) or failures != int(failures):
            raise OptionsError(f"The breaker {name!r} wants a whole number of failures from 1 on, not {failures!r}.")
        if not _is_positive(reset_after):
            raise OptionsError(f"The breaker {name!r} wants positive seconds as reset_after, not {reset_after!r}.")
        self.name = name
        self.waits = waits
        self._limit: Final = failures
        self._rest: Final = reset_after
        self._failed = 0
        self._opened: float | None = None
        self._trying = False
        self._lock = threading.Lock()  # nothing else is taken while it is held

    def state(self, now: float) -> BreakerState:
        """What it would say now."""
        with self._lock:
            if self._opened is None:
                return "closed"
            return "half-open" if now >= self._opened + self._rest else "open"

    def wait(self, now: float) -> float:
        """Seconds until a call may try, or somebody should look again while one does; 0.0 when one may now."""
        with self._lock:
            return self._wait(now)

    def _wait(self, now: float) -> float:
        if self._opened is None:
            return 0.0
        if self._trying:
            return min(self._rest, _LOOK)
        return max(0.0, self._opened + self._rest - now)

    def take(self, now: float) -> bool:
        """Leave for a call to start now: then it comes to `tell` or `leave`. False when it may not."""
        with self._lock:
            if self._wait(now) > 0:
                return False
            self._trying = self._opened is not None
            return True

    def refusal(self, now: float) -> CircuitOpenError | None:
        """Why a task that may not start now is refused; None when it waits, or may start by now."""
        with self._lock:
            failed, wait = self._failed, self._wait(now)
        if self.waits or wait <= 0:
            return None
        return CircuitOpenError(
            f"'{self.name}' has failed {failed} times in a row: nothing is asked of it for another {wait:.3g} s. "
            f"Give the breaker waits=True to let tasks wait for it.",
            retry_after=wait,
        )

    def tell(self, ok: bool, now: float) -> None:
        """A call has ended, well or not."""
        with self._lock:
            if ok:
                self._failed, self._opened, self._trying = 0, None, False
                return
            self._failed += 1
            if self._trying or self._failed >= self._limit:
                self._opened, self._trying = now, False

    def leave(self) -> None:
        """A call that had leave has not started, or has ended without a word on the resource: it was cancelled."""
        with self._lock:
            self._trying = False


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
