"""The book of an event executor: its events, where each of them is, and which goes next. Safe under threads."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, Literal
from uuid import UUID

from pipe_core.kernel.access import get_scheduler
from pipe_core.kernel.errors import CircuitOpenError, IllegalTransitionError, PipeError, QueueFullError
from pipe_core.kernel.priority import priority_key
from pipe_core.runtime.dispatcher import Dispatcher
from pipe_core.runtime.history import History
from pipe_core.runtime.ledger import TRANSITIONS, TaskStatus
from pipe_core.tasks.errors import EventExistsError
from pipe_core.tasks.event import Event
from pipe_core.tasks.execution import OPEN, Ending, is_retryable
from pipe_core.tasks.policies import Retention
from pipe_core.tasks.record import EventRecord
from pipe_core.tasks.terms import Terms, Tries, why_failed
from pipe_core.tasks.waiters import Waiters

PENDING, PROCESSING = TaskStatus.PENDING, TaskStatus.PROCESSING
FAILED, CANCELLED = TaskStatus.FAILED, TaskStatus.CANCELLED

OnFull = Literal["wait", "raise", "drop_oldest"]


def _ignored(*_: Any) -> None:
    """Nobody listens."""


class Book:
    """Owns the records of its events: all their moves are made here.

    A pending event waits in the dispatcher, or is in hand with who called `next`.

    Args:
        retention: Which ended events stay. Default: all, until `clean`.
        history: The transition log. Default: one of 10,000 transitions.

    Attributes:
        lock: Held for everything that is read or changed here.
        events: All events by id, in the order in which they came.
        limit: How many events may wait; None for any number.
        queued: How many wait, those that came while there was no limit left out.
        last: The `sequence` of the event that came last.
    """

    def __init__(self, *, retention: Retention | None = None, history: History | None = None) -> None:
        self.lock = threading.RLock()
        self.events: dict[UUID, Event] = {}
        self.history = History() if history is None else history
        self.limit: int | None = None
        self.queued = 0
        self._dispatcher: Dispatcher[EventRecord] = Dispatcher(get_scheduler("priority"), 1)
        self.ledger = self._dispatcher.ledger
        self.last = 0
        self._retention = retention
        self._kept: deque[tuple[float, EventRecord]] = deque()
        self._tries = Tries()
        self._changed: Callable[[], None] = _ignored
        self._left: Callable[[EventRecord], None] = _ignored
        self._room, self._quiet = Waiters(), Waiters()

    def listen(self, changed: Callable[[], None], left: Callable[[EventRecord], None]) -> None:
        """Who starts events listens.

        Args:
            changed: Called, from any thread, when there may be something to start.
            left: Called with each event that is pending no more, with the lock held.
        """
        self._changed, self._left = changed, left

    # --- in ---

    async def admit(
        self, event: Event, priority: Any, on_full: OnFull, terms: Terms | None = None, instead: Event | None = None
    ) -> None:
        """`add`, as soon as there is room, or whatever else *on_full* says."""
        while True:
            try:
                return self.add(event, priority, terms, instead)
            except QueueFullError:
                if on_full == "raise":
                    raise
                if on_full == "wait":
                    await self._room_made()
                else:
                    self._drop_oldest()

    def add(self, event: Event, priority: Any = None, terms: Terms | None = None, instead: Event | None = None) -> None:
        """*event* waits from now on. When this raises, nothing has changed.

        Args:
            event: Pending, and of nobody else's.
            priority: See `priority_key`. Default: when it was created.
            terms: On which it is tried.
            instead: An event that has ended without a response. Its place is taken: it is forgotten, and *event* has
                its terms, and its priority if it has none.

        Raises:
            QueueFullError: There is no room.
            ValueError: The event is here already, or the priority is no finite number.
            IllegalTransitionError: The event is not pending, or belongs to somebody else; or *instead* is not here, or
                no such event.
        """
        band, number = (1, event.created_at.timestamp()) if priority is None else priority_key(priority)
        record, id = event._record, event.id
        with self.lock:
            left = None if instead is None else self._left_behind(instead)
            if left is not None:
                terms = left.terms
                if priority is None:
                    band, number = left.band, left.number
            if id in self.events:
                raise EventExistsError(f"The event {id} is here already, as {self.events[id].status.value}.")
            limit = self.limit
            if limit is not None and self.queued >= limit:
                raise QueueFullError(
                    f"{self.queued} events wait, and max_queue_size is {limit}. Append again when some have started, "
                    f"or with on_full='wait'.",
                    queue_size=self.queued,
                    max_size=limit,
                )
            record.adopt(self, event)
            now = monotonic()
            record.sequence = self.last = self.last + 1
            record.band, record.number, record.since = band, number, now
            record.exempt = limit is None
            record.terms = terms
            if limit is not None:
                self.queued += 1
            self.events[id] = event
            self.history.add((id, None, PENDING, now, record.attempt, "", -1, type(event).__name__))
            self._dispatcher.add(record, now)
            if left is not None:
                self._forget(left)
                left.owner = left.event = None  # as in `_expire`
        self._changed()

    def _left_behind(self, event: Event) -> EventRecord:
        """The record of an event here that has ended without a response."""
        record = event._record
        if self.events.get(event.id) is not event:
            raise IllegalTransitionError(f"The event {event.id} is not here, or no more: another one has its place.")
        if not record.now.final:
            raise IllegalTransitionError(f"The event {event.id} is {record.now.value}: it has not ended.")
        if record.now is TaskStatus.COMPLETED:
            raise IllegalTransitionError(
                f"The event {event.id} is completed. To do its work anew append event.as_fresh_event()."
            )
        return record

    def _full(self) -> bool:
        return self.limit is not None and self.queued >= self.limit

    async def _room_made(self) -> None:
        """Return when there may be room. Each place that becomes free wakes one of those who wait."""
        with self.lock:
            if not self._full():
                return
            future = self._room.enter()
        try:
            await future
        except BaseException:  # one who gives up leaves the place to the next
            with self.lock:
                self._room.leave(future)
                if not self._full():
                    self._room.wake_one()
            raise

    def _drop_oldest(self) -> None:
        """Refuse the event that has waited longest, of those that count."""
        with self.lock:
            oldest = next((record for record in self.ledger.tasks(PENDING) if not record.exempt), None)
            size, limit = self.queued, self.limit
        if oldest is None or limit is None:
            return
        error = QueueFullError(
            "It was dropped to make room for a newer event (on_full='drop_oldest').", queue_size=size, max_size=limit
        )
        self.refuse(oldest, error)

    # --- the next one ---

    def next(self, now: float) -> EventRecord | None:
        """The event to ask for next, which waits nowhere then; it comes to `put_off`, or moves.

        Args:
            now: Those that were put off until later than that are not to be had.
        """
        with self.lock:
            return self._dispatcher.pick(0, now)

    def put_off(self, record: EventRecord, seconds: float) -> None:
        """An event that is pending, and may be in hand, is to be had again after so many seconds."""
        with self.lock:
            if record.status is PENDING and record.owner is self:
                self._tries.settle(record, False)
                self._dispatcher.withdraw(record)
                self._dispatcher.put_off(record, monotonic() + seconds)
        self._changed()

    def fetch(self, record: EventRecord) -> bool:
        """Take an event, as `next` does. False when it does not wait, or is in hand."""
        with self.lock:
            return self._dispatcher.withdraw(record)

    def let_through(self, record: EventRecord, now: float) -> bool:
        """Whether the breaker of an event in hand lets it begin. If not it is put off, or refused."""
        breaker = None if record.terms is None else record.terms.breaker
        if breaker is None:
            return True
        with self.lock:
            answer = self._tries.wait(record, breaker, now)
        if isinstance(answer, CircuitOpenError):
            self.refuse(record, answer)
        elif answer > 0:
            self.put_off(record, answer)
        return answer == 0

    def sooner(self, records: Iterable[EventRecord], seconds: float) -> None:
        """Those of *records* that wait, and are not in hand, are to be had again after so many seconds."""
        with self.lock:
            until = monotonic() + seconds
            for record in records:
                if self._dispatcher.withdraw(record):
                    self._dispatcher.put_off(record, until)
        self._changed()

    def due(self) -> float | None:
        """Seconds until there is one to be had; None for never, as far as is known."""
        with self.lock:
            return 0.0 if len(self._dispatcher) else self._dispatcher.due(monotonic())

    def waiting(self) -> int:
        """How many events wait."""
        return self.ledger.count(PENDING)

    # --- moves ---

    def move(self, record: EventRecord, to: TaskStatus, reason: str = "") -> None:
        """Give *record* another status. See `Owner`: its lock is held, this book's is taken here.

        Raises:
            IllegalTransitionError: The table of transitions has no such move.
        """
        event, terms, again = record.event, record.terms, None
        if terms is not None and record.status is PROCESSING:  # without the lock: code of the user's runs there
            again = terms.again(record.attempt, to, record.ending.error)
            if again is not None:
                to, reason = TaskStatus.FAILED, again[1]
        if not reason and (to is FAILED or to is CANCELLED):
            reason = why_failed(to, record.ending.error)
        with self.lock:
            before, now = record.status, monotonic()
            if before is None or event is None or to not in TRANSITIONS[before]:
                raise IllegalTransitionError(
                    f"An event cannot go from {'nowhere' if before is None else before.value} to {to.value}."
                )
            if before is PENDING:
                self._leave_queue(record, to)
            elif terms is not None and before is PROCESSING:
                terms.tell(to, record.ending.error, now)
            attempt = record.attempt + (before is TaskStatus.FAILED)
            name = type(event).__name__ if to is PROCESSING else ""
            self.history.add((event.id, before, to, now, attempt, reason, -1, name))
            if again is not None:
                self._pause(record, event.id, now, again[0])
                return
            self.ledger.move(record, to)
            if to is PENDING:
                self.last += 1
                record.sequence, record.since, record.exempt = self.last, now, True
                self._dispatcher.scheduler.push(record)
                self._changed()
            elif to is not PROCESSING:
                self._ended(record, now)

    def _pause(self, record: EventRecord, id: UUID, now: float, seconds: float) -> None:
        """An attempt has failed, and the next one begins after so many seconds. It counts as one that was there."""
        self.history.add(
            (id, TaskStatus.FAILED, PENDING, now, record.attempt + 1, f"again after {seconds:.3g} s", -1, "")
        )
        self._dispatcher.retry(record, now, seconds)
        record.ending, record.since, record.exempt = OPEN, now + seconds, True
        self._changed()

    def _leave_queue(self, record: EventRecord, to: TaskStatus) -> None:
        self._tries.settle(record, to is PROCESSING)
        self._dispatcher.withdraw(record)
        self._left(record)
        if not record.exempt:
            self.queued -= 1
            if self._room:
                self._room.wake_one()

    def _ended(self, record: EventRecord, now: float) -> None:
        record.sequence, record.since = 0, 0.0  # they are of no use any more, and most of what is kept of an event
        if record.status is TaskStatus.COMPLETED:
            record.number, record.terms = 0.0, None
        if self._retention is not None:
            self._kept.append((now, record))
            self._expire(now)
        if self._quiet and not self.open():
            self._quiet.wake_all()

    def refuse(self, record: EventRecord, error: PipeError) -> None:
        """A pending event never starts. Not with the lock held."""
        self._end(record, TaskStatus.ABORTED, error, str(error), is_retryable(error))

    def cancel_waiting(self, reason: str) -> list[EventRecord]:
        """Cancel every event that waits. Those that are cancelled so."""
        with self.lock:
            records: list[EventRecord] = list(self.ledger.tasks(PENDING))
        return [one for one in records if self._end(one, TaskStatus.CANCELLED, asyncio.CancelledError(reason), reason)]

    def _end(
        self, record: EventRecord, to: TaskStatus, error: BaseException, reason: str, retryable: bool = True
    ) -> bool:
        try:
            record.end(to, Ending(error=error, retryable=retryable), reason=reason)
        except IllegalTransitionError:  # somebody has started or ended it in this moment
            return False
        return True

    # --- quiet ---

    def open(self) -> int:
        """How many events have not ended."""
        return self.ledger.count(PENDING) + self.ledger.count(PROCESSING)

    async def quiet(self) -> None:
        """Return when no event waits and none runs. On any loop."""
        while True:
            with self.lock:
                if not self.open():
                    return
                future = self._quiet.enter()
            try:
                await future
            finally:
                with self.lock:
                    self._quiet.leave(future)

    # --- out ---

    def _expire(self, now: float) -> None:
        assert self._retention is not None
        for record in self._retention.expired(self._kept, now):
            if record.status is not None and record.status.final and record._after is not None:
                self._forget(record)
                # As `release`, whose lock must not be taken here. An event that has ended asks its owner nothing.
                record.owner = record.event = None

    def _forget(self, record: EventRecord) -> None:
        assert record.event is not None  # as long as it has an owner
        self.ledger.forget(record)
        record.terms = None
        del self.events[record.event.id]

    def clean(self, statuses: set[TaskStatus], others: Iterable[EventRecord] = ()) -> int:
        """Forget all events with one of those final *statuses*, and *others*, which have ended."""
        with self.lock:
            gone = {record for status in statuses if status.final for record in self.ledger.tasks(status)}
            gone |= {record for record in others if record._after is not None}
            for record in gone:
                self._forget(record)
            if self._kept:
                self._kept = deque(entry for entry in self._kept if entry[1]._after is not None)
        for record in gone:
            record.release()
        return len(gone)

    # --- what is asked ---

    def of(self, status: TaskStatus) -> list[Event]:
        """The events with *status*, in the order in which they came to it."""
        with self.lock:
            self._look()
            return [record.event for record in self.ledger.tasks(status)]

    def counted(self) -> dict[TaskStatus, int]:
        """How many events have each status."""
        with self.lock:
            self._look()
            return {status: self.ledger.count(status) for status in TaskStatus}

    def _look(self) -> None:
        if self._kept:
            self._expire(monotonic())
