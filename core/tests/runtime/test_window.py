from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipe_core.runtime.window import Window


def drain(window: Window) -> list[tuple[int, object]]:
    return list(window.ready())


def test_outcomes_wait_for_their_turn() -> None:
    window = Window(10, 100)
    numbers = [window.add(1) for _ in range(3)]
    assert numbers == [0, 1, 2]
    window.finish(2, "c")
    window.finish(1, "b")
    assert drain(window) == []
    window.finish(0, "a")

    assert drain(window) == [(0, "a"), (1, "b"), (2, "c")]
    assert (len(window), window.bytes, window.running) == (0, 0, 0)


def test_without_order_outcomes_come_as_they_are_there() -> None:
    window = Window(10, 100, ordered=False)
    for _ in range(3):
        window.add(1)
    window.finish(2, "c")
    assert drain(window) == [(2, "c")]
    window.finish(0, "a")

    assert drain(window) == [(0, "a")]
    assert (len(window), window.running) == (1, 1)


def test_the_number_of_tasks_is_bounded() -> None:
    window = Window(2, 1000)
    window.add(1)
    assert window.fits(1)
    window.add(1)
    assert not window.fits(1)
    window.finish(1, None)
    assert not window.fits(1), "a result that waits for its turn counts"
    window.finish(0, None)
    drain(window)

    assert window.fits(1)


def test_the_bytes_are_bounded() -> None:
    window = Window(10, 100)
    window.add(60)

    assert window.fits(40)
    assert not window.fits(41)
    assert window.bytes == 60


def test_one_task_always_fits() -> None:
    window = Window(1, 10)
    assert window.fits(10**9)
    number = window.add(10**9)
    assert not window.fits(0)
    window.finish(number, None)
    drain(window)

    assert window.fits(10**9)


def test_an_outcome_that_comes_too_late_is_refused() -> None:
    window = Window(2, 10)
    number = window.add(1)
    window.finish(number, "first")
    drain(window)
    window.finish(number, "late")
    window.finish(99, "of nobody")

    assert drain(window) == []
    assert (len(window), window.bytes) == (0, 0)


def test_a_task_runs_again_in_its_place() -> None:
    window = Window(3, 10)
    first, second = window.add(4), window.add(4)
    window.finish(first, "bad")
    window.finish(second, "b")
    given_back = []
    for number, outcome in window.ready():
        given_back.append((number, outcome))
        if outcome == "bad":
            window.reopen(number)
    assert given_back == [(first, "bad")]
    assert (len(window), window.bytes, window.running) == (2, 8, 1)
    window.finish(first, "a")

    assert drain(window) == [(first, "a"), (second, "b")]


def test_a_task_stays_inside_while_its_outcome_is_looked_at() -> None:
    window = Window(1, 10)
    window.finish(window.add(5), "a")
    ready = window.ready()
    next(ready)

    assert (len(window), window.bytes, window.fits(1)) == (1, 5, False)
    with pytest.raises(StopIteration):
        next(ready)
    assert (len(window), window.bytes, window.fits(1)) == (0, 0, True)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), ordered=st.booleans(), most=st.integers(1, 5), most_bytes=st.integers(1, 50))
def test_nothing_is_lost_doubled_or_over_the_bounds(
    data: st.DataObject, ordered: bool, most: int, most_bytes: int
) -> None:
    window = Window(most, most_bytes, ordered=ordered)
    sizes = data.draw(st.lists(st.integers(0, 80), max_size=25))
    running: list[int] = []
    committed: list[int] = []
    inside: dict[int, int] = {}
    tries: dict[int, int] = {}
    while sizes or len(window):
        while sizes and window.fits(sizes[0]):
            size = sizes.pop(0)
            assert not inside or (len(inside) < most and sum(inside.values()) + size <= most_bytes)
            number = window.add(size)
            inside[number] = size
            running.append(number)
        assert (len(window), window.bytes, window.running) == (len(inside), sum(inside.values()), len(running))
        assert running, "nothing runs, and nothing is ready"
        number = running.pop(data.draw(st.integers(0, len(running) - 1)))
        window.finish(number, number * 10)
        for ready, outcome in window.ready():
            assert outcome == ready * 10
            if tries.setdefault(ready, 0) < 2 and data.draw(st.booleans()):
                tries[ready] += 1
                window.reopen(ready)
                running.append(ready)
            else:
                committed.append(ready)
                del inside[ready]

    assert sorted(committed) == list(range(len(committed)))
    assert len(committed) == len(tries)
    assert not ordered or committed == sorted(committed)
