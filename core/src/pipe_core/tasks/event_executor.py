"""`EventExecutor`: events with a priority and a status, run in the background as they are permitted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, ClassVar
from uuid import UUID

from pipe_core.kernel.errors import OptionsError, TaskTimeoutError
from pipe_core.runtime.history import Transition
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.runtime.permits import CircuitBreaker
from pipe_core.runtime.retries import Retry
from pipe_core.runtime.select import check_executor, choose_executor
from pipe_core.tasks.audit import Log, remembered
from pipe_core.tasks.book import Book, OnFull
from pipe_core.tasks.elsewhere import Elsewhere
from pipe_core.tasks.event import Event
from pipe_core.tasks.policies import Retention
from pipe_core.tasks.processor import Processor, check_event_type
from pipe_core.tasks.processor_config import check_policy, check_type, checked_config
from pipe_core.tasks.states import States
from pipe_core.tasks.status import as_status
from pipe_core.tasks.terms import agreed
from pipe_core.tasks.views import Views

_CLEANED = (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.ABORTED)


class EventExecutor(Views):
    """Keeps events, knows the status of each, and runs them. Subclass it and say which `processor_type`.

    Events may be appended from any thread and any event loop. Their status is asked for in O(1).

    Args:
        processor_config: How events are started: see `ProcessorConfig` for the keys.
        strict_event_type: Whether subclasses of the processor's event type are refused.
        name: Of this executor, for `inspect_state` and snapshots. Default: ``"executor_states"``.
        executor: Where events run: anything that `get_executor` takes. Default: on the event loop of `start`. One that
            is made here for a name is shut down by `shutdown`.
        on_full: What `append` does when `max_queue_size` events wait: ``"wait"`` for room, ``"raise"``, or
            ``"drop_oldest"``, which is aborted then.
        retention: Which ended events stay. Default: all of them, until `cleanup_events`.
        history: How many transitions `history` remembers; or where all of them are kept besides: a path that ends in
            ``.jsonl``, ``.sqlite`` or ``.db``, or an object with ``write(transitions)`` and ``close()``.

    Attributes:
        processor_type: The `Processor` subclass that starts the events.
        processor: It, from the first `start` on; None before.
        states: All events, and which has which status.

    Raises:
        OptionsError: There is no `processor_type`, or the configuration is wrong.
        PluginError: The executor is not installed; says how it is.
    """

    processor_type: ClassVar[type[Processor]]

    def __init__(
        self,
        processor_config: dict[str, Any] | None = None,
        strict_event_type: bool = False,
        name: str | None = None,
        executor: Any = None,
        on_full: OnFull = "wait",
        retention: Retention | None = None,
        history: Log = 10_000,
    ) -> None:
        check_processor_type(type(self))
        check_event_type(self.processor_type)
        check_policy(on_full)
        if not (retention is None or isinstance(retention, Retention)):
            raise OptionsError(f"retention is a Retention, such as Retention(count=1_000), not {retention!r}.")
        checked_config({} if processor_config is None else processor_config)
        self.processor_config = dict(processor_config or {})
        if executor is not None:
            check_executor(executor)
        self.name = "executor_states" if name is None else name
        self.on_full: OnFull = on_full
        self.processor: Processor | None = None
        self._strict = strict_event_type
        self._history = remembered(history)
        self._book = Book(retention=retention, history=self._history)
        self.states = States(self.name, self._book)
        self._choice = executor
        self._elsewhere: Elsewhere | None = None
        self._making = asyncio.Lock()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "processor_type" in cls.__dict__:
            check_processor_type(cls)

    @property
    def event_type(self) -> type[Event]:
        """The events that it takes."""
        return self.processor_type.event_type

    @property
    def strict_event_type(self) -> bool:
        """Whether subclasses of `event_type` are refused."""
        return self._strict

    # --- events ---

    async def append(
        self,
        event: Event,
        priority: Any = None,
        *,
        retries: int | Retry | None = None,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        """Add *event*, which waits for its turn from now on. When this raises, nothing has changed.

        Args:
            event: Pending, and of nobody else's.
            priority: A `TaskPriority`, or a finite number, of which lower ones go first. Default: when it was created.
            retries: How many attempts may follow one that failed, or ran longer than the event's `timeout`; or a
                `Retry` that also says which and when. Each asks for permission, and all run the same event.
            breaker: Keeps it back while what it uses fails, and hears how its attempts end. Events that use the same
                thing get the same one.

        Raises:
            OptionsError: An option is wrong.
            TypeError: It is no event of the type that is taken here.
            ValueError: It is here already, or the priority is no finite number.
            QueueFullError: There is no room, and the policy is to raise.
        """
        check_type(event, self.event_type, strict=self._strict)
        if self.processor is None:
            await self._book.admit(event, priority, self.on_full, agreed(retries, breaker))
        else:
            await self.processor.enqueue(event, priority, on_full=self.on_full, retries=retries, breaker=breaker)

    async def requeue(self, event: Event, priority: Any = None) -> Event:
        """Put a fresh event in the place of one that has ended without a response, and forget that one.

        The fresh one has its metadata, and under ``metadata["original"]`` its id; by that `history` still knows it.
        When this raises, nothing has changed.

        Args:
            event: Failed, cancelled, skipped or aborted.
            priority: Default: the same. `retries` and `breaker` are the same always.

        Returns:
            The fresh event, which waits for its turn.

        Raises:
            IllegalTransitionError: It is not here, or no more; has not ended; or is completed.
            QueueFullError: There is no room, and the policy is to raise.
        """
        fresh = event.as_fresh_event(copy_meta=True)
        await self._book.admit(fresh, priority, self.on_full, instead=event)
        return fresh

    async def cleanup_events(self, statuses: Iterable[TaskStatus | str] | None = None) -> int:
        """Forget events, and how often they were denied.

        Args:
            statuses: Which ones. Default: completed, failed and aborted. Pending ones are cancelled first, and running
                ones are never forgotten.

        Returns:
            How many are gone.
        """
        if isinstance(statuses, TaskStatus | str):
            statuses = [statuses]
        wanted = set(_CLEANED if statuses is None else map(as_status, statuses))
        cancelled = self._book.cancel_waiting("cleaned up") if TaskStatus.PENDING in wanted else []
        return self._book.clean(wanted, cancelled)

    # --- life ---

    async def start(self) -> None:
        """Process events in the background from now on, all that wait included. May be called again."""
        processor = await self._ready()
        await processor.start()

    async def _ready(self) -> Processor:
        """The processor, and what it runs events on."""
        async with self._making:
            if self.processor is None:
                await self._create_processor()
            assert self.processor is not None  # made just now
            if self._elsewhere is None and self._choice is not None:
                executor, own = choose_executor(self._choice, default=None)
                self._elsewhere = Elsewhere(executor, own=own)
                self.processor.run_on(self._elsewhere)
            return self.processor

    async def _create_processor(self) -> None:
        """Make the processor, at the first `start`. Override it to make it in another way."""
        self.processor = await self.processor_type.create(book=self._book, **self.processor_config)

    async def stop(self) -> None:
        """Start no more events. Those that run go on, those that wait stay until the next `start`."""
        if self.processor is not None:
            await self.processor.stop()

    async def forward(self) -> None:
        """Start everything that waits, at most `concurrency_limit` at once, whatever the interval has left.

        Returns when what it started has ended. Safe to call beside others.
        """
        processor = await self._ready()
        await processor.process()

    async def shutdown(self) -> None:
        """`stop`, wait for what runs and until every transition is kept where ``history=`` said.

        An executor that was made here is given back; `start` makes another one.
        """
        await self.stop()
        if self.processor is not None:
            await self.processor.settle()
        elsewhere, self._elsewhere = self._elsewhere, None
        if elsewhere is not None:
            await elsewhere.close()
        if self._history.keeper is not None:
            await asyncio.to_thread(self._history.keeper.flush)

    # --- what is asked ---

    def get_events_by_status(self, status: TaskStatus | str) -> list[Event]:
        """The events with *status*, in the order in which they came to it.

        Raises:
            OptionsError: There is no such status.
        """
        return self._book.of(as_status(status))

    @property
    def pending_events(self) -> list[Event]:
        """The events that wait."""
        return self._book.of(TaskStatus.PENDING)

    @property
    def processing_events(self) -> list[Event]:
        """The events that run."""
        return self._book.of(TaskStatus.PROCESSING)

    @property
    def completed_events(self) -> list[Event]:
        """The events that gave a response."""
        return self._book.of(TaskStatus.COMPLETED)

    @property
    def failed_events(self) -> list[Event]:
        """The events that raised."""
        return self._book.of(TaskStatus.FAILED)

    @property
    def cancelled_events(self) -> list[Event]:
        """The events that ran out of time or were cancelled."""
        return self._book.of(TaskStatus.CANCELLED)

    @property
    def dead_letters(self) -> list[Event]:
        """The events that nobody has an answer of, nor gave up: failed for good, out of time, and refused ones.

        `requeue` submits one of them again.
        """
        late = [event for event in self.cancelled_events if isinstance(event.execution.error, TaskTimeoutError)]
        return [*self.failed_events, *late, *self.aborted_events]

    @property
    def skipped_events(self) -> list[Event]:
        """The events that were passed over."""
        return self._book.of(TaskStatus.SKIPPED)

    @property
    def aborted_events(self) -> list[Event]:
        """The events that were refused and never started."""
        return self._book.of(TaskStatus.ABORTED)

    def status_counts(self) -> dict[str, int]:
        """How many events have each of the seven statuses."""
        return {status.value: count for status, count in self._book.counted().items()}

    def inspect_state(self) -> str:
        """`status_counts` as lines for a person."""
        counts = self.status_counts()
        lines = [f"  {name}: {count} event{'' if count == 1 else 's'}" for name, count in counts.items()]
        return "\n".join([f"{type(self).__name__} State ({self.name}):", *lines])

    def history(self, event: Event | UUID | None = None) -> list[Transition]:
        """The transitions of one event, or of all, in order, as far as they are remembered."""
        with self._book.lock:
            if event is None:
                return list(self._book.history)
            return self._book.history.of(event.id if isinstance(event, Event) else event)

    def __contains__(self, event: object) -> bool:
        id = event.id if isinstance(event, Event) else event
        if isinstance(id, str):
            try:
                id = UUID(id)
            except ValueError:
                return False
        return isinstance(id, UUID) and id in self._book.events

    def __len__(self) -> int:
        return len(self._book.events)

    def __repr__(self) -> str:
        counts = self.status_counts()
        return (
            f"{type(self).__name__}(total={sum(counts.values())}, "
            + ", ".join(f"{name}={count}" for name, count in counts.items())
            + ")"
        )


def check_processor_type(kind: type[EventExecutor]) -> None:
    """Raises `OptionsError` unless *kind* says which processor starts its events."""
    found = getattr(kind, "processor_type", None)
    if isinstance(found, type) and issubclass(found, Processor):
        return
    what = "does not say how its events are processed" if found is None else f"has {found!r} as processor_type"
    raise OptionsError(
        f"{kind.__name__} {what}: write `processor_type = MyProcessor` in it, a subclass of Processor with an "
        f"`event_type`."
    )
