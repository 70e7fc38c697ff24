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
from typing import TYPE_CHECKING, Any

from pipe_core.graph.inline import call_step, run_plan
from pipe_core.graph.nesting import PipelineNode
from pipe_core.graph.plan import Plan, Step
from pipe_core.graph.scope import Item, Run, Scope

if TYPE_CHECKING:
    from pipe_core.graph.lanes import Lane
    from pipe_core.graph.layout import Layout

Inputs = dict[str, Any]


class Group:
    """The items of one map, or the one activation of a pipeline that is not mapped.

    Args:
        plan: What runs for each.
        scope: Where.
        items: Their inputs.
        item: The place of what is around it in each map there.
        parent: The frame and the step that have it inside; None for what the run is about.
        mapped: Whether it is a map.

    Attributes:
        results: The outputs of each item that has ended, by its index.
        count: How many have begun.
        open: How many of them have not ended.
        is_read: Whether all have begun.
    """

    __slots__ = ("count", "is_read", "item", "items", "mapped", "open", "parent", "plan", "results", "scope")

    def __init__(
        self,
        plan: Plan,
        scope: Scope,
        items: Iterator[Inputs],
        item: Item = (),
        parent: tuple[Frame, Step] | None = None,
        *,
        mapped: bool,
    ) -> None:
        self.plan = plan
        self.scope = scope
        self.items = items
        self.item = item
        self.parent = parent
        self.mapped = mapped
        self.results: dict[int, dict[str, Any]] = {}
        self.count = self.open = 0
        self.is_read = False

    def rows(self) -> list[dict[str, Any]]:
        """The outputs of each item, in order."""
        return [self.results[index] for index in range(self.count)]

    def collected(self) -> tuple[Any, ...]:
        """What the step around it gives."""
        if self.mapped:
            return tuple([row[name] for row in self.rows()] for name in self.plan.outputs)
        return tuple(self.results[0].values())


class Frame:
    """One activation of a plan: its values, and what its steps still wait for.

    Attributes:
        group: Which it belongs to.
        index: Its place there.
        item: Its place in each map around it.
        values: Of its inputs and of all that has ended.
        missing: For each step, how many others it waits for.
        left: How many steps have not ended.
    """

    __slots__ = ("group", "index", "item", "left", "missing", "plan", "scope", "values")

    def __init__(self, group: Group, inputs: Inputs) -> None:
        self.group = group
        self.plan = group.plan
        self.scope = group.scope
        self.index = group.count
        self.item = (*group.item, group.count) if group.mapped else group.item
        self.values = self.plan.values(inputs)
        self.missing = [step.needs for step in self.plan.steps]
        self.left = len(self.plan.steps)
        group.count += 1


Work = tuple[Frame, Step | None]
"""A step to run; all steps of the frame where it is None."""


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
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._numbers = itertools.count()
        self._news: deque[Callable[[], None]] = deque()
        self._helped: list[Lane] = [lanes.here]
        self._running = 0
        self._is_over = False

    # --- for the engine ---

    def drive(self, group: Group) -> None:
        """Run *group* to its end. What belongs in the calling thread runs here.

        Raises:
            BaseException: What the first step raised that failed; nothing runs any more then.
        """
        self._helped += self._lanes.around_this_thread()
        self.ended([], None, None, group)
        while True:
            try:
                if not self._turn():
                    break
            except BaseException as error:  # Ctrl-C, or the time is over
                self.fail(error)
        if self.error is not None:
            raise self.error

    def _turn(self) -> bool:
        """Do the next thing that is for the driver to do. False at the end."""
        work = None
        with self._lock:
            news = self._news.popleft() if self._news else None
            if news is None:
                work = next((found for lane in self._helped if (found := self._pop(lane)) is not None), None)
                if work is not None:
                    self._running += 1
                elif not self._running and (self._is_over or self.error is not None):
                    return False
                else:
                    self._wait()
        if news is not None:
            news()
        elif work is not None:
            self.perform(work, None)
        return True

    def _wait(self) -> None:
        if self.error is not None:
            self._changed.wait()
            return
        self.run.check()
        self._changed.wait(None if self.run.until is None else max(0.0, self.run.until - monotonic()))

    def post(self, news: Callable[[], None]) -> None:
        """Let the driver call *news*: those who bring it must not be kept."""
        with self._lock:
            self._news.append(news)
            self._changed.notify()

    def fail(self, error: BaseException) -> None:
        """Start nothing else. The first error is the run's."""
        with self._lock:
            if self.error is None:
                self.error = error
            self._changed.notify()
        self.run.stop()
        for lane in self._lanes.others:
            lane.cancel()

    # --- for lanes ---

    def take(self, lane: Lane) -> Work | None:
        """The first work for a slot of *lane* that has just been started. None: there is none, the slot is free."""
        with self._lock:
            lane.coming -= 1
            return self._pop_or_leave(lane)

    def more(self, lane: Lane, count: int) -> list[Work]:
        """So many items more, for a slot of *lane* that takes them together."""
        found: list[Work] = []
        with self._lock:
            while len(found) < count and self.error is None and lane.ready and lane.ready[0][-1] is None:
                found.append(heappop(lane.ready)[-2:])
        return found

    def perform(self, work: Work, lane: Lane | None) -> Work | None:
        """Run *work* in the calling thread. Gives the next one for the same slot of *lane*."""
        frame, step = work
        error = group = None
        try:
            if step is None:
                run_plan(frame.plan, frame.values, frame.scope, frame.item)
            elif isinstance(step.node, PipelineNode):
                group = self._lanes.nested(frame, step, step.node)
            else:
                call_step(step, frame.values, frame.scope, frame.item)
        except BaseException as raised:  # also SystemExit: it ends the run, not a thread
            error = raised
        return self.ended([work], error, lane, group)

    def ended(
        self, works: Sequence[Work], error: BaseException | None, lane: Lane | None, group: Group | None = None
    ) -> Work | None:
        """A slot of *lane* has run *works*, or has opened the *group* that is inside of one. Gives its next work."""
        if error is not None:
            self.fail(error)
        with self._lock:
            if self.error is None:
                if group is not None:
                    self._refill(group)
                else:
                    for frame, step in works:
                        self._advance(frame, step)
            following = None
            if lane is not None:
                following = self._pop_or_leave(lane)
            elif works:
                self._running -= 1
            starts = self._starts()
        for one in starts:
            one.start(self)
        return following

    def _pop(self, lane: Lane) -> Work | None:
        if self.error is not None or not lane.ready:
            return None
        frame, step = heappop(lane.ready)[-2:]
        return frame, step

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

    def _advance(self, frame: Frame, step: Step | None) -> None:
        """*step* has ended, or all of the frame."""
        if step is None:
            frame.left = 0
        else:
            frame.left -= 1
            steps = frame.plan.steps
            if not self._lanes.is_serial:
                for follower in step.followers:
                    frame.missing[follower] -= 1
                    if not frame.missing[follower]:
                        self._is_ready(frame, steps[follower])
            elif frame.left:
                self._is_ready(frame, steps[step.index + 1])
        if not frame.left:
            group = frame.group
            group.results[frame.index] = frame.plan.results(frame.values)
            group.open -= 1
            self._refill(group)

    def _is_ready(self, frame: Frame, step: Step | None) -> None:
        lane = self._lanes.lane_of(frame, step)
        place = -1 if step is None else step.index
        heappush(lane.ready, (frame.item, place, next(self._numbers), frame, step))

    def _refill(self, group: Group) -> None:
        """Open as many frames as may be. Where there is none, the group has ended."""
        while not group.is_read and group.open < self._lanes.limit(group):
            inputs = next(group.items, None)
            if inputs is None:
                group.is_read = True
            else:
                self._open(group, inputs)
        if group.is_read and not group.open:
            if group.parent is None:
                self._is_over = True
                self._changed.notify()
            else:
                frame, step = group.parent
                step.store(frame.values, group.collected())
                self._advance(frame, step)

    def _open(self, group: Group, inputs: Inputs) -> None:
        frame = Frame(group, inputs)
        if not frame.left:
            group.results[frame.index] = frame.plan.results(frame.values)
            return
        group.open += 1
        if self._lanes.runs_whole(group):
            self._is_ready(frame, None)
        elif self._lanes.is_serial:
            self._is_ready(frame, frame.plan.steps[0])
        else:
            for step in frame.plan.steps:
                if not step.needs:
                    self._is_ready(frame, step)
