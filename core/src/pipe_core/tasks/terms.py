"""On what terms an event is tried: again when it has failed, and not while what it uses fails."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from pipe_core.kernel.errors import CircuitOpenError, OptionsError, TaskTimeoutError
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.runtime.permits import CircuitBreaker
from pipe_core.runtime.retries import Retry
from pipe_core.tasks.reasons import reason_of


class Terms(NamedTuple):
    """What was said of an event beside its priority. Most events have none.

    Attributes:
        retry: Whether a failed attempt is followed by another one.
        breaker: Keeps the event back while what it uses fails, and hears how each attempt ends.
    """

    retry: Retry | None
    breaker: CircuitBreaker | None

    def again(self, attempt: int, to: TaskStatus, error: Any) -> tuple[float, str] | None:
        """Seconds until the attempt that follows *attempt*, which ended so, and why it failed; None for no other one.

        Code of the user's runs here: a predicate, and the text of an error.
        """
        if self.retry is None or not _failed(to, error):
            return None
        after = self.retry.after(attempt, error)
        return None if after is None else (after, reason_of(error))

    def tell(self, to: TaskStatus, error: Any, now: float) -> None:
        """An attempt has ended so."""
        if self.breaker is None:
            return
        if to is TaskStatus.COMPLETED or _failed(to, error):
            self.breaker.tell(to is TaskStatus.COMPLETED, now)
        else:
            self.breaker.leave()


def agreed(retries: int | Retry | None, breaker: CircuitBreaker | None) -> Terms | None:
    """What a person said, checked; None when nothing was said.

    Raises:
        OptionsError: It is no number of retries, or no breaker.
    """
    if retries is None and breaker is None:
        return None
    if not (breaker is None or isinstance(breaker, CircuitBreaker)):
        raise OptionsError(f"breaker wants a CircuitBreaker, not {breaker!r}.", problems={"breaker": "is none"})
    if isinstance(retries, int):
        retries = _retry(retries)
    elif not (retries is None or isinstance(retries, Retry)):
        raise OptionsError(
            f"retries wants a whole number or a Retry, not {retries!r}.", problems={"retries": "is none"}
        )
    return Terms(retries, breaker)


@lru_cache(64, typed=True)  # each has a source of chance of its own, which is larger than an event
def _retry(retries: int) -> Retry:
    return Retry(retries)


def _failed(to: TaskStatus, error: Any) -> bool:
    """Whether an attempt counts as failed: also one that ran out of its time, though that cancels the event."""
    return to is TaskStatus.FAILED or (to is TaskStatus.CANCELLED and isinstance(error, TaskTimeoutError))


def why_failed(to: TaskStatus, error: Any) -> str:
    """What the log says of why an event failed; nothing where it ended in another way."""
    return reason_of(error) if isinstance(error, BaseException) and _failed(to, error) else ""


class Tries:
    """Which events their breakers have let through, and have not begun. Not safe under threads: its owner holds a lock.

    Of a breaker that is half open one event may try: when it does not begin after all, another one may.
    """

    def __init__(self) -> None:
        self._open: dict[object, CircuitBreaker] = {}

    def wait(self, record: object, breaker: CircuitBreaker, now: float) -> float | CircuitOpenError:
        """Seconds until the event may begin, 0.0 for now; or why it is refused."""
        while not breaker.take(now):
            wait = breaker.wait(now)
            if wait > 0:  # otherwise it has changed its mind meanwhile: others use it too
                return breaker.refusal(now) or wait
        self._open[record] = breaker
        return 0.0

    def settle(self, record: object, begun: bool) -> None:
        """The event begins now, or does not for now."""
        if self._open and (breaker := self._open.pop(record, None)) is not None and not begun:
            breaker.leave()
