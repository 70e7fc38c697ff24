"""Lanes: the slots of executors on which the steps and items of a run are performed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.errors import ExecutorClosedError
from pipe_core.graph.executor_loops import in_slot, loop_of, waiting
from pipe_core.graph.inline import explain
from pipe_core.graph.keeping import Wanted, give_up, keep, look
from pipe_core.graph.levels import Level
from pipe_core.graph.plan import Step, Values
from pipe_core.graph.scope import Item

if TYPE_CHECKING:
    import asyncio

    from pipe_core.graph.flow import Flow
    from pipe_core.graph.frames import Frame
    from pipe_core.runtime.executor import Executor

_TURNS: Final = 50
"""After so many coroutines in a row a slot lets the loop look at what else there is."""


class Awaiting:
    """The tasks of coroutines that run for a lane."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> None:
        """The running task is one of them for a block."""
        self._tasks.add(_current_task())

    def __exit__(self, *_: object) -> None:
        """It is none any more."""
        self._tasks.discard(_current_task())

    def cancel(self) -> None:
        """Cancel all of them, from whatever thread."""
        for task in list(self._tasks):
            loop = task.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)


def _current_task() -> asyncio.Task[Any]:
    import asyncio  # who is in a task has imported it

    task = asyncio.current_task()
    assert task is not None
    return task


class Lane:
    """The calling thread, which has no slots that anybody could start.

    Attributes:
        ready: A heap of what may start: its item, its step, a number, its frame, and the step again.
        slots: How many run at once.
        busy: How many do, or have been started to.
        coming: How many of those have not taken anything yet.
    """

    slots = 0
    executor: Executor | None = None

    def __init__(self) -> None:
        self.ready: list[tuple[Item, int, int, Frame, Step | None]] = []
        self.busy = self.coming = 0

    @property
    def name(self) -> str:
        """Of its executor, for messages."""
        return "" if self.executor is None else self.executor.name

    def start(self, flow: Flow) -> None:
        """Let one more slot take work."""

    def cancel(self) -> None:
        """Nothing begins any more: what waits in the executor's queue is not needed."""


class _Ticket:
    """Of a slot that was started: it comes, or somebody says that it will not. Whoever is first has it."""

    def __init__(self) -> None:
        self._left = [None]

    def claim(self) -> bool:
        """Whether nobody has had it before."""
        try:
            self._left.pop()
        except IndexError:
            return False
        return True


class PullLane(Lane):
    """Slots in this process: each takes work until there is none."""

    def __init__(self, executor: Executor) -> None:
        super().__init__()
        self.executor: Executor = executor
        self.slots = executor.slots
        self._futures: set[Future[Any]] = set()

    def start(self, flow: Flow) -> None:
        """Submit a call that pulls."""
        ticket = _Ticket()
        try:
            future: Future[Any] = self.executor.submit(self.pull, flow, ticket)
        except BaseException as error:
            if not isinstance(error, RuntimeError):  # which says that it was shut down
                flow.fail(error)
            self._missed(flow, ticket)
            return
        self._futures.add(future)
        future.add_done_callback(partial(self._done, flow, ticket))

    def _done(self, flow: Flow, ticket: _Ticket, future: Future[Any]) -> None:
        self._futures.discard(future)
        self._missed(flow, ticket)

    def _missed(self, flow: Flow, ticket: _Ticket) -> None:
        if ticket.claim():  # it was cancelled, or its executor shut down
            flow.missed(self)

    def pull(self, flow: Flow, ticket: _Ticket) -> None:
        """What a slot does. Nothing escapes: a step that raises ends the run, not the slot."""
        if not ticket.claim():
            return
        before = in_slot(self.executor)
        try:
            work = flow.take(self)
            while work is not None:
                work = flow.perform(work, self)
        except BaseException as error:
            flow.leave(self, error)
        finally:
            waiting.reset(before)

    def cancel(self) -> None:
        """Those that have not come need not come."""
        for future in list(self._futures):
            future.cancel()


class LoopLane(PullLane):
    """Slots on an event loop, for coroutine functions."""

    def __init__(self, executor: Executor) -> None:
        super().__init__(executor)
        self._awaiting = Awaiting()

    async def pull(self, flow: Flow, ticket: _Ticket) -> None:  # type: ignore[override]  # awaited by its executor
        """As `PullLane.pull`, on the loop."""
        if not ticket.claim():
            return
        loop_of(self.executor)  # the running one: so much is known of it from now on
        in_slot(self.executor)
        with self._awaiting:
            try:
                await self._pull(flow)
            except BaseException as error:
                flow.leave(self, error)

    async def _pull(self, flow: Flow) -> None:
        import asyncio

        work = flow.take(self)
        turns = 0
        while work is not None:
            frame, step = work
            assert step is not None  # whole items are for threads
            error = await awaited(step, frame.values, frame.level)
            if _is_cancelled(error):
                flow.fail(ExecutorClosedError(self.name))  # or the run has failed before
            work = flow.ended([(frame, step, error)], self)
            turns += 1
            if not turns % _TURNS:
                await asyncio.sleep(0)  # a coroutine that never waits must not keep the loop to itself

    def cancel(self) -> None:
        """Those that have not come need not come, and coroutines that wait are cancelled."""
        super().cancel()
        self._awaiting.cancel()


async def awaited(
    step: Step, values: Values, level: Level, reason: Callable[[], BaseException | None] = lambda: None
) -> BaseException | None:
    """Await the coroutine function of a step, and keep what it gives. Gives what it raises.

    Args:
        step: Which.
        values: What it takes, and where it puts what it gives.
        level: Where it belongs.
        reason: Why it was cancelled, for callbacks. Default: nobody knows more than that it was.
    """
    wanted = look(step, values, level, waits=False)
    if wanted is True:
        return None
    args, kwargs = step.arguments(values)
    began = level.node_begins(step, values)
    failed: BaseException | None = None
    try:
        step.store(values, await step.node.fn(*args, **kwargs))  # type: ignore[union-attr]  # a node
    except BaseException as error:
        failed = error
        explain(error, step, values, level.scope, level.item)
    level.node_ends(step, values, began, (reason() or failed) if _is_cancelled(failed) else failed)
    if isinstance(wanted, Wanted):
        if failed is None:
            keep(wanted, step, values, level)
        else:
            give_up(wanted)
    return failed


def _is_cancelled(failed: BaseException | None) -> bool:
    """Whether *failed* is the cancelling of the running task, by somebody else than itself."""
    if failed is None:
        return False
    import asyncio

    from pipe_core.runtime.loops import cancelled_from_outside

    return isinstance(failed, asyncio.CancelledError) and cancelled_from_outside()
