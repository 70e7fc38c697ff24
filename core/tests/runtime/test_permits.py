"""Rate limits, budgets, breakers and retries, by a clock that is only a number."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipe_core.kernel.errors import CircuitOpenError, OptionsError
from pipe_core.runtime.permits import CircuitBreaker, RateLimit, StartBudget
from pipe_core.runtime.retries import Retry


def starts(permits: Any, count: int, now: float = 0.0) -> list[float]:
    """The times at which so many tasks start that all wait from the beginning."""
    times = []
    for _ in range(count):
        while (wait := permits.wait(now)) > 0:
            now += wait
        permits.take(now)
        times.append(now)
    return times


def most_in(times: list[float], window: float) -> int:
    """How many starts the fullest window of so many seconds has, its end left out."""
    most, first = 0, 0
    for last, time in enumerate(times):
        while times[first] <= time - window + 1e-6:
            first += 1
        most = max(most, last - first + 1)
    return most


def test_ten_thousand_starts_take_exactly_their_time() -> None:
    times = starts(RateLimit(10, per=1.0), 10_000, now=1e9)
    assert times[-1] - times[0] == pytest.approx(999.9, abs=1e-6)
    assert most_in(times, 1.0) == 10


def test_a_burst_comes_at_once_and_its_debt_is_paid() -> None:
    times = starts(RateLimit(10, per=1.0, burst=10), 100)
    assert times[:10] == [0.0] * 10
    assert times[-1] == pytest.approx(9.0)
    assert most_in(times, 1.0) <= 19


@given(
    st.integers(1, 50),
    st.floats(0.01, 100),
    st.integers(1, 20),
    st.lists(st.floats(0, 30), min_size=1, max_size=60),
)
def test_no_window_ever_holds_more_than_promised(limit: int, per: float, burst: int, idle: list[float]) -> None:
    rate, now, times = RateLimit(limit, per, burst), 0.0, []
    for pause in idle:
        now += pause
        while (wait := rate.wait(now)) > 0:
            now += wait
        rate.take(now)
        times.append(now)
    for first, begin in enumerate(times):
        inside = sum(time < begin + per * (1 - 1e-9) for time in times[first:])
        assert inside <= limit + burst - 1


def test_a_rest_gives_back_no_more_than_the_burst() -> None:
    rate = RateLimit(1, per=1.0, burst=3)
    starts(rate, 3)
    assert starts(rate, 4, now=1_000.0) == [1_000.0, 1_000.0, 1_000.0, 1_001.0]


@pytest.mark.parametrize(
    "arguments", [(0,), (-1,), (math.nan,), (math.inf,), (True,), ("10",), (1, 0), (1, 1, 0), (1, 1, 1.5)]
)
def test_a_wrong_rate_is_refused(arguments: Any) -> None:
    with pytest.raises(OptionsError):
        RateLimit(*arguments)


def test_what_may_be_said_for_a_rate() -> None:
    rate = RateLimit(3)
    assert RateLimit.of(rate) is rate
    assert RateLimit.of(None) is None
    assert repr(RateLimit.of((10, 60))) == "RateLimit(10, per=60, burst=1)"


@pytest.mark.parametrize("given", ["10/s", 0, -1, True, (10,), (10, "s"), (10, 60, 5), ("10", 60), [10, 60]])
def test_what_may_not_be_said_for_a_rate(given: Any) -> None:
    with pytest.raises(OptionsError, match=r"such as 10, or a pair such as \(100, 60\)") as caught:
        RateLimit.of(given)
    assert str(caught.value).endswith(f"not {given!r}.")
    assert "rate_limit" in caught.value.problems


def test_a_budget_is_spent_in_each_interval() -> None:
    assert starts(StartBudget(3, 2.0), 7) == [0.0, 0.0, 0.0, 2.0, 2.0, 2.0, 4.0]


# --- breakers ---


def test_a_breaker_opens_after_failures_in_a_row_and_tries_once() -> None:
    breaker = CircuitBreaker("api", failures=2, reset_after=10.0, waits=True)
    breaker.tell(False, 0.0)
    breaker.tell(True, 0.0)
    breaker.tell(False, 0.0)
    assert breaker.state(0.0) == "closed"
    breaker.tell(False, 1.0)
    assert breaker.state(1.0) == "open"
    assert breaker.wait(4.0) == 7.0
    assert breaker.state(11.0) == "half-open"
    assert breaker.wait(11.0) == 0.0
    assert breaker.take(11.0)
    assert not breaker.take(11.0)
    assert 0 < breaker.wait(11.0) < 1, "one tries: the others look again soon"
    breaker.tell(False, 12.0)
    assert breaker.wait(12.0) == 10.0
    assert breaker.take(22.0)
    breaker.tell(True, 23.0)
    assert breaker.state(23.0) == "closed"


def test_an_open_breaker_says_when_to_come_again() -> None:
    breaker = CircuitBreaker("api", failures=1, reset_after=10.0)
    assert breaker.wait(0.0) == 0.0
    breaker.tell(False, 0.0)
    error = breaker.refusal(4.0)
    assert isinstance(error, CircuitOpenError)
    assert error.retry_after == 6.0
    assert "'api' has failed 1 times in a row" in str(error)
    assert CircuitBreaker("api", waits=True).refusal(0.0) is None


@pytest.mark.parametrize("options", [{"failures": 0}, {"failures": 1.5}, {"reset_after": 0}, {"reset_after": math.nan}])
def test_a_wrong_breaker_is_refused(options: Any) -> None:
    with pytest.raises(OptionsError, match="'api'"):
        CircuitBreaker("api", **options)


def test_leave_that_is_not_used_is_another_one_s() -> None:
    breaker = CircuitBreaker("api", failures=1, reset_after=10.0)
    breaker.tell(False, 0.0)
    assert not breaker.take(9.0)
    assert breaker.take(10.0)
    breaker.leave()
    assert breaker.refusal(10.0) is None
    assert breaker.take(10.0)


class Slow(float):
    """A number that other threads come between while something is added to it."""

    def __add__(self, other: float) -> Slow:
        sleep(0)
        return Slow(float(self) + other)


def together(work: Callable[[], Any], threads: int = 8) -> list[Any]:
    """What *work* gives in so many threads that begin at once."""
    begin = threading.Barrier(threads)
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(lambda: (begin.wait(30), work())[1]) for _ in range(threads)]
        return [future.result(60) for future in futures]


def test_one_of_many_threads_tries() -> None:
    breaker = CircuitBreaker("api", failures=1, reset_after=1.0)
    for n in range(20):
        breaker.tell(False, Slow(2 * n))
        assert sum(together(lambda now=2.0 * n + 1: breaker.take(now))) == 1  # type: ignore[misc]  # bound now
        assert breaker.refusal(2.0 * n + 1) is not None


def test_no_failure_of_many_threads_is_forgotten() -> None:
    threads, each = 8, 1_000
    breaker = CircuitBreaker("api", failures=threads * each + 1)
    breaker._failed = Slow()  # type: ignore[assignment]  # on purpose
    together(lambda: [breaker.tell(False, 0.0) for _ in range(each)], threads)
    assert breaker.state(0.0) == "closed"
    breaker.tell(False, 0.0)
    assert breaker.state(0.0) == "open", "one of them was not counted"


# --- retries ---


def test_delays_grow_up_to_the_longest_and_chance_shortens_them() -> None:
    plain = Retry(10, delay=1.0, factor=2.0, max_delay=5.0, jitter=0.0)
    assert [plain.after(attempt, ValueError()) for attempt in range(1, 5)] == [1.0, 2.0, 4.0, 5.0]
    assert Retry(10_000, delay=1.0, factor=9.0, max_delay=5.0, jitter=0.0).after(5_000, ValueError()) == 5.0
    chance = Retry(10, delay=1.0, jitter=0.5, random=random.Random(1))
    delays = [chance.after(1, ValueError()) for _ in range(100)]
    assert all(delay is not None and 0.5 <= delay <= 1.0 for delay in delays)
    assert len(set(delays)) > 50


def test_the_last_attempt_is_followed_by_none() -> None:
    assert Retry(2).after(2, ValueError()) is not None
    assert Retry(2).after(3, ValueError()) is None
    assert Retry(0).after(1, ValueError()) is None


def test_which_errors_are_tried_again() -> None:
    refused = ValueError()
    refused.retryable = False  # type: ignore[attr-defined]  # what an error may say of itself
    assert Retry().after(1, refused) is None
    assert Retry().after(1, SystemExit()) is None
    assert Retry(on=OSError).after(1, ValueError()) is None
    assert Retry(on=(OSError, ValueError)).after(1, ValueError()) is not None
    assert Retry(on=lambda error: "again" in str(error)).after(1, KeyError("again")) is not None


@pytest.mark.parametrize(
    "options",
    [
        *[{"retries": value} for value in (-1, True, "3", 1.0, None)],
        *[{"delay": value} for value in (-1, "1s", None, True, math.nan, math.inf)],
        *[{"max_delay": value} for value in (math.inf, "30")],
        *[{"factor": value} for value in (0.5, "2", math.inf)],
        *[{"jitter": value} for value in (2, -0.1, "0.5", math.nan)],
        *[{"on": value} for value in ([OSError], "OSError", (OSError, "ValueError"), ValueError(), int, [])],
    ],
    ids=repr,
)
def test_a_wrong_retry_is_refused(options: Any) -> None:
    [(name, value)] = options.items()
    with pytest.raises(OptionsError, match=f"^{name} wants ") as caught:
        Retry(**options)
    assert str(caught.value).endswith(f"not {value!r}.")
