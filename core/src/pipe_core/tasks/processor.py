"""`Processor`: starts events as soon as their turn comes and they are permitted, on the running event loop."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from time import monotonic
from typing import Any, ClassVar, Final, Self

from pipe_core.kernel.errors import OptionsError, RunningError
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.runtime.loops import cancelled_from_outside
from pipe_core.runtime.permits import CircuitBreaker, StartBudget
from pipe_core.runtime.retries import Retry
from pipe_core.tasks.book import Book, OnFull
from pipe_core.tasks.elsewhere import Elsewhere
from pipe_core.tasks.errors import PermissionRejected
from pipe_core.tasks.event import Event
from pipe_core.tasks.permissions import SOON, Denials, Rejection, failed_check, judged
from pipe_core.tasks.places import Crowd, Places
from pipe_core.tasks.policies import Retention
from pipe_core.tasks.processor_config import check_policy, check_type, checked_config
from pipe_core.tasks.record import EventRecord
from pipe_core.tasks.running import run_once
from pipe_core.tasks.terms import agreed

Invoke = Callable[[Event], Coroutine[Any, Any, Any]]

_AT_ONCE: Final = 100
"""How many events are asked for before the loop has its turn."""
_ROUND: Final = 0.1
"""Seconds after which events that were denied are asked for again though others have not been for the first time."""


class Processor:
    """Takes events by priority, asks whether they may start, and runs them. Subclass it and say which `event_type`.

    One task of the loop decides (`_work`): it starts what may start, and sleeps until something changes. A budget of
    starts in each interval bounds how often events start; none waits for another one to end, but for a free place
    among `concurrency_limit`.

    Args:
        book: The events. Default: a book of its own, which forgets events when they have ended.
        **config: See `ProcessorConfig`.

    Attributes:
        event_type: The events that it takes, subclasses included.
        config: The configuration.

    Raises:
        OptionsError: There is no `event_type`, or the configuration is wrong.
    """

    event_type: ClassVar[type[Event]]

    def __init__(self, *, book: Book | None = None, **config: Any) -> None:
        check_event_type(type(self))
        self.config = checked_config(config)
        self.book = Book(retention=Retention(0)) if book is None else book
        self.book.limit = self.config.max_queue_size
        self.denials = Denials(self.config.max_denials, self.config.max_denial_tracking)
        self.book.listen(self._changed, self.denials.forget)
        self._asks = type(self).request_permission is not Processor.request_permission
        self._budget = StartBudget(self.config.queue_capacity, self.config.capacity_refresh_time)
        self._invoke: Invoke = run_once
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._told = False
        self._round = 0.0
        self._worker: asyncio.Task[None] | None = None
        self._places = Places(self.book, self.config.concurrency_limit, self._changed)

    @classmethod
    async def create(cls, *, book: Book | None = None, **config: Any) -> Self:
        """A processor; see `ProcessorConfig`."""
        return cls(book=book, **config)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "event_type" in cls.__dict__:
            check_event_type(cls)

    # --- what people override ---

    def request_permission(self, **request: Any) -> Any:
        """Whether an event may start now. Override it, as a plain or as an async method.

        Whatever it raises aborts that event, and nothing else.

        Args:
            **request: The event's `request`.

        Returns:
            True; False, to be asked again soon; the seconds after which to ask again (with 0 the event starts); or a
            `Rejection`, which aborts the event.
        """
        return True

    # --- events in ---

    async def enqueue(
        self,
        event: Event,
        priority: Any = None,
        *,
        on_full: OnFull = "wait",
        retries: int | Retry | None = None,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        """Let *event* wait for its turn.

        Args:
            event: It must be pending, and belong to nobody.
            priority: A `TaskPriority`, or a finite number, of which lower ones go first. Default: when it was created.
            on_full: What to do when `max_queue_size` events wait: wait for room, raise, or drop the oldest one.
            retries: See `EventExecutor.append`.
            breaker: See `EventExecutor.append`.

        Raises:
            OptionsError: An option is wrong.
            TypeError: It is no event of the `event_type`, or the priority is no number.
            ValueError: It is here already, or the priority is not finite.
            QueueFullError: There is no room, and the policy is to raise.
        """
        check_type(event, self.event_type)
        check_policy(on_full)
        await self.book.admit(event, priority, on_full, agreed(retries, breaker))

    # --- life ---

    def run_on(self, elsewhere: Elsewhere) -> None:
        """Run events on an executor from now on, and no more of them at once than it can."""
        self._invoke = elsewhere.invoke
        self._places.most = min(self.config.concurrency_limit, elsewhere.slots)

    @property
    def running(self) -> bool:
        """Whether it starts events by itself."""
        return self._worker is not None and not self._worker.done()

    async def start(self) -> None:
        """Start events from now on, in the background, on the running loop. Does nothing when it does already."""
        self._bind()
        if not self.running:
            self._worker = asyncio.get_running_loop().create_task(self._work(), name=type(self).__name__)

    async def stop(self) -> None:
        """Start no more events. What runs goes on, what waits stays, and denials are forgotten."""
        if self.running:
            self._check_loop()
        worker, self._worker = self._worker, None
        if worker is not None and self._loop is asyncio.get_running_loop():
            worker.cancel()
            await asyncio.wait([worker])
        with self.book.lock:
            self.denials.clear()

    async def join(self) -> None:
        """Return when nothing waits and nothing runs. Without a start, or behind a `stop`, that may never be."""
        await self.book.quiet()

    async def settle(self) -> None:
        """Return when nothing runs any more. What is being asked for counts as running."""
        while self._places:
            self._check_loop()
            await self._places.left()

    async def process(self) -> None:
        """Start everything that waits now, without regard to the interval, and return when that has ended.

        Never more than `concurrency_limit` at once. What fails and is to be tried again is started again; what is
        denied stays, and is not waited for.
        """
        self._bind()
        mine, followers = Crowd(), Crowd()
        last, left, now = self.book.last, self.book.waiting(), monotonic()
        try:
            while left > 0:
                if self._places.full:
                    await self._places.free()
                    continue
                record = self.book.next(now)
                if record is None:
                    break
                if record.sequence <= last:  # what has come since may go first, and is not what this waits for
                    left -= 1
                attempt = record.attempt
                task = self._begin(record, always=True)
                if task is None:
                    if left % _AT_ONCE == 0:
                        await asyncio.sleep(0)
                elif record.terms is None or record.terms.retry is None:
                    mine.add(task)
                else:
                    followers.add(asyncio.create_task(self._follow(record, task, attempt)))
            await mine.done()
            await followers.done()
        finally:
            followers.cancel()

    async def _follow(self, record: EventRecord, task: asyncio.Task[Any] | None, attempt: int) -> None:
        """Begin an event again as often as it is to be tried again. Return when it has ended, or is denied.

        Args:
            record: It.
            task: In which it runs, or is asked for.
            attempt: Which attempt that is.
        """
        while True:
            if task is not None:
                await asyncio.wait([task])
                if record.attempt == attempt:
                    return
            attempt = record.attempt
            if not await record.rested():
                return
            while self._places.full:
                await self._places.free()
            task = None
            if not self.book.fetch(record):  # the worker was faster, and may be asking for it
                await record.news(_ROUND)
            elif (task := self._begin(record, always=True)) is None:
                return

    def _bind(self) -> None:
        """Belong to the running loop."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        if self.running or self._places:
            self._check_loop()
        self._loop, self._news, self._worker, self._told = loop, asyncio.Event(), None, False
        self._places.strand()  # what a loop that is closed has left behind

    def _check_loop(self) -> None:
        if self._loop is not None and self._loop is not asyncio.get_running_loop() and not self._loop.is_closed():
            raise RunningError(
                f"{type(self).__name__} runs events on another event loop. Stop it there first, and let what runs end. "
                f"Only appending and joining can be done from any loop."
            )

    # --- the work, on the loop ---

    async def _work(self) -> None:
        news, loop = self._news, asyncio.get_running_loop()
        while True:
            news.clear()
            self._start_some()
            due = self._due()
            timer = None if due is None else loop.call_later(due, news.set)
            try:
                await news.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    def _start_some(self) -> None:
        for _ in range(_AT_ONCE):
            if self._places.full or self._budget.wait(monotonic()) > 0:
                return
            record = self._next()
            if record is None:
                return
            self._begin(record)

    def _next(self) -> EventRecord | None:
        """The event to ask for next. In one round none is asked for twice, or the first ones would be for ever."""
        now = monotonic()
        record = self.book.next(self._round) if now < self._round + _ROUND else None
        if record is None:
            self._round = now
            record = self.book.next(now)
        return record

    def _due(self) -> float | None:
        """Seconds until something may start though nothing changes; None for never."""
        if self._places.full:
            return None
        due = self.book.due()
        return None if due is None else max(due, self._budget.wait(monotonic()))

    def _changed(self) -> None:
        """Something was added, or has moved. From any thread. The worker looks at it once a turn of the loop."""
        if self._told or self._loop is None:
            return
        self._told = True
        try:
            if asyncio._get_running_loop() is self._loop:
                self._loop.call_soon(self._tell)
            else:
                self._loop.call_soon_threadsafe(self._tell)
        except RuntimeError:  # the loop is closed; the next `start` looks anew
            self._told = False

    def _tell(self) -> None:
        self._told = False
        self._news.set()

    def _begin(self, record: EventRecord, *, always: bool = False) -> asyncio.Task[Any] | None:
        """Ask whether an event may start, and start it. The task in which it runs, or is asked for."""
        event = record.event
        if event is None:
            return None  # cleaned up in this moment
        now, loop = monotonic(), self._loop
        assert loop is not None  # `_bind` comes first
        if record.terms is not None and not self.book.let_through(record, now):
            return None
        if self._asks:
            try:
                answer = self.request_permission(**event.request)
                comes_later = inspect.isawaitable(answer)
            except BaseException as error:  # also SystemExit: a check stops nothing but its own event
                self.book.refuse(record, failed_check(error))
                return None
            if comes_later:
                self._budget.take(now)
                return self._places.take(loop, record, self._ask(record, event, answer, now, always))
            if not self._permitted(record, answer):
                return None
        self._budget.take(now)
        return self._places.take(loop, record, self._invoke(event))

    async def _ask(self, record: EventRecord, event: Event, answer: Awaitable[Any], taken: float, always: bool) -> None:
        loop = asyncio.get_running_loop()
        try:
            said = await answer
        except BaseException as error:
            self._budget.give_back(taken)
            if loop.is_closed() or cancelled_from_outside():
                raise
            self.book.refuse(record, failed_check(error))
            return
        if not self._permitted(record, said):
            self._budget.give_back(taken)
        elif always or self.running:
            await self._invoke(event)
        else:  # stopped meanwhile
            self._budget.give_back(taken)
            self.book.put_off(record, 0.0)

    # --- permission ---

    def _permitted(self, record: EventRecord, answer: Any) -> bool:
        try:
            verdict = judged(answer)
        except BaseException as error:  # of numbers with code of their own, too
            self.book.refuse(record, failed_check(error))
            return False
        if isinstance(verdict, Rejection):
            self.book.refuse(record, PermissionRejected(verdict.reason))
            return False
        with self.book.lock:
            if record.status is not TaskStatus.PENDING:
                return False  # somebody has started or ended it meanwhile
            if verdict is True:
                others = self.denials.grant(record, monotonic())
                if others:
                    self.book.sooner(others, SOON)
                return True
            wait = self.denials.deny(record, monotonic()) if verdict is False else verdict
            if not isinstance(wait, PermissionRejected):
                self.book.put_off(record, wait)
                return False
        self.book.refuse(record, wait)
        return False


def check_event_type(kind: type[Processor]) -> None:
    """Raises `OptionsError` unless *kind* says which events it takes."""
    found = getattr(kind, "event_type", None)
    if isinstance(found, type) and issubclass(found, Event):
        return
    what = "does not say what it processes" if found is None else f"has {found!r} as event_type, which is no Event"
    raise OptionsError(f"{kind.__name__} {what}: write `event_type = MyEvent` in it, a subclass of Event.")
