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
import tracemalloc
import types
import weakref
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipe_core.kernel.access import get_scheduler
from pipe_core.kernel.contracts import Scheduler
from pipe_core.kernel.errors import OptionsError
from pipe_core.testing.kit import Conformance
from pipe_core.testing.waiting import SLOTS, History, WaitingTask, belongs_to_slots, counting, drained, mixed

_FEW: Final = 200
_MANY: Final = 2_000
_MARGIN: Final = 2.5
"""How much more work a task may cost among ten times as many. A search through all of them costs ten times as much."""
_HOUR: Final = 3600.0
_GROWTH: Final = 60_000
"""Bytes that a queue of constant length may take more after some thousands of tasks."""

_CLOCKS: Final = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
_REFUSED: Final = frozenset(getattr(time, name) for name in ("sleep", *_CLOCKS, *(f"{name}_ns" for name in _CLOCKS)))

# What may happen next: a push of a task with a band, a number and a tag, a pop by a slot after some seconds, a removal
# or a second push of a task by its number.
_STEPS: Final = st.lists(
    st.one_of(
        st.tuples(
            st.just("push"), st.integers(0, 3), st.sampled_from([0.0, -1.5, 2.0, 1e9]), st.sampled_from([None, "a", 7])
        ),
        st.tuples(st.just("pop"), st.integers(0, SLOTS - 1), st.floats(0, 1e6)),
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
        starves: Whether a task may wait for as long as others come. Say so only where the users are told.
        examples: How many random histories are tried.
    """

    scheduler: ClassVar[str] = ""
    options: ClassVar[Mapping[str, Any]] = {}
    ordered: ClassVar[bool] = False
    starves: ClassVar[bool] = False
    examples: ClassVar[int] = 200

    # --- what a subclass may change ---

    def make_scheduler(self) -> Scheduler:
        """A fresh scheduler. Override it to test one that is not installed."""
        return get_scheduler(self.scheduler, **self.options)

    def make_task(self, sequence: int, **key: Any) -> Any:
        """The task that was submitted as number *sequence*, with whatever the scheduler looks at.

        *key* are some of band, number, tag and since; the others are those of a task about which nobody said anything.
        """
        return WaitingTask(sequence, **key)

    # --- how it is made ---

    def test_it_fits_the_contract(self) -> None:
        """It has the four methods, and what it may have beside is what the contract says."""
        scheduler = self.make_scheduler()
        assert isinstance(scheduler, Scheduler)
        assert callable(getattr(scheduler, "bind", int))
        assert {type(getattr(scheduler, name, False)) for name in ("per_slot", "priorities")} == {bool}

    def test_an_unknown_option_is_refused(self) -> None:
        """By its name."""
        if not self.scheduler:
            pytest.skip("it has no name")
        with pytest.raises(OptionsError, match="no_such_option"):
            get_scheduler(self.scheduler, **{**self.options, "no_such_option": 1})

    def test_two_schedulers_share_nothing(self) -> None:
        """A task that waits in one does not wait in the other."""
        one, other = self._scheduler(), self._scheduler()
        one.push(self.make_task(1))
        assert len(other) == 0
        assert list(drained(other)) == []
        assert len(one) == 1

    # --- laws ---

    def test_an_empty_one_has_nothing(self) -> None:
        """Before the first task and behind the last."""
        scheduler, task = self._scheduler(), self.make_task(1)
        for now in (0.0, 1e9):
            assert len(scheduler) == 0
            assert scheduler.pop(0, now) is None
            assert scheduler.pop(3, now) is None
            assert scheduler.remove(task) is False
            scheduler.push(task)
            assert [one is task for one in drained(scheduler, now=now)] == [True]

    def test_every_task_leaves_exactly_once(self) -> None:
        """Whatever is pushed, popped, removed and pushed again, in any order, by any slot, however time passes."""

        @settings(max_examples=self.examples, deadline=None, database=None, derandomize=True)
        @given(_STEPS)
        def check(steps: list[tuple[Any, ...]]) -> None:
            History(self).play(steps)

        check()

    def test_a_removed_task_is_never_popped(self) -> None:
        """The first, the last, one from the middle, and all of them."""
        for gone in ([0], [9], [4], [0, 1, 2], [7, 8, 9], list(range(10))):
            scheduler = self._scheduler()
            tasks = self._pushed(scheduler, 10)
            assert [scheduler.remove(tasks[i]) for i in gone] == [True] * len(gone)
            assert [scheduler.remove(tasks[i]) for i in gone] == [False] * len(gone)
            assert len(scheduler) == 10 - len(gone)
            left = [tasks[i] for i in range(10) if i not in gone]
            assert sorted(map(id, drained(scheduler))) == sorted(map(id, left))

    def test_a_task_that_came_never_or_left_is_not_removed(self) -> None:
        """`remove` says False, and nothing else leaves."""
        scheduler = self._scheduler()
        self._pushed(scheduler, 5)
        popped = next(drained(scheduler))
        assert scheduler.remove(popped) is False
        assert scheduler.remove(self.make_task(99)) is False
        assert len(scheduler) == 4

    def test_the_order_is_kept(self) -> None:
        """Where it says ``ordered = True``."""
        if not self.ordered:
            pytest.skip("this scheduler does not promise the order of submission")
        scheduler = self._scheduler()
        tasks = self._pushed(scheduler, 100)
        assert scheduler.remove(tasks.pop(50))
        assert list(map(id, drained(scheduler))) == list(map(id, tasks))

    def test_the_same_calls_give_the_same_answers(self) -> None:
        """No chance, no clock, no memory of another scheduler."""
        answers = []
        for _ in range(3):
            scheduler = self._scheduler()
            tasks = self._pushed(scheduler, 60)
            removed = [scheduler.remove(task) for task in tasks[::7]]
            answers.append((removed, [task.sequence for task in drained(scheduler)]))
        assert answers[0] == answers[1] == answers[2]

    # --- slots ---

    @pytest.mark.parametrize("slots", [1, 2, 3, SLOTS, 100])
    def test_it_serves_any_number_of_slots(self, slots: int) -> None:
        """All tasks leave where every slot asks in turn, and no slot is forgotten where there is plenty."""
        scheduler = self._scheduler(slots)
        tasks = self._pushed(scheduler, 20 * slots, "mixed")
        served = set[int]()
        for slot in range(slots):
            if (task := scheduler.pop(slot, 0.0)) is not None:
                served.add(slot)
                tasks.remove(task)
        assert served == set(range(slots))
        assert sorted(map(id, drained(scheduler, slots))) == sorted(map(id, tasks))

    def test_a_slot_that_asks_alone_is_given_what_it_may_have(self) -> None:
        """All tasks, unless they belong to slots; then the others get theirs, however late they ask."""
        scheduler = self._scheduler()
        tasks = self._pushed(scheduler, 5 * SLOTS, "mixed")
        alone = []
        while (task := scheduler.pop(1, 0.0)) is not None:
            alone.append(task)
        if not belongs_to_slots(scheduler):
            assert len(alone) == len(tasks)
        assert sorted(map(id, [*alone, *drained(scheduler)])) == sorted(map(id, tasks))

    # --- priorities, tags and time ---

    def test_priorities_are_kept_where_they_are_promised(self) -> None:
        """Higher bands first, then lower numbers, then as they came. Without ``priorities`` they change nothing."""
        scheduler, plain = self._scheduler(), self._scheduler()
        for sequence in range(60):
            key = mixed(sequence)
            scheduler.push(self.make_task(sequence, **key))
            plain.push(self.make_task(sequence, tag=key["tag"]))
        left = [task.sequence for task in drained(scheduler, step=0.0)]
        expected = [task.sequence for task in drained(plain, step=0.0)]
        if getattr(scheduler, "priorities", False):
            expected = sorted(range(60), key=lambda sequence: (-(sequence % 4), sequence * 7 % 5, sequence))
        assert left == expected

    def test_no_task_waits_for_ever(self) -> None:
        """While newer ones come all the time, more urgent ones too, with tags of their own. Not with ``starves``."""
        if self.starves:
            pytest.skip("this scheduler says that a task may starve")
        scheduler = self._scheduler()
        self._pushed(scheduler, SLOTS)
        scheduler.push(self.make_task(SLOTS, band=0, tag="rare"))
        for turn in range(500):
            number = SLOTS + 1 + turn
            key = mixed(number, band=1 + turn % 3, number=0.0, since=turn * _HOUR)
            scheduler.push(self.make_task(number, **key))
            task = scheduler.pop(turn % SLOTS, turn * _HOUR)
            if task is not None and task.sequence == SLOTS:
                return
        pytest.fail("500 others left, and a task of the band LOW that came before them still waits")

    # --- what it does beside ---

    def test_it_writes_nothing_on_a_task(self) -> None:
        """A task belongs to who submitted it, and may be pushed again elsewhere."""
        scheduler = self._scheduler()
        tasks = self._pushed(scheduler, 20, "mixed")
        scheduler.remove(tasks[3])
        assert sum(1 for _ in drained(scheduler)) == 19
        written, fresh = (
            [getattr(task, "__dict__", None) for task in some] for some in (tasks, self._tasks(20, "mixed"))
        )
        assert written == fresh

    def test_it_starts_no_thread_and_looks_at_no_clock(self) -> None:
        """The time is what it is told."""
        scheduler = self._scheduler()
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
            assert sum(1 for _ in drained(scheduler)) == 19

    def test_it_forgets_tasks_that_left(self) -> None:
        """Popped and removed ones can be collected."""
        scheduler = self._scheduler()
        tasks = self._pushed(scheduler, 10)
        gone = [weakref.ref(task) for task in tasks[:9]]
        for task in tasks[:4]:
            scheduler.remove(task)
        del task
        left = weakref.ref(tasks[9])
        tasks.clear()
        for turn in range(SLOTS * 5):
            if len(scheduler) > 1:
                scheduler.pop(turn % SLOTS, 0.0)
        gc.collect()
        assert sum(one() is not None for one in (*gone, left)) == 1

    def test_ten_thousand_tasks_come_and_go(self) -> None:
        """And as many are removed."""
        scheduler = self._scheduler()
        tasks = self._pushed(scheduler, 20_000)
        assert all(scheduler.remove(task) for task in tasks[::2])
        assert len(scheduler) == 10_000
        assert sum(1 for _ in drained(scheduler)) == 10_000

    def test_a_queue_that_is_never_empty_does_not_grow(self) -> None:
        """Whatever bands, numbers and tags come, and whether tasks are popped or removed."""
        scheduler, waiting = self._scheduler(), dict[int, Any]()

        def go_on(first: int, end: int, popping: int) -> int:
            for sequence in range(first, end):
                waiting[sequence] = task = self.make_task(sequence, **mixed(sequence, tag=sequence, since=sequence))
                scheduler.push(task)
                if len(waiting) > 2 * SLOTS:
                    left = scheduler.pop(sequence % SLOTS, sequence) if sequence % popping else None
                    if left is None:
                        left = next(iter(waiting.values()))
                        assert scheduler.remove(left)
                    waiting.pop(left.sequence)
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            before = go_on(0, 1_000, popping=3)
            popped = go_on(1_000, 3_500, popping=3)
            removed = go_on(3_500, 6_000, popping=1)  # nothing is popped
        finally:
            tracemalloc.stop()
        assert popped - before < _GROWTH, f"{popped - before:,} bytes more after 2,500 tasks that left"
        assert removed - popped < _GROWTH, f"{removed - popped:,} bytes more after 2,500 tasks that were removed"

    @pytest.mark.parametrize("kind", ["alike", "mixed"])
    def test_a_task_costs_no_more_among_many(self, kind: str) -> None:
        """Counted in lines of Python and looks at tasks: a search through all that wait would show."""
        few = self._work(_FEW, kind, sys.maxsize)
        most = int(few * _MARGIN * _MANY / _FEW)
        many = self._work(_MANY, kind, most)
        assert many <= most, f"{_FEW:,} tasks took {few:,} steps, {_MANY:,} took more than {most:,}"

    def test_the_first_pop_costs_no_more_among_many(self) -> None:
        """Nor does one after hours in which nobody asked: not all tasks are looked at because time has passed."""
        few = self._first_pop(_FEW, sys.maxsize)
        many = self._first_pop(_MANY, int(few * _MARGIN))
        assert many <= few * _MARGIN, f"among {_FEW:,} tasks it took {few:,} steps, among {_MANY:,} {many:,}"

    # --- helpers ---

    def _scheduler(self, slots: int = SLOTS) -> Scheduler:
        """A fresh scheduler as an executor with so many slots makes it ready."""
        scheduler = self.make_scheduler()
        if (bind := getattr(scheduler, "bind", None)) is not None:
            bind(slots)
        return scheduler

    def _tasks(self, count: int, kind: str = "alike") -> list[Any]:
        return [self.make_task(sequence, **(mixed(sequence) if kind == "mixed" else {})) for sequence in range(count)]

    def _pushed(self, scheduler: Scheduler, count: int, kind: str = "alike") -> list[Any]:
        tasks = self._tasks(count, kind)
        for task in tasks:
            scheduler.push(task)
        return tasks

    def _work(self, count: int, kind: str, most: int) -> int:
        """Steps that *count* tasks take, given up behind *most*."""
        scheduler, tasks = self._scheduler(), self._tasks(count, kind)
        with counting(most) as steps:
            for task in tasks:
                scheduler.push(task)
            for i in range(0, count, 3):
                scheduler.remove(tasks[count - 1 - i])
            for _ in drained(scheduler, now=1.0):
                pass
        return steps[0]

    def _first_pop(self, count: int, most: int) -> int:
        """Steps of the first pop, after an hour, of one of *count* tasks, given up behind *most*."""
        scheduler = self._scheduler()
        self._pushed(scheduler, count, "mixed")
        with counting(most) as steps:
            assert scheduler.pop(0, _HOUR) is not None
        return steps[0]


def _refuse(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("a scheduler starts no thread and has no clock of its own: `now` is the time")
