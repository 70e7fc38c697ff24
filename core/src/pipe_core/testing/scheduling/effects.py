"""Effects: what a scheduler does beside its answers, to tasks, threads, memory and time."""

from __future__ import annotations

import gc
import sys
import threading
import time
import tracemalloc
import types
import weakref
from typing import Any, Final

import pytest

from pipe_core.testing.scheduling.ground import Ground
from pipe_core.testing.waiting import SLOTS, counting, drained, mixed

_FEW: Final = 200
_MANY: Final = 2_000
_MARGIN: Final = 2.5
"""How much more work a task may cost among ten times as many. A search through all of them costs ten times as much."""
_HOUR: Final = 3600.0
_GROWTH: Final = 60_000
"""Bytes that a queue of constant length may take more after some thousands of tasks."""

_CLOCKS: Final = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
_REFUSED: Final = frozenset(getattr(time, name) for name in ("sleep", *_CLOCKS, *(f"{name}_ns" for name in _CLOCKS)))


class EffectTests(Ground):
    """What a scheduler does beside."""

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
