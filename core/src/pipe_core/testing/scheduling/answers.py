"""Answers: which task leaves, when, and to which slot."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipe_core.kernel.access import get_scheduler
from pipe_core.kernel.contracts import Scheduler
from pipe_core.kernel.errors import OptionsError
from pipe_core.testing.scheduling.ground import Ground
from pipe_core.testing.waiting import SLOTS, History, belongs_to_slots, drained, mixed

_HOUR: Final = 3600.0

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


class AnswerTests(Ground):
    """What a scheduler answers."""

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
