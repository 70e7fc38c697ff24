"""The book of an event executor: its events, where each of them is, and which goes next. Safe under threads."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any
from uuid import UUID

from pipe_core.kernel.access import get_scheduler
from pipe_core.kernel.errors import IllegalTransitionError, QueueFullError
from pipe_core.kernel.priority import priority_key
from pipe_core.runtime.dispatcher import Dispatcher
from pipe_core.runtime.history import History
from pipe_core.runtime.ledger import TRANSITIONS, TaskStatus, Tracked
from pipe_core.runtime.permits import StartBudget
from pipe_core.tasks.errors import EventExistsError
from pipe_core.tasks.event import Event
from pipe_core.tasks.policies import Retention
from pipe_core.tasks.record import EventRecord

PENDING, PROCESSING = TaskStatus.PENDING, TaskStatus.PROCESSING


class Book:
    """Owns the records of its events: all their moves are made here.

    Args:
        retention: Which ended events stay. Default: all, until `clean`.
        history: The transition log. Default: one of 10,000 transitions.
    """

    def __init__(self, *, retention: Retention | None = None, history: History | None = None) -> None:
        self.lock = threading.RLock()
        self.events: dict[UUID, Event] = {}
        self.history = History() if history is None else history
        self.queued = 0  # pending, those that the bound does not count left out
        self.limit: int | None = None
        self._dispatcher: Dispatcher[EventRecord] = Dispatcher(get_scheduler("priority"), 1)
        self.ledger = self._dispatcher.ledger
        self.budget: StartBudget | None = None
        self._numbers = itertools.count(1)
        self._retention = retention
        self._kept: deque[tuple[float, EventRecord]] = deque()
        self._changed: Callable[[], None] | None = None

    def listen(self, changed: Callable[[], None]) -> None:
        """Call *changed*, from any thread, when there may be something to start, or when something has ended."""
        self._changed = changed

    # --- in ---

    def full(self) -> bool:
        """Whether there is no room for another event."""
        return self.limit is not None and self.queued >= self.limit

    def add(self, event: Event, priority: Any = None) -> None:
        """*event* waits from now on.

        Raises:
            QueueFullError: There is no room. Nothing has changed.
            ValueError: The event is here already. Nothing has changed.
        """
        band, number = (1, event.created_at.timestamp()) if priority is None else priority_key(priority)
        with self.lock:
            if event.id in self.events:
                raise EventExistsError(f"The event {event.id} is here already, as {event.status.value}.")
            if self.full():
                raise QueueFullError(
                    f"{self.queued} events wait, and max_queue_size is {self.limit}. Append again when some have "
                    f"started, or with on_full='wait'.",
                    queue_size=self.queued,
                    max_size=self.limit or 0,
                )
            record, now = event._record, monotonic()
            record.adopt(self, event)
            record.sequence = next(self._numbers)
            record.band, record.number, record.since = band, number, now
            record.exempt = self.limit is None
            self.queued += not record.exempt
            self.events[event.id] = event
            self.history.add(event.id, None, PENDING, now, 1, "", name=type(event).__name__)
            self._dispatcher.add(record, now)

    # --- the next one ---

    def next(self, *, within_budget: bool) -> EventRecord | None:
        """The event to ask for next, which waits nowhere then; it comes to `put_off`, or moves."""
        with self.lock:
            now = monotonic()
            if within_budget and self.budget is not None and self.budget.wait(now) > 0:
                return None
            return self._dispatcher.pick(0, now)

    def put_off(self, record: EventRecord, seconds: float) -> None:
        """An event that is pending, and may be with the caller, is asked for again after so many seconds."""
        with self.lock:
            if record.status is PENDING:
                self._dispatcher.withdraw(record)
                self._dispatcher.put_off(record, monotonic() + seconds)

    def due(self) -> float | None:
        """Seconds until `next` may give one though nothing has been added; None for never."""
        with self.lock:
            now = monotonic()
            due = self._dispatcher.due(now)
            if self.budget is not None and len(self._dispatcher) and (wait := self.budget.wait(now)) > 0:
                return wait if due is None else min(due, wait)
            return due

    def oldest(self) -> EventRecord | None:
        """The event that has waited longest."""
        with self.lock:
            found: EventRecord | None = next(self.ledger.tasks(PENDING), None)
            return found

    def waiting(self) -> int:
        """How many events wait."""
        return self.ledger.count(PENDING)

    # --- moves ---

    def move(self, record: Tracked, to: TaskStatus, reason: str = "") -> None:
        """Give *record* another status. See `Owner`: its lock is held, this book's is taken here.

        Raises:
            IllegalTransitionError: The table of transitions has no such move.
        """
        assert isinstance(record, EventRecord)  # only those are adopted
        event = record.event
        with self.lock:
            before, now = record.status, monotonic()
            if before is None or to not in TRANSITIONS[before]:
                raise IllegalTransitionError(
                    f"An event cannot go from {'nowhere' if before is None else before.value} to {to.value}."
                )
            if before is PENDING:
                self._dispatcher.withdraw(record)
                self.queued -= not record.exempt
                if to is PROCESSING and self.budget is not None:
                    self.budget.take(now)
            assert event is not None  # as long as it has an owner
            attempt = record.attempt + (before is TaskStatus.FAILED)
            name = type(event).__name__ if to is PROCESSING else ""
            self.history.add(event.id, before, to, now, attempt, reason, name=name)
            self.ledger.move(record, to)
            if to.final and self._retention is not None:
                self._retain(record, now)
        if self._changed is not None:
            self._changed()

    def _retain(self, record: EventRecord, now: float) -> None:
        assert self._retention is not None
        self._kept.append((now, record))
        for old in self._retention.expired(self._kept, now):
            self._forget(old)

    def _forget(self, record: EventRecord) -> None:
        event = record.event
        self.ledger.forget(record)
        if event is not None:
            self.events.pop(event.id, None)

    def clean(self, statuses: set[TaskStatus]) -> list[EventRecord]:
        """Forget all events with one of those final *statuses*. The caller releases their records."""
        with self.lock:
            gone = [record for status in statuses if status.final for record in self.ledger.tasks(status)]
            for record in gone:
                self._forget(record)
            if self._kept:
                self._kept = deque(entry for entry in self._kept if entry[1]._after is not None)
        return gone

    def drop(self, records: list[EventRecord]) -> list[EventRecord]:
        """Forget those of *records* that are still known. The caller releases them."""
        with self.lock:
            gone = [record for record in records if record._after is not None]
            for record in gone:
                self._forget(record)
        return gone

    def of(self, status: TaskStatus) -> list[Event]:
        """The events with *status*, in the order in which they came to it."""
        with self.lock:
            return [record.event for record in self.ledger.tasks(status) if record.event is not None]

    def counted(self) -> dict[TaskStatus, int]:
        """How many events have each status."""
        with self.lock:
            return {status: self.ledger.count(status) for status in TaskStatus}
