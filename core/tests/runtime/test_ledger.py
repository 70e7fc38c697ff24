from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from pipe_core import IllegalTransitionError, Ledger
from pipe_core.runtime.ledger import TRANSITIONS, TaskStatus, Tracked

PENDING, PROCESSING, COMPLETED, FAILED, CANCELLED, SKIPPED, ABORTED = TaskStatus
LEGAL = {
    (PENDING, PROCESSING),
    (PENDING, CANCELLED),
    (PENDING, SKIPPED),
    (PENDING, ABORTED),
    (PROCESSING, COMPLETED),
    (PROCESSING, FAILED),
    (PROCESSING, CANCELLED),
    (FAILED, PENDING),
}
WAYS = {
    PENDING: [],
    PROCESSING: [PROCESSING],
    COMPLETED: [PROCESSING, COMPLETED],
    FAILED: [PROCESSING, FAILED],
    CANCELLED: [CANCELLED],
    SKIPPED: [SKIPPED],
    ABORTED: [ABORTED],
}


def at(ledger: Ledger, status: TaskStatus) -> Tracked:
    """A task of *ledger* that has come to *status*."""
    task = Tracked()
    ledger.add(task)
    for step in WAYS[status]:
        ledger.move(task, step)
    return task


@pytest.mark.parametrize("to", TaskStatus)
@pytest.mark.parametrize("status", TaskStatus)
def test_the_table_says_which_moves_are_legal(status: TaskStatus, to: TaskStatus) -> None:
    ledger = Ledger()
    task = at(ledger, status)

    assert (to in TRANSITIONS[status]) is ((status, to) in LEGAL)
    if (status, to) in LEGAL:
        ledger.move(task, to)
        assert task.status is to
    else:
        with pytest.raises(IllegalTransitionError, match=f"A task cannot go from {status.value} to {to.value}"):
            ledger.move(task, to)
        assert task.status is status
        assert [list(ledger.tasks(one)) for one in TaskStatus if one is not status] == [[]] * 6
        assert list(ledger.tasks(status)) == [task]


def test_the_final_statuses_are_the_last_five() -> None:
    assert [status for status in TaskStatus if status.final] == [COMPLETED, FAILED, CANCELLED, SKIPPED, ABORTED]


def test_a_task_is_added_once() -> None:
    ledger, task = Ledger(), Tracked()
    ledger.add(task)

    with pytest.raises(IllegalTransitionError, match="tracked already, as pending"):
        ledger.add(task)
    assert (ledger.added, ledger.count(PENDING)) == (1, 1)


def test_a_task_that_was_not_added_cannot_be_moved() -> None:
    with pytest.raises(IllegalTransitionError, match="from not tracked to processing"):
        Ledger().move(Tracked(), PROCESSING)


def test_trying_again_is_another_attempt() -> None:
    ledger = Ledger()
    task = at(ledger, FAILED)
    assert task.attempt == 1
    ledger.move(task, PENDING)

    assert task.attempt == 2
    assert ledger.totals[PENDING] == 2


@pytest.mark.parametrize("status", [PENDING, PROCESSING])
def test_a_task_that_has_not_ended_is_not_forgotten(status: TaskStatus) -> None:
    ledger = Ledger()
    task = at(ledger, status)

    with pytest.raises(IllegalTransitionError):
        ledger.forget(task)
    assert ledger.count(status) == 1


def test_a_forgotten_task_is_out_for_good() -> None:
    ledger = Ledger()
    task = at(ledger, FAILED)
    ledger.forget(task)

    with pytest.raises(IllegalTransitionError, match="only once"):
        ledger.forget(task)
    with pytest.raises(IllegalTransitionError, match="from failed, forgotten, to pending"):
        ledger.move(task, PENDING)
    assert (ledger.count(FAILED), ledger.count(PENDING), ledger.totals[FAILED]) == (0, 0, 1)


def test_a_list_may_be_walked_while_its_tasks_are_moved() -> None:
    ledger = Ledger()
    tasks = [at(ledger, PENDING) for _ in range(5)]
    seen = []
    for task in ledger.tasks(PENDING):
        ledger.move(task, CANCELLED)
        seen.append(task)

    assert seen == tasks == list(ledger.tasks(CANCELLED))


class CountedLinks(Tracked):
    """Counts how often somebody follows or changes its links."""

    touched = 0

    def __getattribute__(self, name: str) -> object:
        if name in ("_before", "_after"):
            CountedLinks.touched += 1
        return super().__getattribute__(name)


def test_a_move_follows_the_same_few_links_however_many_tasks_there_are() -> None:
    def cost(others: int) -> int:
        ledger = Ledger()
        tasks = [CountedLinks() for _ in range(others)]
        for task in tasks:
            ledger.add(task)
        CountedLinks.touched = 0
        middle = tasks[others // 2]
        ledger.move(middle, PROCESSING)
        ledger.move(middle, COMPLETED)
        ledger.count(PENDING)
        ledger.forget(middle)
        return CountedLinks.touched

    assert cost(10) == cost(1000) > 0


class Life(RuleBasedStateMachine):
    """A ledger beside plain lists that are kept the slow way."""

    tasks = Bundle("tasks")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.lists: dict[TaskStatus, list[Tracked]] = {status: [] for status in TaskStatus}
        self.totals = dict.fromkeys(TaskStatus, 0)
        self.attempts: dict[Tracked, int] = {}
        self.forgotten: set[Tracked] = set()

    @rule(target=tasks)
    def add(self) -> Tracked:
        task = Tracked()
        self.ledger.add(task)
        self.attempts[task] = 1
        self._arrive(task, PENDING)
        return task

    def _arrive(self, task: Tracked, status: TaskStatus) -> None:
        self.lists[status].append(task)
        self.totals[status] += 1

    @rule(task=tasks, to=st.sampled_from(TaskStatus))
    def move(self, task: Tracked, to: TaskStatus) -> None:
        status = task.status
        assert status is not None
        if (status, to) not in LEGAL or task in self.forgotten:
            with pytest.raises(IllegalTransitionError):
                self.ledger.move(task, to)
            return
        self.ledger.move(task, to)
        self.lists[status].remove(task)
        self.attempts[task] += status is FAILED
        self._arrive(task, to)

    @rule(task=tasks)
    def forget(self, task: Tracked) -> None:
        assert task.status is not None
        if not task.status.final or task in self.forgotten:
            with pytest.raises(IllegalTransitionError):
                self.ledger.forget(task)
            return
        self.ledger.forget(task)
        self.lists[task.status].remove(task)
        self.forgotten.add(task)

    @invariant()
    def every_list_holds_its_tasks_in_order(self) -> None:
        for status in TaskStatus:
            assert list(self.ledger.tasks(status)) == self.lists[status]
            assert self.ledger.count(status) == len(self.lists[status])
            assert all(task.status is status for task in self.lists[status])

    @invariant()
    def every_circle_closes_both_ways(self) -> None:
        for status, head in self.ledger._heads.items():
            circle = [head, *self.lists[status], head]
            assert all(before._after is after and after._before is before for before, after in pairwise(circle))

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.ledger.added == len(self.attempts)
        assert sum(map(len, self.lists.values())) + len(self.forgotten) == self.ledger.added
        assert self.ledger.totals == self.totals
        assert all(task.attempt == attempt for task, attempt in self.attempts.items())
        assert all(task._after is task._before is None for task in self.forgotten)


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase


@pytest.mark.parametrize("to", TaskStatus)
@pytest.mark.parametrize("status", TaskStatus)
def test_ending_is_moving_and_forgetting(status: TaskStatus, to: TaskStatus) -> None:
    ledger, other = Ledger(), Ledger()
    task, same = at(ledger, status), at(other, status)
    if (status, to) in LEGAL and to.final:
        ledger.end(task, to)
        other.move(same, to)
        other.forget(same)
    else:
        with pytest.raises(IllegalTransitionError, match=f"from {status.value} to {to.value}|does not end as"):
            ledger.end(task, to)
    assert task.status is same.status
    assert ledger.totals == other.totals
    assert [ledger.count(one) for one in TaskStatus] == [other.count(one) for one in TaskStatus]
    assert [len(list(ledger.tasks(one))) for one in TaskStatus] == [ledger.count(one) for one in TaskStatus]


def test_a_task_ends_once() -> None:
    ledger = Ledger()
    task = at(ledger, PROCESSING)
    ledger.end(task, COMPLETED)
    with pytest.raises(IllegalTransitionError, match="from completed, forgotten, to failed"):
        ledger.end(task, FAILED)
