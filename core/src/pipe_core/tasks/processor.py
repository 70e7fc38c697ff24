"""`Processor`: starts events as soon as their turn comes and they are permitted, on the running event loop."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipe_core.kernel.errors import IllegalTransitionError, OptionsError, QueueFullError, RunningError
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.runtime.permits import StartBudget
from pipe_core.tasks.book import Book
from pipe_core.tasks.elsewhere import Elsewhere
from pipe_core.tasks.errors import PermissionRejected
from pipe_core.tasks.event import Event
from pipe_core.tasks.execution import Ending
from pipe_core.tasks.permissions import SOON, Denials, Rejection, judged
from pipe_core.tasks.record import EventRecord
from pipe_core.tasks.room import Room

OnFull = Literal["wait", "raise", "drop_oldest"]
Invoke = Callable[[Event], Any]


class ProcessorConfig(BaseModel):
    """What `Processor.create` and ``processor_config`` of an `EventExecutor` take.

    Attributes:
        queue_capacity: How many events may start in each interval, 1 to 10,000.
        capacity_refresh_time: The interval, 0.01 to 3,600 seconds.
        concurrency_limit: How many events run at once.
        max_queue_size: How many events may wait. Those that were there before the processor do not count.
        max_denial_tracking: Of how many events it is counted how often they were denied.
        max_denials: How many denials in a row abort an event; None for any number.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    queue_capacity: int = Field(default=100, ge=1, le=10_000)
    capacity_refresh_time: float = Field(default=1.0, ge=0.01, le=3_600, allow_inf_nan=False)
    concurrency_limit: int = Field(default=100, ge=1)
    max_queue_size: int = Field(default=1_000, ge=1)
    max_denial_tracking: int = Field(default=10_000, ge=1)
    max_denials: int | None = Field(default=None, ge=1)


class Processor:
    """Takes events by priority, asks whether they may start, and runs them. Subclass it and say which `event_type`.

    One task of the loop decides (`_work`): it starts what may start, and sleeps until something changes. A budget of
    starts in each interval bounds how often events start; none waits for another one to end, but for a free place
    among `concurrency_limit`.

    Args:
        book: The events. Default: a book of its own.
        **config: See `ProcessorConfig`.

    Attributes:
        event_type: The events that it takes, subclasses included.
    """

    event_type: ClassVar[type[Event]]

    def __init__(self, *, book: Book | None = None, **config: Any) -> None:
        if not isinstance(getattr(self, "event_type", None), type) or not issubclass(self.event_type, Event):
            raise OptionsError(
                f"{type(self).__name__} does not say what it processes: write `event_type = MyEvent` in it."
            )
        self.config = checked_config(config)
        self.book = Book() if book is None else book
        self.book.budget = StartBudget(self.config.queue_capacity, self.config.capacity_refresh_time)
        self.book.limit = self.config.max_queue_size
        self.book.listen(self._changed)
        self.denials = Denials(self.config.max_denials, self.config.max_denial_tracking)
        self._invoke: Invoke = Event.invoke
        self._most = self.config.concurrency_limit
        self._room = Room(self.book)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: asyncio.Event | None = None
        self._told = False
        self._worker: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._busy = 0  # that are asked for, or run
        self._quiet: list[asyncio.Future[None]] = []

    @classmethod
    async def create(cls, **config: Any) -> Self:
        """A processor; see `ProcessorConfig`."""
        return cls(**config)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        kind = cls.__dict__.get("event_type")
        if kind is not None and not (isinstance(kind, type) and issubclass(kind, Event)):
            raise OptionsError(f"{cls.__name__}.event_type is {kind!r}, which is no subclass of Event.")

    # --- what people override ---

    def request_permission(self, **request: Any) -> Any:
        """Whether an event may start now. Override it, as a plain or as an async method.

        Args:
            **request: The event's `request`.

        Returns:
            True; False, to be asked again soon; the seconds after which to ask again; or a `Rejection`, which aborts
            the event.
        """
        return True

    # --- events in ---

    async def enqueue(self, event: Event, priority: Any = None, *, on_full: OnFull = "wait") -> None:
        """Let *event* wait for its turn.

        Args:
            event: It must be pending, and belong to nobody.
            priority: A `TaskPriority`, or a finite number, of which lower ones go first. Default: when it was created.
            on_full: What to do when `max_queue_size` events wait: wait for room, raise, or drop the oldest one.

        Raises:
            TypeError: It is no event of the `event_type`.
            ValueError: It is here already, or the priority is no finite number.
            QueueFullError: There is no room, and the policy is to raise.
        """
        check_type(event, self.event_type)
        while True:
            try:
                self.book.add(event, priority)
                break
            except QueueFullError:
                if on_full == "raise":
                    raise
                if on_full == "drop_oldest":
                    self._drop_oldest()
                else:
                    await self._room.wait()
        self._changed()

    def _drop_oldest(self) -> None:
        record = self.book.oldest()
        if record is not None:
            error = QueueFullError(
                "It was dropped to make room for a newer event (on_full='drop_oldest').",
                queue_size=self.book.queued,
                max_size=self.config.max_queue_size,
            )
            self._refuse(record, error)

    # --- life ---

    def run_on(self, elsewhere: Elsewhere) -> None:
        """Run events on an executor from now on, and no more of them at once than it can."""
        self._invoke = elsewhere.invoke
        self._most = min(self.config.concurrency_limit, elsewhere.slots)

    async def settle(self) -> None:
        """Return when nothing runs any more."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def running(self) -> bool:
        """Whether it starts events."""
        return self._worker is not None and not self._worker.done()

    async def start(self) -> None:
        """Start events from now on, in the background, on the running loop. Does nothing when it does already."""
        self._bind()
        if not self.running:
            self._worker = asyncio.get_running_loop().create_task(self._work(), name=f"{type(self).__name__}")

    async def stop(self) -> None:
        """Start no more events. What runs goes on, what waits stays, and denials are forgotten."""
        worker, self._worker = self._worker, None
        if worker is not None and not worker.done():
            worker.cancel()
            await asyncio.wait([worker])
        self.denials.clear()

    async def join(self) -> None:
        """Return when nothing waits and nothing runs. Without a start, or behind a `stop`, nothing may ever run."""
        self._bind()
        while self.book.waiting() or self._busy:
            future = asyncio.get_running_loop().create_future()
            self._quiet.append(future)
            await future

    async def process(self) -> None:
        """Start everything that waits now, without regard to the interval, and return when that has ended.

        Never more than `concurrency_limit` at once. What is denied stays, and is not waited for.
        """
        self._bind()
        mine: set[asyncio.Task[Any]] = set()
        left = self.book.waiting()
        while left > 0:
            if self._busy >= self._most:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                continue
            record = self.book.next(within_budget=False)
            if record is None:
                break
            left -= 1
            task = self._begin(record)
            if task is not None:
                mine.add(task)
        if mine:
            await asyncio.wait(mine)

    def _bind(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None and self.running and not self._loop.is_closed():
                raise RunningError(f"{type(self).__name__} runs on another event loop. Stop it there first.")
            self._loop, self._news, self._worker = loop, asyncio.Event(), None

    # --- the work, on the loop ---

    async def _work(self) -> None:
        news = self._news
        assert news is not None  # `_bind` has made it
        while True:
            news.clear()
            while self._busy < self._most:
                record = self.book.next(within_budget=True)
                if record is None:
                    break
                self._begin(record)
            due = self.book.due() if self._busy < self._most else None
            if due is None:
                await news.wait()
            else:
                timer = asyncio.get_running_loop().call_later(due, news.set)
                try:
                    await news.wait()
                finally:
                    timer.cancel()

    def _changed(self) -> None:
        """Something was added, or has moved. From any thread. What follows is done once a turn of the loop."""
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
        assert self._news is not None  # it has a loop
        self._news.set()
        self._room.tell()
        if self._quiet and not (self.book.waiting() or self._busy):
            quiet, self._quiet = self._quiet, []
            for future in quiet:
                if not future.done():
                    future.set_result(None)

    def _begin(self, record: EventRecord) -> asyncio.Task[Any] | None:
        """Ask whether an event may start, and start it. The task in which it runs, or is asked for."""
        event = record.event
        if event is None:
            return None  # cleaned up in this moment
        try:
            answer = self.request_permission(**event.request) if self._asks else True
        except BaseException as error:  # also SystemExit: a check stops nothing but its own event
            self._fail(record, error)
            return None
        if inspect.isawaitable(answer):
            return self._spawn(self._ask(record, event, answer))
        if not self._permitted(record, answer):
            return None
        return self._spawn(self._run(event))

    @property
    def _asks(self) -> bool:
        return type(self).request_permission is not Processor.request_permission

    def _spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        assert self._loop is not None  # `_bind` comes first
        task = self._loop.create_task(coroutine)
        self._busy += 1
        self._tasks.add(task)
        task.add_done_callback(self._left)
        return task

    def _left(self, task: asyncio.Task[Any]) -> None:
        self._busy -= 1
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at: what went wrong is on the event
        self._changed()

    async def _ask(self, record: EventRecord, event: Event, answer: Any) -> None:
        try:
            said = await answer
        except asyncio.CancelledError:
            self.book.put_off(record, 0.0)
            raise
        except BaseException as error:
            self._fail(record, error)
            return
        if self._permitted(record, said):
            await self._run(event)

    async def _run(self, event: Event) -> None:
        result = self._invoke(event)
        if inspect.isawaitable(result):
            await result

    # --- permission ---

    def _permitted(self, record: EventRecord, answer: Any) -> bool:
        try:
            verdict = judged(answer)
        except TypeError as error:
            self._fail(record, error)
            return False
        if verdict is True:
            for other in self.denials.grant(record):
                self.book.put_off(other, SOON)
            return True
        if isinstance(verdict, Rejection):
            self._refuse(record, PermissionRejected(verdict.reason))
            return False
        wait = self.denials.deny(record)
        if isinstance(wait, PermissionRejected):
            self._refuse(record, wait)
        else:
            self.book.put_off(record, wait if verdict is False else verdict)
        return False

    def _fail(self, record: EventRecord, error: BaseException) -> None:
        rejected = PermissionRejected(f"request_permission raised {type(error).__name__}: {error}")
        rejected.__cause__ = error
        self._refuse(record, rejected)

    def _refuse(self, record: EventRecord, error: BaseException) -> None:
        """A pending event never starts."""
        self.denials.forget(record)
        retryable = bool(getattr(error, "retryable", True))
        try:
            record.end(TaskStatus.ABORTED, Ending(error=error, retryable=retryable), reason=str(error))
        except IllegalTransitionError:
            pass  # somebody has started or ended it in this moment


def checked_config(config: dict[str, Any]) -> ProcessorConfig:
    """Raises `OptionsError`, with everything that is wrong."""
    try:
        return ProcessorConfig(**config)
    except ValidationError as error:
        problems = {".".join(map(str, one["loc"])): one["msg"] for one in error.errors(include_url=False)}
        known = ", ".join(ProcessorConfig.model_fields)
        text = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
        raise OptionsError(f"Wrong processor_config: {text}. Its keys: {known}.", problems=problems) from None


def check_type(event: Any, kind: type[Event], *, strict: bool = False) -> None:
    """Raises `TypeError` unless *event* is a *kind*, and with *strict* none of its subclasses."""
    if type(event) is kind or (isinstance(event, kind) and not strict):
        return
    raise TypeError(
        f"Only {kind.__name__} events are taken here{' (strict_event_type)' if strict else ''}, "
        f"not a {type(event).__name__}."
    )
