"""The record of an event: its status and what came of it, kept in one place, whoever asks."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Protocol

from pipe_core.kernel.errors import IllegalTransitionError, RunCancelledError, RunError, RunningError
from pipe_core.runtime.ledger import TRANSITIONS, TaskStatus, Tracked
from pipe_core.tasks.execution import OPEN, Ending, Execution

if TYPE_CHECKING:
    from pipe_core.tasks.event import Event
    from pipe_core.tasks.terms import Terms


class Owner(Protocol):
    """Who keeps a record in a ledger and makes all its moves from then on."""

    def move(self, record: EventRecord, to: TaskStatus, reason: str = "") -> None:
        """Give *record* another status. Called from any thread, with the record's lock held.

        Raises:
            IllegalTransitionError: The table of transitions has no such move.
        """


class Run:
    """One run of an event: who runs it, since when, and the chunks so far of one that streams."""

    __slots__ = ("chunks", "started", "task")

    def __init__(self) -> None:
        self.task = asyncio.current_task()
        self.chunks: list[Any] | None = None
        self.started = time.perf_counter()

    def so_far(self, ending: Ending) -> Ending:
        """*ending*, with how long the run took and the chunks that it gave until now."""
        duration = time.perf_counter() - self.started
        if self.chunks is None:
            return ending._replace(duration=duration)
        return ending._replace(duration=duration, response=list(self.chunks), streamed=True)


class EventRecord(Tracked):
    """Where an event is. Safe under threads and loops.

    Order of locks: a record's, then its owner's. An owner calls `adopt` with its own lock held if it likes (a record
    without an owner never waits for one), and everything else here without it.

    Attributes:
        owner: Who moves it, None for an event that belongs to no executor.
        event: The event, while there is an owner.
        run: The run in progress. Only who holds it ends it as a run ends; `end` without a run gives it up.
        ending: What came of it. Means something only under a final status; `execution` knows.
        sequence: The place in which its owner got it; it, `band`, `number` and `since` are what schedulers look at. Of
            an event that is tried again `since` is when it may be.
        exempt: Whether it does not count for the bound of the queue.
        terms: On which it is tried.
    """

    __slots__ = (
        "_lock",
        "_waiters",
        "band",
        "ending",
        "event",
        "exempt",
        "number",
        "owner",
        "run",
        "sequence",
        "since",
        "terms",
    )

    band: int
    number: float
    sequence: int
    since: float
    exempt: bool
    terms: Terms | None
    tag = None
    permit = None

    def __init__(self) -> None:
        super().__init__()
        # Reentrant: what an owner does in `move`, a log or an observer, may look at the event.
        self._lock = threading.RLock()
        self._waiters: list[asyncio.Future[None]] | None = None
        self.owner: Owner | None = None
        self.event: Event | None = None
        self.run: Run | None = None
        self.ending = OPEN

    @property
    def now(self) -> TaskStatus:
        """The status; a record that no ledger has seen is pending."""
        return self.status or TaskStatus.PENDING

    @property
    def execution(self) -> Execution:
        """Status and ending, as they belong together."""
        status = self.status or TaskStatus.PENDING
        if not status.final:
            return Execution(status, attempt=self.attempt)
        with self._lock:
            status = self.now
            return Execution(status, *(self.ending if status.final else OPEN)[:4], self.attempt)

    # --- moves ---

    def adopt(self, owner: Owner, event: Event) -> None:
        """From now on *owner* makes the moves. It adds the record to its ledger next, as pending.

        Raises:
            IllegalTransitionError: The event has an owner already, or is not pending.
        """
        self._check_free(event)  # without its lock: whoever holds that may wait for its owner's, and he for ours
        with self._lock:
            self._check_free(event)
            if self.now is not TaskStatus.PENDING:
                raise IllegalTransitionError(f"The event {event.id} is {self.now.value}, not pending.")
            self.status, self.since = None, 0.0
            self.owner, self.event = owner, event

    def _check_free(self, event: Event) -> None:
        if self.owner is not None:
            raise IllegalTransitionError(f"The event {event.id} belongs to an executor already.")

    def release(self) -> None:
        """The event belongs to nobody again, with the status that it has."""
        with self._lock:
            self.owner = self.event = None

    def move(self, to: TaskStatus, reason: str = "") -> None:
        """Give it another status: through its owner, where it has one.

        Raises:
            IllegalTransitionError: The table of transitions has no such move.
        """
        with self._lock:
            self._move(to, reason)

    def _move(self, to: TaskStatus, reason: str = "") -> None:
        owner = self.owner
        if owner is not None:
            return owner.move(self, to, reason)
        status = self.now
        if to not in TRANSITIONS[status]:
            raise IllegalTransitionError(f"An event cannot go from {status.value} to {to.value}.")
        if status is TaskStatus.FAILED:
            self.attempt += 1
        self.status = to
        return None

    def claim(self) -> Run | None:
        """The right to run the event, now processing; None where somebody else has it, or the event has ended.

        Raises:
            IllegalTransitionError: It is a copy of an event that was being run when the copy was made.
        """
        with self._lock:
            status = self.status or TaskStatus.PENDING
            if self.run is not None or status.final:
                return None
            if status is TaskStatus.PENDING:
                try:
                    self._move(TaskStatus.PROCESSING)
                except IllegalTransitionError:
                    if self.now.final:  # its owner ended it just now
                        return None
                    raise
            elif self.owner is None:
                raise IllegalTransitionError(
                    "This is a copy of an event that was processing when the copy was made: nobody runs it, and "
                    "whether it was done there is not known. Run event.as_fresh_event() to do it again."
                )
            self.run = run = Run()
            return run

    def end(self, to: TaskStatus, ending: Ending, run: Run | None = None, reason: str = "") -> bool:
        """Give it a final status together with what came of it, and wake those who wait.

        Args:
            to: The final status.
            ending: What came of it.
            run: The run that ends, as `claim` gave it. None for everybody else: a run in progress is given up then.
                Its duration, and the chunks that it gave, are filled in here.
            reason: For the owner's log.

        Returns:
            False if *run* was given up before: what came of it is dropped then.

        Raises:
            IllegalTransitionError: The table of transitions has no such move.
        """
        with self._lock:
            if run is not None and run is not self.run:
                return False
            if run is None and self.run is not None:
                ending = self.run.so_far(ending)
            before, self.ending = self.ending, ending
            try:
                self._move(to, reason)
            except BaseException as error:
                self.ending = before
                if run is None:
                    raise
                self._leave()
                if isinstance(error, IllegalTransitionError) and self.now.final:  # its owner ended it by itself
                    return False
                raise
            self._leave()
            return True

    def _leave(self) -> None:
        self.run = None
        self._wake()

    # --- waiting ---

    async def ended(self) -> None:
        """Wait until nobody runs it.

        Raises:
            RunningError: Called by the run itself.
        """
        while (future := self._next_end()) is not None:
            await self._woken(future)

    def _next_end(self) -> asyncio.Future[None] | None:
        with self._lock:
            if self.run is None:
                return None
            if self.run.task is asyncio.current_task():
                raise RunningError("An event's own code waits for the event's end, and so would wait for itself.")
            return self._watch()

    async def rested(self) -> bool:
        """Wait until an event that is tried again may be. False when it is tried no more."""
        while True:
            with self._lock:
                if self.owner is None or self.attempt == 1 or self.now is not TaskStatus.PENDING:
                    return False
                pause = self.since - time.monotonic()
                if pause <= 0:
                    return True
                future = self._watch()
            await self._woken(future, pause)

    async def news(self, seconds: float) -> None:
        """Return when a run of it has ended, at the latest after so many seconds."""
        with self._lock:
            future = self._watch()
        await self._woken(future, seconds)

    async def chunks(self) -> AsyncIterator[Any]:
        """The chunks from the first one on, as they come, until the event has ended.

        Raises:
            RunError: The event failed, or was tried again meanwhile.
            RunCancelledError: The event was cancelled, skipped or aborted.
        """
        seen, attempt = 0, self.attempt
        while True:
            with self._lock:
                if seen and self.attempt != attempt:
                    raise RunError(f"The event was tried again after {seen} chunks; they come anew from the first one.")
                attempt, ended = self.attempt, self.now.final
                fresh = self._chunks(ended)[seen:]
                future = None if fresh or ended else self._watch()
            for chunk in fresh:
                yield chunk
            seen += len(fresh)
            if future is not None:
                await self._woken(future)
            elif not fresh:
                break
        self._raise_for(seen)

    def _chunks(self, ended: bool) -> list[Any]:
        if ended:
            return self.ending.response if self.ending.streamed else []
        return (self.run.chunks if self.run is not None else None) or []

    def _raise_for(self, seen: int) -> None:
        execution = self.execution
        if execution.status is TaskStatus.COMPLETED:
            return
        kind = RunError if execution.status is TaskStatus.FAILED else RunCancelledError
        cause = execution.error if isinstance(execution.error, BaseException) else None
        why = f": {type(cause).__name__}: {cause}" if cause is not None else "."
        raise kind(f"The event is {execution.status.value} after {seen} chunks{why}") from cause

    def add_chunk(self, run: Run, chunk: Any) -> None:
        """The next chunk of *run*."""
        with self._lock:
            assert run.chunks is not None  # made where the stream began
            run.chunks.append(chunk)
            self._wake()

    def _watch(self) -> asyncio.Future[None]:
        """A future of the running loop that is set at the next news. Called with the lock held."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(future)
        return future

    async def _woken(self, future: asyncio.Future[None], seconds: float | None = None) -> None:
        try:
            if seconds is None:
                await future
            else:
                await asyncio.wait([future], timeout=seconds)
        finally:
            with self._lock:  # one who gives up waiting must not be kept until the end
                if self._waiters is not None and future in self._waiters:
                    self._waiters.remove(future)

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, None
        here = asyncio._get_running_loop()
        for future in waiters or ():
            loop = future.get_loop()
            if loop is here:
                _set(future)
                continue
            try:
                loop.call_soon_threadsafe(_set, future)
            except RuntimeError:  # that loop is closed, and nobody waits there any more
                pass

    # --- copies ---

    def facts(self) -> tuple[TaskStatus, int, Ending]:
        """What a copy of the event takes along: status, attempt and ending."""
        with self._lock:
            status = self.now
            return status, self.attempt, self.ending if status.final else OPEN

    def restore(self, status: TaskStatus, attempt: int, ending: Ending) -> None:
        """Become what `facts` told. Only for a record that nobody has seen yet."""
        self.status = None if status is TaskStatus.PENDING else status
        self.attempt = attempt
        self.ending = ending


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
