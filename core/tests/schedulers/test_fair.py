"""The scheduler `fair`: tags take turns."""

from __future__ import annotations

from typing import Any

from pipe_core import FairScheduler
from pipe_core.testing.waiting import WaitingTask


def pushed(scheduler: Any, text: str, first: int = 0) -> None:
    """A task for each letter, which is its tag."""
    for sequence, tag in enumerate(text, first):
        scheduler.push(WaitingTask(sequence, tag=None if tag == "-" else tag))


def popped(scheduler: Any, count: int) -> list[tuple[Any, int]]:
    tasks = [scheduler.pop(0, 0.0) for _ in range(count)]
    return [(task.tag, task.sequence) for task in tasks]


def test_tags_take_turns_and_each_is_first_in_first_out() -> None:
    scheduler = FairScheduler()
    pushed(scheduler, "aaabb-")
    assert popped(scheduler, 6) == [("a", 0), ("b", 3), (None, 5), ("a", 1), ("b", 4), ("a", 2)]


def test_many_tasks_of_a_tag_delay_another_by_one_round_at_most() -> None:
    scheduler = FairScheduler()
    pushed(scheduler, "ab" * 50_000)
    popped(scheduler, 1)
    pushed(scheduler, "c", first=100_000)
    assert [tag for tag, _ in popped(scheduler, 4)] == ["b", "a", "c", "b"]


def test_a_tag_that_comes_back_has_its_turn_behind_the_others() -> None:
    """Otherwise one that submits its next task when the last was taken would go first all the time."""
    scheduler = FairScheduler()
    pushed(scheduler, "abc")
    assert popped(scheduler, 1) == [("a", 0)]
    pushed(scheduler, "a", first=3)
    assert popped(scheduler, 3) == [("b", 1), ("c", 2), ("a", 3)]


def test_a_tag_whose_tasks_were_removed_has_no_turn() -> None:
    scheduler = FairScheduler()
    pushed(scheduler, "abcb")
    assert scheduler.remove(WaitingTask(0, tag="a"))
    assert popped(scheduler, 3) == [("b", 1), ("c", 2), ("b", 3)]
    assert scheduler.pop(0, 0.0) is None
