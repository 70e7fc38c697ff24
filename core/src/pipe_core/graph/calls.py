"""Lanes whose steps are calls of their own on an executor, which brings the result back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.errors import ExecutorClosedError
from pipe_core.graph.executor_loops import in_slot, loop_of, waiting
from pipe_core.graph.inline import call_step
from pipe_core.graph.keeping import signatures_of, values_for
from pipe_core.graph.lanes import Awaiting, Lane, awaited
from pipe_core.graph.plan import Step, Values
from pipe_core.kernel.errors import CodecError, TaskTimeoutError

if TYPE_CHECKING:
    from pipe_core.graph.flow import End, Flow, Work
    from pipe_core.graph.frames import Frame
    from pipe_core.runtime.executor import Executor

_LOOKS: Final = 20
"""So many times in its timeout somebody looks whether a call has begun."""


class CallLane(Lane):
    """Slots of an executor in this process, for steps whose time is limited: each is a call that can be given up.

    Args:
        executor: Where they are.
        resources: What each call needs of its worker.
        slots: How many run at once. Default: as many as there are.
        on_loop: Whether coroutine functions run on its event loop. Else a thread waits for them.
    """

    def __init__(
        self,
        executor: Executor,
        resources: Mapping[str, float] | None = None,
        slots: int | None = None,
        *,
        on_loop: bool = False,
    ) -> None:
        super().__init__()
        self._on_loop = on_loop
        self._awaiting = Awaiting()
        self._reasons: dict[Work, BaseException] = {}  # why calls were given up
        self.executor: Executor = executor
        self.slots = slots or executor.slots
        self._call: Callable[..., Future[Any]] = executor.submit
        if resources is not None:
            self._call = partial(executor.submit_needing, resources)
        self._futures: set[Future[Any]] = set()

    def start(self, flow: Flow) -> None:
        """Submit what is ready, from whatever thread."""
        self._submit(flow, flow.take(self))

    def _submit(self, flow: Flow, work: Work | None) -> None:
        """Submit *work*, or else what comes behind it."""
        while work is not None:
            try:
                works, future = self._begun(flow, work)
            except CodecError as error:  # it cannot travel
                if flow.error is None:
                    self._give_up([work], error)
                work = flow.ended([(*work, error)], self)
            except BaseException as error:
                flow.fail(ExecutorClosedError(self.name) if isinstance(error, RuntimeError) else error)
                work = flow.ended([(*work, error)], self)
            else:
                self._follow(flow, works, future)
                return

    def _follow(self, flow: Flow, works: list[Work], future: Future[Any]) -> None:
        self._futures.add(future)
        future.add_done_callback(lambda done: flow.post(partial(self._take_back, flow, works, done)))
        step = works[0][1]
        if step is not None and step.node.policies is not None and step.node.policies.timeout is not None:
            _Limit(flow, self.executor, future, works[0], self._reasons).look()

    def _begun(self, flow: Flow, work: Work) -> tuple[list[Work], Future[Any]]:
        """The call that was made of *work*, and perhaps of more."""
        frame, step = work
        assert step is not None  # only single steps are limited in time
        call = self._awaited if self._on_loop and step.node.is_async else self._called
        return [work], self._call(call, flow, frame, step)

    def _called(self, flow: Flow, frame: Frame, step: Step) -> Any:
        """The outputs of a step. It has values of its own: whoever gave it up does not want to hear of it again."""
        values = _apart(frame, step)
        before = in_slot(self.executor)
        try:
            _check(flow)
            call_step(step, values, frame.level)
        finally:
            waiting.reset(before)
        return step.taken(values)

    async def _awaited(self, flow: Flow, frame: Frame, step: Step) -> Any:
        """As `_called`, on the loop. Who gives it up cancels it."""
        values = _apart(frame, step)
        self._reasons.pop((frame, step), None)  # of an attempt before
        loop_of(self.executor)
        in_slot(self.executor)
        with self._awaiting:
            _check(flow)  # now it would be cancelled
            error = await awaited(step, values, frame.level, lambda: self._reasons.get((frame, step)))
        if error is not None:
            raise error
        return step.taken(values)

    def _take_back(self, flow: Flow, works: list[Work], future: Future[Any]) -> None:
        """For the driver: what came back."""
        self._futures.discard(future)
        if flow.error is None and (future.cancelled() or type(future.exception()) is CancelledError):
            flow.fail(ExecutorClosedError(self.name))
        following: Work | None
        try:
            ends: Sequence[End] = self._kept(works, future.result())
        except BaseException as error:
            if len(works) > 1 and isinstance(error, Exception) and flow.error is None:
                following = self._again(flow, works)  # one of them is the cause: each for itself, then
            else:
                error = self._reason(works, error)
                if flow.error is None:
                    self._give_up(works, error)
                following = flow.ended([(*work, error) for work in works], self)
        else:
            following = flow.ended(ends, self)
        self._submit(flow, following)

    def _reason(self, works: list[Work], error: BaseException) -> BaseException:
        """What to raise for *error*."""
        return error

    def _give_up(self, works: list[Work], error: BaseException) -> None:
        """Say that nobody waits for *works* any more. One that has ended with *error* has said so itself."""
        for frame, step in works:
            if step is not None:
                frame.level.node_is_given_up(step, error)

    def _again(self, flow: Flow, works: list[Work]) -> Work | None:
        return flow.again(works, self)

    def _kept(self, works: list[Work], found: Any) -> Sequence[End]:
        """Put what came back where it belongs."""
        ((frame, step),) = works
        assert step is not None
        step.put(frame.values, found)
        return [(frame, step, None)]

    def cancel(self) -> None:
        """Cancel what has not begun there, and coroutines that wait."""
        for future in list(self._futures):
            future.cancel()
        self._awaiting.cancel()


def _check(flow: Flow) -> None:
    """Go on, if the run does: what was in hand already when it ended need not begin."""
    if flow.error is not None:
        raise CancelledError


def _apart(frame: Frame, step: Step) -> Values:
    """Values for a step alone."""
    inputs = [frame.values[slot] for slot in step.slots]
    return values_for(frame.plan, step, inputs, signatures_of(frame.values, step.slots))


class _Limit:
    """Gives a call up when it has run for its time. It takes a moment to see that it has begun."""

    def __init__(
        self, flow: Flow, executor: Executor, future: Future[Any], work: Work, reasons: dict[Work, BaseException]
    ) -> None:
        step = work[1]
        assert step is not None
        assert step.node.policies is not None
        assert step.node.policies.timeout is not None
        self._flow = flow
        self._executor = executor
        self._future = future
        self._name = step.node.name
        self._seconds = step.node.policies.timeout
        self._until: float | None = None
        self._work = work
        self._reasons = reasons

    def look(self) -> None:
        """Whether it has begun, and whether its time is over."""
        now = monotonic()
        if self._future.done():
            return
        if self._until is None and self._future.running():
            self._until = now + self._seconds
        if self._until is not None and now >= self._until:
            text = f"The node '{self._name}' ran longer than its timeout of {self._seconds:g} s, and was given up."
            error = self._reasons[self._work] = TaskTimeoutError(text)  # a coroutine ends at once, and wants to know
            self._executor.give_up(self._future, error)
            return
        self._flow.alarm(self._until if self._until is not None else now + self._seconds / _LOOKS, self.look)
