"""What runs next in a run whose nodes or items run at the same time: a step starts as soon as its inputs are there.

There is no barrier, neither between levels of a graph nor between the nodes of a map, and nothing waits but the driver.
A nested pipeline is not a call that waits for others: it is a frame of its own, whose end is the end of the
step around it. So however deep pipelines are nested and however few slots there are, they cannot block each other.

Decisions are made under one lock, by whoever brings news: a slot that has run a step takes the next one in the same
breath, mostly one that it has just made ready. Of several the one of the earliest item goes first, so that items go
through their nodes depth first, and few of them are open at once.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.errors import ExecutorClosedError
from pipe_core.graph.frames import Frame, Group, Inputs
from pipe_core.graph.gates import Gates
from pipe_core.graph.inline import call_step, explain, has_own_engine, run_by_own_engine, run_plan
from pipe_core.graph.nesting import PipelineNode
from pipe_core.graph.plan import Step
from pipe_core.graph.scope import Run
from pipe_core.kernel.errors import RunCancelledError

if TYPE_CHECKING:
    from pipe_core.graph.lanes import Lane
    from pipe_core.graph.layout import Layout

Work = tuple[Frame, Step | None]
"""A step to run; all steps of the frame where it is None."""
End = tuple[Frame, Step | None, BaseException | None]
"""What has run, and what it has raised."""


_LONGEST_WAIT: Final = 1.0
"""So many seconds the driver waits at most: a Ctrl-C that comes just before it begins to wait is heard behind that."""


class Flow:
    """A run, as a state machine. Lanes ask it for work and tell it what has ended; the driver waits for its end.

    Args:
        run: What it is part of.
        lanes: Where steps and items run.
    """

    def __init__(self, run: Run, lanes: Layout) -> None:
        self.run = run
        self.error: BaseException | None = None
        self._lanes = lanes
        self._lock = threading.RLock()  # what callbacks are told is brought while decisions are made
        self._changed = threading.Condition(self._lock)
        self._numbers = itertools.count()
        self._news: deque[Callable[[], None]] = deque()
        self._helped: list[Lane] = [lanes.here]
        self._running = 0
        self._is_over = False
        self._drains = False  # nothing begins any more, but what runs comes to its end, with its attempts
        self._is_settling = False  # nothing begins any more, and what need not begin has been cancelled
        self._gates = Gates()
        self._alarms: list[tuple[float, int, Callable[[], None]]] = []
        self._root: Group
        self._begun: dict[Group | Frame, None] = {}  # and not ended, where somebody is told of it
        self._has_news: Callable[[], bool] = lambda: False  # whether somebody waits for what is there now
        run.flow = self

    # --- for the engine ---

    def drive(self, group: Group) -> None:
        """Run *group* to its end. What belongs in the calling thread runs here.

        Raises:
            BaseException: What the first step raised that failed; nothing runs any more then.
        """
        self._start(group)
        while self._goes_on():
            pass
        self._finish()

    def stream(self, group: Group, *, ordered: bool) -> Iterator[tuple[int, dict[str, Any]]]:
        """As `drive`, giving the outputs of each item, with its place, as soon as they are there, in order or not.

        When nobody asks for more, what has not begun does not begin.
        """
        following = 0
        self._has_news = lambda: following in group.results if ordered else bool(group.results)
        self._start(group)
        try:
            while True:
                with self._lock:
                    index = following if ordered else next(iter(group.results), -1)
                    outputs = group.results.pop(index, None)
                if outputs is not None:
                    following += 1
                    self.ended([], None, group)
                    while self._news:  # callbacks are told what has happened, also where the next row is there already
                        self._goes_on()
                    yield index, outputs
                elif not self._goes_on():
                    break
        except GeneratorExit:
            self.fail(RunCancelledError("Nobody asks for the rest of the items any more."))
            while self._goes_on():
                pass
            self._tell_ends()
            return
        self._finish()

    def _start(self, group: Group) -> None:
        self._root = group
        self._helped += self._lanes.around_this_thread()
        self._begins(group)
        group.read()
        self.ended([], None, group)

    def _goes_on(self) -> bool:
        """Do the next thing that is for the driver to do. False at the end."""
        try:
            return self._turn()
        except BaseException as error:  # Ctrl-C, or the time is over
            self.fail(error)
            return True

    def _finish(self) -> None:
        self._tell_ends()
        self._gates.close()
        if self.error is not None:
            raise self.error

    def _tell_ends(self) -> None:
        for one in reversed(list(self._begun)):
            one.ends()
        while self._news:
            self._news.popleft()()

    def _turn(self) -> bool:
        """Do the next thing that is for the driver to do. False at the end."""
        work = None
        self._ring()
        if self._root.is_low and self.error is None:
            self._root.read()
            self.ended([], None, self._root)
        with self._lock:
            news = self._news.popleft() if self._news else None
            if news is None:
                work = next((found for lane in self._helped if (found := self._pop(lane)) is not None), None)
                if work is not None:
                    self._running += 1
                elif self._has_ended and self._running <= 0:
                    return False
                elif self._has_ended and not self._is_settling:
                    self._is_settling, news = True, self._cancel
                elif not self._has_news():
                    self._wait()
        if news is not None:
            news()
        elif work is not None:
            self.perform(work, None)
        return True

    def _wait(self) -> None:
        alarm = self._alarms[0][0] if self._alarms else None
        times = [alarm, *([] if self._has_ended else [self.run.until, self._gates.next_time])]
        if not self._has_ended:
            self.run.check()
        first = min((one - monotonic() for one in times if one is not None), default=_LONGEST_WAIT)
        self._changed.wait(max(0.0, min(first, _LONGEST_WAIT)))

    def _ring(self) -> None:
        """Do what was to be done at a time that has come."""
        now = monotonic()
        while self._alarms and self._alarms[0][0] <= now:
            with self._lock:
                call = heappop(self._alarms)[-1]
            call()
        if self._gates.next_time is not None and self._gates.next_time <= now and self.error is None:
            with self._lock:
                for frame, step in self._gates.due(now):
                    if not frame.is_lost:
                        self._is_ready(frame, step)
            self.ended([], None)

    def alarm(self, at: float, call: Callable[[], None]) -> None:
        """Let the driver call *call* at that time of the monotonic clock, or soon behind."""
        with self._lock:
            heappush(self._alarms, (at, next(self._numbers), call))
            self._changed.notify()

    def post(self, news: Callable[[], None]) -> None:
        """Let the driver call *news*: those who bring it must not be kept."""
        with self._lock:
            self._news.append(news)
            self._changed.notify()

    @property
    def _has_ended(self) -> bool:
        """Whether nothing begins any more."""
        return self._is_over or self.error is not None

    def fail(self, error: BaseException) -> None:
        """Start nothing else. The first error is the run's."""
        with self._lock:
            self._changed.notify()
            if self.error is not None:
                return
            self.error = error
        self.run.stop()
        self._cancel()

    def _cancel(self) -> None:
        """Cancel what has not begun: an executor that others use as well may take long to begin it."""
        for lane in self._lanes.others:
            lane.cancel()

    # --- for lanes ---

    def take(self, lane: Lane) -> Work | None:
        """The first work for a slot of *lane* that has just been started. None: there is none, the slot is free."""
        with self._lock:
            lane.coming -= 1
            return self._pop_or_leave(lane)

    def missed(self, lane: Lane) -> None:
        """A slot of *lane* that was started will not come. That is no error where it is not needed any more."""
        if not self._has_ended:
            self.fail(ExecutorClosedError(lane.name))
        self.take(lane)  # nothing: the slot is free

    def leave(self, lane: Lane, error: BaseException) -> None:
        """A slot of *lane* was ended from outside."""
        self.fail(error)
        with self._lock:
            self._pop_or_leave(lane)

    def more(self, lane: Lane, count: int, group: Group) -> list[Work]:
        """So many items of *group* more, for a slot of *lane* that takes them together."""
        found: list[Work] = []
        with self._lock:
            while len(found) < count and self.error is None and lane.ready and lane.ready[0][-1] is None:
                if lane.ready[0][-2].group is not group:
                    break
                found.append(heappop(lane.ready)[-2:])
                found[-1][0].top.running += 1
        return found

    def perform(self, work: Work, lane: Lane | None) -> Work | None:
        """Run *work* in the calling thread. Gives the next one for the same slot of *lane*."""
        frame, step = work
        error = group = None
        try:
            if step is None:
                run_plan(frame.plan, frame.values, frame.group.scope, frame.level.item)
            elif not isinstance(step.node, PipelineNode):
                call_step(step, frame.values, frame.level)
            elif has_own_engine(step.node, frame.level):
                run_by_own_engine(step, frame.values, frame.level)
            else:
                group = self._lanes.nested(frame, step, step.node)
                group.read()
                self._begins(group)
        except BaseException as raised:  # also SystemExit: it ends the run, not a thread
            error = raised
            if step is not None and isinstance(step.node, PipelineNode):
                explain(error, step, frame.values, frame.group.scope, frame.level.item)
        return self.ended([(frame, step, error)], lane, group)

    def again(self, works: Sequence[Work], lane: Lane) -> Work | None:
        """A slot of *lane* could not run *works*: they are ready as before. Gives its next work."""
        with self._lock:
            for frame, step in works:
                frame.top.running -= 1
                self._push(lane, frame, step)
        return self.ended([], lane)

    def ended(self, ends: Sequence[End], lane: Lane | None, group: Group | None = None) -> Work | None:
        """A slot of *lane* has run that, or has opened the *group* that is inside of it. Gives its next work."""
        for _, _, error in ends:
            if error is not None and not isinstance(error, Exception):
                self.fail(error)
        with self._lock:
            if not ends and group is not None and self.error is None:
                self._refill(group)
            for frame, step, error in ends:
                frame.top.running -= 1
                if self.error is None:
                    self._went_on(frame, step, error, group)
            following = None
            if lane is not None:
                following = self._pop_or_leave(lane)
            elif ends:
                self._running -= 1
            starts = self._starts()
        for one in starts:
            one.start(self)
        return following

    def _pop(self, lane: Lane) -> Work | None:
        while self.error is None and lane.ready:
            frame, step = heappop(lane.ready)[-2:]
            if frame.is_lost:
                self._leave_gate(frame, step)
            elif self._is_dropped(frame, step):
                self._leave_gate(frame, step)
                self._drop(frame, step)
            else:
                frame.top.running += 1
                return frame, step
        return None

    def _pop_or_leave(self, lane: Lane) -> Work | None:
        work = self._pop(lane)
        if work is None:
            lane.busy -= 1
            self._running -= 1
            if not self._running:
                self._changed.notify()
        return work

    def _starts(self) -> list[Lane]:
        """The lanes with work for a free slot, once for each; the slots count as busy from now on."""
        found: list[Lane] = []
        if self.error is None:
            for lane in self._lanes.others:
                free = min(len(lane.ready) - lane.coming, lane.slots - lane.busy)
                if free > 0:
                    lane.busy += free
                    lane.coming += free
                    self._running += free
                    found += [lane] * free
        if any(lane.ready for lane in self._helped):
            self._changed.notify()
        return found

    # --- what follows what ---

    def _went_on(self, frame: Frame, step: Step | None, error: BaseException | None, group: Group | None) -> None:
        """*step* has ended, or all of the frame, or it has opened the *group* that is inside of it."""
        if frame.is_lost:
            self._leave_gate(frame, step)
        elif group is not None and error is None:
            self._refill(group)
        else:
            self._advance(frame, step, error)
        outcome = frame.top.outcome
        if outcome is not None and not frame.top.running:
            frame.top.outcome = None
            self._frame_ended(frame.top, outcome)

    def _advance(self, frame: Frame, step: Step | None, error: BaseException | None = None) -> None:
        """*step* has ended, or all of the frame."""
        self._leave_gate(frame, step, None if error is not None and not isinstance(error, Exception) else error is None)
        if step is not None and isinstance(error, Exception) and self._gates.again(frame, step, error, monotonic()):
            self._changed.notify()
            return
        if isinstance(error, Exception):
            self._lose(frame, step, error)
        elif step is None:
            frame.left = 0
        else:
            frame.left -= 1
            self._follow(frame, step)
        if not frame.left and not frame.is_lost:
            self._frame_ended(frame, frame.plan.found(frame.values))

    def _follow(self, frame: Frame, step: Step) -> None:
        """What can begin, now that *step* has ended."""
        steps = frame.plan.steps
        if self._lanes.is_serial:
            following = next((one for one in steps[step.index + 1 :] if one.index not in frame.lost), None)
            if following is not None:
                self._is_ready(frame, following)
            return
        for follower in step.followers:
            frame.missing[follower] -= 1
            if not frame.missing[follower] and follower not in frame.lost:
                self._is_ready(frame, steps[follower])

    def _lose(self, frame: Frame, step: Step | None, error: Exception) -> None:
        """*step* has failed. If the run goes on, then with what does not need it, or without the item."""
        group = frame.group
        frame.has_failed(error)
        if not self.run.goes_on:
            self.fail(error)
            return
        self._drains = self.run.drains
        if group.parent is not None:
            group.is_lost = True
            self._advance(*group.parent, error)
        elif group.mapped:
            group.errors.append(error)
            group.failed[frame.index] = frame.inputs, error
            self._frame_ended(frame, dict.fromkeys(frame.plan.outputs))
        else:
            assert step is not None  # what is not mapped is not sent away as a whole
            group.errors.append(error)
            lost = frame.plan.downstream(step) - frame.lost
            frame.lost |= lost
            frame.left -= len(lost)
            if self._lanes.is_serial:
                self._follow(frame, step)

    def _frame_ended(self, frame: Frame, outputs: dict[str, Any]) -> None:
        group = frame.group
        if frame.running:
            frame.outcome = outputs  # something has failed, and what else runs in it ends before it does
            return
        if self.run.goes_on:
            for one in [one for one in reversed(self._begun) if frame.is_around(one)]:
                self._ends(one)
        self._ends(frame)
        group.results[frame.index] = outputs
        if group is self._root and self._has_news():
            self._changed.notify()
        group.open -= 1
        self._refill(group)

    def _is_dropped(self, frame: Frame, step: Step | None) -> bool:
        """Whether it does not begin any more, because something has failed and the run comes to its end."""
        return self._drains and (step is None or not self._gates.has_begun(frame, step))

    def _drop(self, frame: Frame, step: Step | None) -> None:
        """*step*, which has not begun, or all of the frame, does not run."""
        group = frame.group
        if group.parent is not None:
            group.is_lost = True
            self._drop(*group.parent)
        elif step is None or group.mapped:
            self._frame_ended(frame, dict.fromkeys(frame.plan.outputs))
        else:
            lost = frame.plan.downstream(step) - frame.lost
            frame.lost |= lost
            frame.left -= len(lost)
            if lost and self._lanes.is_serial:
                self._follow(frame, step)
            if lost and not frame.left:
                self._frame_ended(frame, frame.plan.found(frame.values))

    def _is_ready(self, frame: Frame, step: Step | None) -> None:
        if self._is_dropped(frame, step):
            self._drop(frame, step)
            return
        if step is not None and step.node.policies is not None and not self._gates.admits(frame, step, monotonic()):
            self._changed.notify()
            return
        self._push(self._lanes.lane_of(frame, step), frame, step)

    def _push(self, lane: Lane, frame: Frame, step: Step | None) -> None:
        place = -1 if step is None else step.index
        heappush(lane.ready, (frame.level.item, place, next(self._numbers), frame, step))

    def _leave_gate(self, frame: Frame, step: Step | None, ok: bool | None = None) -> None:
        if step is not None and step.node.policies is not None:
            following = self._gates.left(frame, step, ok, monotonic())
            if following is not None:
                self._is_ready(*following)

    def _refill(self, group: Group) -> None:
        """Open as many frames as may be. Where there is none, the group has ended."""
        limit = self._lanes.limit(group)
        while group.waiting and group.open < limit and group.open + len(group.results) < group.window:
            self._open(group, group.waiting.popleft())
        if group.is_low:
            self._changed.notify()
        if group.is_read and not group.waiting and not group.open:
            self._ends(group)
            if group.parent is None:
                self._is_over = True
                self._changed.notify()
            else:
                frame, step = group.parent
                step.store(frame.values, group.collected())
                self._advance(frame, step)

    def _open(self, group: Group, inputs: Inputs) -> None:
        frame = Frame(group, inputs, self._lanes.runs_whole(group))
        group.open += 1
        self._begins(frame)
        if frame.is_whole:
            self._is_ready(frame, None)
        elif self._lanes.is_serial:
            self._is_ready(frame, frame.plan.steps[0])
        else:
            for step in frame.plan.steps:
                if not step.needs:
                    self._is_ready(frame, step)

    def _begins(self, one: Group | Frame) -> None:
        if one.is_told:
            with self._lock:
                self._begun[one] = None
            one.begins()

    def _ends(self, one: Group | Frame) -> None:
        if self._begun.pop(one, self) is None:
            one.ends()
