"""What a `TaskExecutor` says where somebody has written something else than they mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from held_calls import LIMIT, ON_THREADS

from pipe_core import OptionsError, PluginNotFoundError, TaskExecutor, get_scheduler
from pipe_core.kernel.index import PluginEntry, PluginIndex

pytestmark = ON_THREADS


def ask(number: int) -> int:
    return number


def ask_with(number: int, **options: Any) -> int:
    return ask(number, **options)


def ask_patiently(number: int, timeout: float) -> int:
    return ask(number, timeout=timeout)  # type: ignore[call-arg]  # on purpose


class Silent:
    """Has nothing to say of itself."""

    def __repr__(self) -> str:
        raise SystemExit(3)


# --- the function ---


@pytest.mark.parametrize("wrong", [3, "ask", None, [ask]])
def test_what_cannot_be_called_is_not_submitted(one: TaskExecutor, wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"something to call, not .*: submit\(fn, x\), not submit\(fn\(x\)\)\."):
        one.submit(wrong)
    assert one.get_stats().submitted_tasks == 0


def test_its_repr_is_somebody_else_s_code(one: TaskExecutor) -> None:
    with pytest.raises(TypeError, match="not <a Silent>"):
        one.submit(Silent())  # type: ignore[arg-type]  # on purpose
    with pytest.raises(TypeError) as caught:
        one.submit(list(range(100_000)))  # type: ignore[arg-type]  # on purpose
    assert len(str(caught.value)) < 300


def test_map_wants_the_function_first(one: TaskExecutor) -> None:
    with pytest.raises(TypeError, match=r"^map\(\) wants something to call first, not \[1, 2\]\.$"):
        one.map([1, 2], ask)  # type: ignore[arg-type]  # on purpose


# --- the options of a call ---


@pytest.mark.parametrize("name", ["timeout", "deadline", "retries", "breaker", "tags"])
@pytest.mark.parametrize("fn", [ask, ask_with, len])
def test_an_option_of_ours_that_the_function_refuses(one: TaskExecutor, fn: Callable[..., Any], name: str) -> None:
    error = one.submit(fn, 13, **{name: 5}).exception(LIMIT)
    assert isinstance(error, TypeError)
    assert error.__notes__ == [f"{name}= belongs to submit_with({name}=...)(fn, ...)."]


@pytest.mark.parametrize("fn", [ask, ask_with])
def test_a_priority_that_is_none(one: TaskExecutor, fn: Callable[..., Any]) -> None:
    error = one.submit(fn, 13, priority="high").exception(LIMIT)
    assert isinstance(error, TypeError)
    assert error.__notes__ == ["A priority is a TaskPriority or a number."]


def test_an_argument_of_the_function_s_own_is_not_ours(one: TaskExecutor) -> None:
    def fail(**options: Any) -> None:
        raise TypeError(f"odd: {sorted(options)}")

    wrong = (one.submit(ask_patiently, 13, timeout=5), one.submit(ask, 1, 2), one.submit(ask, color="red"))
    for future in (*wrong, one.submit(fail, number=1)):
        error = future.exception(LIMIT)
        assert isinstance(error, TypeError)
        assert not hasattr(error, "__notes__")
    assert isinstance(one.submit(int, "x").exception(LIMIT), ValueError)


@pytest.mark.parametrize("tags", [[["a"]], ["fine", {}], [("a", [])]])
def test_a_tag_that_cannot_be_hashed(one: TaskExecutor, tags: Any) -> None:
    with pytest.raises(OptionsError, match="tag wants to be hashable") as caught:
        one.submit_with(tags=tags)
    assert set(caught.value.problems) == {"tags"}


# --- futures ---


def test_waiting_for_one_future(one: TaskExecutor) -> None:
    future = one.submit(ask, 1)
    with pytest.raises(TypeError, match=r"^wait\(\) wants a list of futures; write \[future\]\.$"):
        one.wait(future)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(TypeError, match=r"^as_completed\(\) wants a list of futures; write \[future\]\.$"):
        next(one.as_completed(future))  # type: ignore[arg-type]  # on purpose
    assert one.wait([future], LIMIT) == [future]


def test_what_is_no_call_cannot_be_submitted_again(one: TaskExecutor) -> None:
    with pytest.raises(TypeError, match=r"one of dead_letters, not 5\.$"):
        one.requeue(5)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(TypeError, match="The call of a future has its number as id"):
        one.requeue(one.submit(ask, 1))  # type: ignore[arg-type]  # on purpose


# --- the executor ---


def test_an_executor_that_was_shut_down() -> None:
    executor = TaskExecutor(max_workers=1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match=r"after shutdown: this executor was shut down; make another one\."):
        executor.submit(ask, 1)


@pytest.mark.parametrize(
    "scheduler", [("priority",), ("priority", {}, {}), (), "", 5, type(get_scheduler("priority")), ("priority", 5)]
)
def test_what_is_no_scheduler(scheduler: Any) -> None:
    with pytest.raises((OptionsError, PluginNotFoundError), match="scheduler"):
        TaskExecutor(max_workers=1, scheduler=scheduler)


def test_a_scheduler_with_its_options_and_one_that_was_made() -> None:
    for scheduler in [("priority", {}), get_scheduler("priority"), None]:
        with TaskExecutor(max_workers=1, scheduler=scheduler) as executor:
            assert executor.submit(ask, 3, priority=1).result(LIMIT) == 3


@pytest.fixture
def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where pipe-threads is not installed."""
    entries = PluginIndex.entries

    def left(index: PluginIndex, family: str) -> tuple[PluginEntry, ...]:
        return tuple(one for one in entries(index, family) if one.name != "threads")

    monkeypatch.setattr(PluginIndex, "entries", left)


@pytest.mark.usefixtures("without_threads")
def test_threads_that_are_not_installed() -> None:
    with pytest.raises(PluginNotFoundError) as caught:
        TaskExecutor()
    assert str(caught.value) == (
        "TaskExecutor() runs calls in threads, for which pipe-threads is not installed: pip install pipe-threads. "
        "Or say TaskExecutor('sync')."
    )
    assert (caught.value.family, caught.value.name) == ("executors", "threads")
    assert "sync" in caught.value.installed
    with pytest.raises(PluginNotFoundError, match="No executor named 'threads'"):
        TaskExecutor("threads")
    with TaskExecutor("sync") as executor:
        assert executor.submit(ask, 3).result(LIMIT) == 3


def test_threads_that_are_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipe_core import Kernel, PluginBlockedError, using

    kernel = Kernel(environ={"PIPE_DISABLE_PLUGINS": "threads"})
    with using(kernel=kernel), pytest.raises(PluginBlockedError, match="PIPE_DISABLE_PLUGINS"):
        TaskExecutor()
