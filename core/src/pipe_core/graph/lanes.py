"""Lanes: the slots of executors on which the steps and items of a run are performed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.inline import explain
from pipe_core.graph.plan import Step
from pipe_core.graph.scope import Item

if TYPE_CHECKING:
    from pipe_core.graph.flow import Flow, Frame
    from pipe_core.runtime.executor import Executor

_TURNS: Final = 50
"""After so many coroutines in a row a slot lets the loop look at what else there is."""


class _Around(threading.local):
    """The executors whose slots the calling thread sits on, by way of this module."""

    executors: tuple[Any, ...] = ()


_around = _Around()


def threads_around() -> tuple[Any, ...]:
    """The executors whose slots the calling thread sits on."""
    return _around.executors


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

    def start(self, flow: Flow) -> None:
        """Let one more slot take work."""

    def cancel(self) -> None:
        """The run has failed: what waits in the executor's queue is not needed any more."""


class PullLane(Lane):
    """Slots in this process: each takes work until there is none."""

    def __init__(self, executor: Executor) -> None:
        super().__init__()
        self.executor: Executor = executor
        self.slots = executor.slots

    def start(self, flow: Flow) -> None:
        """Submit a call that pulls."""
        try:
            self.executor.submit(self.pull, flow)
        except BaseException as error:  # it was shut down
            flow.take(self)
            flow.fail(error)

    def pull(self, flow: Flow) -> None:
        """What a slot does. Nothing escapes: a step that raises ends the run, not the slot."""
        before, _around.executors = _around.executors, (*_around.executors, self.executor)
        try:
            work = flow.take(self)
            while work is not None:
                work = flow.perform(work, self)
        finally:
            _around.executors = before


class LoopLane(PullLane):
    """Slots on an event loop, for coroutine functions."""

    async def pull(self, flow: Flow) -> None:  # type: ignore[override]  # awaited by its executor
        """As `PullLane.pull`, on the loop."""
        import asyncio  # its executor has imported it

        work = flow.take(self)
        turns = 0
        while work is not None:
            frame, step = work
            assert step is not None  # whole items are for threads
            error = await _awaited(step, frame)
            work = flow.ended([(frame, step, error)], self)
            turns += 1
            if not turns % _TURNS:
                await asyncio.sleep(0)  # a coroutine that never waits must not keep the loop to itself


async def _awaited(step: Step, frame: Frame) -> BaseException | None:
    """Await the coroutine function of a step, and keep what it gives. Gives what it raises."""
    values, level = frame.values, frame.level
    args, kwargs = step.arguments(values)
    began = level.node_begins(step, values)
    failed: BaseException | None = None
    try:
        step.store(values, await step.node.fn(*args, **kwargs))  # type: ignore[union-attr]  # a node
    except BaseException as error:
        failed = error
        explain(error, step, values, level.scope, level.item)
    level.node_ends(step, values, began, failed)
    return failed
