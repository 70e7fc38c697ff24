"""`SchedulerConformance`: what a scheduler must do, as tests that its author inherits.

Write a subclass in your tests and run pytest::

    from pipe_core.testing import SchedulerConformance

    class TestMine(SchedulerConformance):
        scheduler = "mine"
        options = {"classes": 3}
"""

from __future__ import annotations

import gc
import sys
import threading
import time
import types
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipe_core.kernel.access import get_scheduler
from pipe_core.kernel.contracts import Scheduler
from pipe_core.kernel.errors import OptionsError
from pipe_core.testing.kit import Conformance

_FEW: Final = 200
_MANY: Final = 2_000
_MARGIN: Final = 2.5
"""How much more work a task may cost among ten times as many. A search through all of them costs ten times as much."""

_CLOCKS: Final = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
_REFUSED: Final = frozenset(getattr(time, name) for name in ("sleep", *_CLOCKS, *(f"{name}_ns" for name in _CLOCKS)))


class WaitingTask:
    """A task as schedulers see it. Counts how often it is looked at, when somebody counts."""

    looks: ClassVar[Callable[[], None] | None] = None

    def __init__(self, sequence: int) -> None:
        self._sequence = sequence

    @property
    def sequence(self) -> int:
        """Grows with every submit."""
        self._seen()
        return self._sequence

    def __eq__(self, other: object) -> bool:
        self._seen()
        return self is other

    def __hash__(self) -> int:
        return self._sequence

    def __repr__(self) -> str:
        return f"<task {self._sequence}>"

    def _seen(self) -> None:
        if WaitingTask.looks is not None:
            WaitingTask.looks()


# What may happen next: a push, a pop by a slot after some seconds, a removal or a second push of a task by its number.
_STEPS: Final = st.lists(
    st.one_of(
        st.tuples(st.just("push")),
        st.tuples(st.just("pop"), st.integers(0, 3), st.floats(0, 1e6)),
        st.tuples(st.just("remove"), st.integers(0, 60)),
        st.tuples(st.just("again"), st.integers(0, 60)),
    ),
    min_size=10,
    max_size=60,
)


class SchedulerConformance(Conformance, kit=True):
    """Inherit, say which scheduler, and run pytest.

    Attributes:
        scheduler: Its name.
        options: Its options.
        ordered: Whether tasks leave in the order in which they came.
        examples: How many random histories are tried.
    """

    scheduler: ClassVar[str] = ""
    options: ClassVar[Mapping[str, Any]] = {}
    ordered: ClassVar[bool] = False
    examples: ClassVar[int] = 200

    # --- what a subclass may change ---

    def make_scheduler(self) -> Scheduler:
        """A fresh scheduler. Override it to test one that is not installed."""
        return get_scheduler(self.scheduler, **self.options)

    def make_task(self, sequence: int) -> Any:
        """The task that was submitted as number *sequence*, with whatever the scheduler looks at."""
        return WaitingTask(sequence)

    # --- how it is made ---

    def test_it_fits_the_contract(self) -> None:
        """It has the four methods."""
        assert isinstance(self.make_scheduler(), Scheduler)

    def test_an_unknown_option_is_refused(self) -> None:
        """By its name."""
        if not self.scheduler:
            pytest.skip("it has no name")
        with pytest.raises(OptionsError, match="no_such_option"):
            get_scheduler(self.scheduler, **{**self.options, "no_such_option": 1})

    def test_two_schedulers_share_nothing(self) -> None:
        """A task that waits in one does not wait in the other."""
        one, other = self.make_scheduler(), self.make_scheduler()
        one.push(self.make_task(1))
        assert len(other) == 0
        assert other.pop(0, 0.0) is None
        assert len(one) == 1

    # --- laws ---

    def test_an_empty_one_has_nothing(self) -> None:
        """Before the first task and behind the last."""
        scheduler, task = self.make_scheduler(), self.make_task(1)
        for _ in range(2):
            assert len(scheduler) == 0
            assert scheduler.pop(0, 0.0) is None
            assert scheduler.pop(3, 1e9) is None
            assert scheduler.remove(task) is False
            scheduler.push(task)
            assert scheduler.pop(0, 0.0) is task

    def test_every_task_leaves_exactly_once(self) -> None:
        """Whatever is pushed, popped, removed and pushed again, in any order, by any slot, at any time."""

        @settings(max_examples=self.examples, deadline=None, database=None, derandomize=True)
        @given(_STEPS)
        def check(steps: list[tuple[Any, ...]]) -> None:
            _History(self).play(steps)

        check()

    def test_a_removed_task_is_never_popped(self) -> None:
        """The first, the last, one from the middle, and all of them."""
        for gone in ([0], [9], [4], [0, 1, 2], [7, 8, 9], list(range(10))):
            scheduler = self.make_scheduler()
            tasks = self._pushed(scheduler, 10)
            assert [scheduler.remove(tasks[i]) for i in gone] == [True] * len(gone)
            assert [scheduler.remove(tasks[i]) for i in gone] == [False] * len(gone)
            assert len(scheduler) == 10 - len(gone)
            left = [tasks[i] for i in range(10) if i not in gone]
            assert sorted(map(id, _drained(scheduler))) == sorted(map(id, left))

    def test_a_task_that_came_never_or_left_is_not_removed(self) -> None:
        """`remove` says False, and nothing else leaves."""
        scheduler = self.make_scheduler()
        self._pushed(scheduler, 5)
        popped = scheduler.pop(0, 0.0)
        assert scheduler.remove(popped) is False
        assert scheduler.remove(self.make_task(99)) is False
        assert len(scheduler) == 4

    def test_the_order_is_kept(self) -> None:
        """Where it says ``ordered = True``."""
        if not self.ordered:
            pytest.skip("this scheduler does not promise the order of submission")
        scheduler = self.make_scheduler()
        tasks = self._pushed(scheduler, 100)
        assert scheduler.remove(tasks.pop(50))
        assert list(map(id, _drained(scheduler))) == list(map(id, tasks))

    def test_the_same_calls_give_the_same_answers(self) -> None:
        """No chance, no clock, no memory of another scheduler."""
        answers = []
        for _ in range(3):
            scheduler = self.make_scheduler()
            tasks = self._pushed(scheduler, 60)
            removed = [scheduler.remove(task) for task in tasks[::7]]
            answers.append((removed, [task.sequence for task in _drained(scheduler)]))
        assert answers[0] == answers[1] == answers[2]

    # --- what it does beside ---

    def test_it_starts_no_thread_and_looks_at_no_clock(self) -> None:
        """The time is what it is told."""
        scheduler = self.make_scheduler()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(threading.Thread, "start", _refuse)
            # A clock that a module has imported by its name is not reached through `time`.
            homes = [sys.modules[kind.__module__] for kind in type(scheduler).__mro__ if kind.__module__ in sys.modules]
            for home in (time, *homes):
                for name, value in list(vars(home).items()):
                    if isinstance(value, types.BuiltinFunctionType) and value in _REFUSED:
                        patch.setattr(home, name, _refuse)
            tasks = self._pushed(scheduler, 20)
            scheduler.remove(tasks[3])
            assert sum(1 for _ in _drained(scheduler)) == 19

    def test_it_forgets_tasks_that_left(self) -> None:
        """Popped and removed ones can be collected; a queue that is never empty must not grow."""
        scheduler = self.make_scheduler()
        tasks = self._pushed(scheduler, 10)
        gone = [weakref.ref(task) for task in tasks[:9]]
        for task in tasks[:4]:
            scheduler.remove(task)
        del task
        left = weakref.ref(tasks[9])
        tasks.clear()
        for _ in range(5):
            scheduler.pop(0, 0.0)
        gc.collect()
        assert sum(one() is not None for one in (*gone, left)) == 1

    def test_ten_thousand_tasks_come_and_go(self) -> None:
        """And as many are removed."""
        scheduler = self.make_scheduler()
        tasks = self._pushed(scheduler, 20_000)
        assert all(scheduler.remove(task) for task in tasks[::2])
        assert len(scheduler) == 10_000
        assert sum(1 for _ in _drained(scheduler)) == 10_000

    def test_a_task_costs_no_more_among_many(self) -> None:
        """Counted in lines of Python and looks at tasks: a search through all that wait would show."""
        few = self._work(_FEW, sys.maxsize)
        most = int(few * _MARGIN * _MANY / _FEW)
        many = self._work(_MANY, most)
        assert many <= most, f"{_FEW:,} tasks took {few:,} steps, {_MANY:,} took more than {most:,}"

    # --- helpers ---

    def _pushed(self, scheduler: Scheduler, count: int) -> list[Any]:
        tasks = [self.make_task(sequence) for sequence in range(count)]
        for task in tasks:
            scheduler.push(task)
        return tasks

    def _work(self, count: int, most: int) -> int:
        """Steps that *count* tasks take, given up behind *most*."""
        scheduler = self.make_scheduler()
        tasks = [self.make_task(sequence) for sequence in range(count)]
        with _counting(most) as steps:
            for task in tasks:
                scheduler.push(task)
            for i in range(0, count, 3):
                scheduler.remove(tasks[count - 1 - i])
            for _ in _drained(scheduler):
                pass
        return steps[0]


class _History:
    """A scheduler beside the list of what should wait in it."""

    def __init__(self, kit: SchedulerConformance) -> None:
        self._kit = kit
        self._scheduler = kit.make_scheduler()
        self._waiting: list[Any] = []
        self._tasks: list[Any] = []
        self._now = 0.0

    def play(self, steps: list[tuple[Any, ...]]) -> None:
        for name, *arguments in steps:
            getattr(self, name)(*arguments)
            assert len(self._scheduler) == len(self._waiting)
        while self._waiting:
            self.pop(0, 1.0)
        assert self._scheduler.pop(0, self._now) is None

    def push(self) -> None:
        task = self._kit.make_task(len(self._tasks))
        self._tasks.append(task)
        self._push(task)

    def again(self, number: int) -> None:
        """As a retry does: the task has left, and comes once more."""
        if self._tasks and not self._waits(task := self._tasks[number % len(self._tasks)]):
            self._push(task)

    def _push(self, task: Any) -> None:
        self._scheduler.push(task)
        self._waiting.append(task)

    def pop(self, slot: int, seconds: float) -> None:
        self._now += seconds
        task = self._scheduler.pop(slot, self._now)
        if not self._waiting:
            assert task is None, f"{task} was popped, and nothing waits"
            return
        assert task is not None, f"{len(self._waiting)} tasks wait, and none was popped"
        assert self._waits(task), f"{task} was popped, and does not wait"
        if self._kit.ordered:
            assert task is self._waiting[0], f"{task} was popped before {self._waiting[0]}"
        self._forget(task)

    def remove(self, number: int) -> None:
        number %= len(self._tasks) + 1
        task = self._tasks[number] if number < len(self._tasks) else self._kit.make_task(number)
        waits = self._waits(task)
        assert self._scheduler.remove(task) is waits, f"{task} {'waits' if waits else 'does not wait'}"
        if waits:
            self._forget(task)

    def _waits(self, task: Any) -> bool:
        return any(one is task for one in self._waiting)

    def _forget(self, task: Any) -> None:
        self._waiting = [one for one in self._waiting if one is not task]


def _refuse(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("a scheduler starts no thread and has no clock of its own: `now` is the time")


def _drained(scheduler: Scheduler) -> Iterator[Any]:
    """All that waits, popped by eight slots in turn."""
    most = len(scheduler)
    for turn in range(most):
        if (task := scheduler.pop(turn % 8, float(turn))) is None:
            return
        yield task
    assert scheduler.pop(0, float(most)) is None, f"{most} tasks waited, and more were popped"


@contextmanager
def _counting(most: int) -> Iterator[list[int]]:
    """Count lines of Python and looks at tasks, up to *most*."""
    steps = [0]

    def step() -> None:
        steps[0] += 1
        if steps[0] > most:
            raise AssertionError(f"more than {most:,} steps: the work for one task grows with the number of tasks")

    def trace(frame: types.FrameType, event: str, argument: Any) -> Any:
        step()
        return trace

    before = sys.gettrace()
    WaitingTask.looks = step
    sys.settrace(trace)
    try:
        yield steps
    finally:
        sys.settrace(before)
        WaitingTask.looks = None
