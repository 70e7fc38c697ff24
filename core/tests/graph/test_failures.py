"""What fails in a run: what is raised, what is said of it, and what goes on."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pipe_core import CancelToken, Engine, Pipeline, RunCancelledError, get_executor, node
from pipe_core.graph.engine import default_engine
from pipe_core.graph.errors import ExecutorClosedError, GraphError, ItemsFailedError


class OutOfRange(Exception):
    def __init__(self, value: int, limit: int) -> None:
        super().__init__(value, limit)
        self.value, self.limit = value, limit


@node
def checked(value: int, limit: int = 10) -> int:
    if value > limit:
        raise OutOfRange(value, limit)
    return value


@node
def doubled(checked: int) -> int:
    return 2 * checked


@node
def apart(value: int) -> int:
    return -value


CHECK = Pipeline([checked, doubled, apart], name="check")


def where(error: BaseException) -> str:
    """What the note says of where it happened. There is one."""
    (found,) = (text for text in error.__notes__ if text.startswith("In node "))
    return found


def test_an_error_keeps_its_type_and_says_where_it_was_raised(anywhere: Engine) -> None:
    with pytest.raises(OutOfRange) as caught:
        CHECK.run({"value": 11}, engine=anywhere)
    assert (caught.value.value, caught.value.limit) == (11, 10)
    assert where(caught.value) == "In node 'checked' of pipeline 'check', called with value=11, limit=10"


def test_the_note_of_an_item_says_which_one(anywhere: Engine) -> None:
    with pytest.raises(OutOfRange) as caught:
        CHECK.map({"value": [1, 2, 11, 3]}, "value", engine=anywhere)
    assert where(caught.value) == "In node 'checked' of pipeline 'check', item 2, called with value=11, limit=10"


def test_the_note_of_an_item_inside_of_an_item_says_both(anywhere: Engine) -> None:
    outer = Pipeline([CHECK.as_node({"rows": "value"}, map_over="rows")], name="outer")
    for call in (
        lambda: outer.map({"rows": [[1], [2, 3, 12]]}, "rows", engine=anywhere),
        lambda: Pipeline([outer.as_node({"tables": "rows"}, map_over="tables")]).run(
            {"tables": [[1], [2, 3, 12]]}, engine=anywhere
        ),
    ):
        with pytest.raises(OutOfRange) as caught:
            call()
        assert where(caught.value) == "In node 'checked' of pipeline 'check', item 1, 2, called with value=12, limit=10"


def test_a_note_is_short_whatever_the_values_are(anywhere: Engine) -> None:
    class Awkward:
        def __repr__(self) -> str:
            raise RuntimeError

    def fails(text: str, thing: Awkward) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no") as caught:
        Pipeline([fails]).run({"text": "x\n" * 10_000, "thing": Awkward()}, engine=anywhere)
    assert len(where(caught.value)) < 250
    assert "\n" not in where(caught.value)
    assert where(caught.value).endswith("thing=<a Awkward>")


def test_behind_a_failure_nothing_begins(anywhere: Engine) -> None:
    begun: list[int] = []

    @node
    def begins(value: int) -> int:
        begun.append(value)
        if value == 0:
            raise KeyError(value)
        return value

    with pytest.raises(KeyError):
        Pipeline([begins]).map({"value": range(500)}, "value", engine=anywhere)
    count = len(begun)
    assert count < 500
    assert anywhere.run(Pipeline([begins]), {"value": 1}) == {"begins": 1}
    assert len(begun) == count + 1


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_is_no_exception_ends_the_run_whatever_was_said(anywhere: Engine, kind: type[BaseException]) -> None:
    def leaves(value: int) -> int:
        raise kind

    for on_error in ("raise", "continue", "collect"):
        with pytest.raises(kind):
            Pipeline([leaves]).run({"value": 1}, engine=anywhere, on_error=on_error)
        with pytest.raises(kind):
            Pipeline([leaves]).map({"value": [1, 2]}, "value", engine=anywhere, on_error=on_error)


# --- going on ---


def test_a_run_that_goes_on_gives_what_does_not_depend_on_the_failure(anywhere: Engine) -> None:
    assert CHECK.run({"value": 11}, engine=anywhere, on_error="continue") == {"apart": -11}
    assert CHECK.run({"value": 1}, engine=anywhere, on_error="continue") == {"checked": 1, "doubled": 2, "apart": -1}
    assert Pipeline([checked]).run({"value": 11}, engine=anywhere, on_error="continue") == {}
    inside = Pipeline(
        [CHECK, node(output_name="other")(lambda value: value), node(output_name="c")(lambda apart: apart)]
    )
    assert inside.run({"value": 11}, engine=anywhere, on_error="continue") == {"other": 11}


def test_a_run_that_collects_raises_all_failures_at_its_end(anywhere: Engine) -> None:
    @node
    def also(value: int) -> int:
        raise LookupError(value)

    with pytest.raises(ItemsFailedError, match="2 of 4 nodes have failed") as caught:
        Pipeline([checked, also, doubled, apart]).run({"value": 11}, engine=anywhere, on_error="collect")
    assert {type(error) for error in caught.value.exceptions} == {OutOfRange, LookupError}
    assert {where(error).split(",")[0] for error in caught.value.exceptions} == {"In node 'checked'", "In node 'also'"}
    assert caught.value.result == {"apart": -11}
    part = caught.value.subgroup(LookupError)
    assert part is not None
    assert part.result == {"apart": -11}


def test_a_map_that_goes_on_knows_which_items_have_failed(anywhere: Engine) -> None:
    result = CHECK.map({"value": [1, 11, 2, 12]}, "value", engine=anywhere, on_error="continue")
    assert result["doubled"] == [2, None, 4, None]
    assert result["apart"] == [-1, None, -2, None]
    assert [(failure.index, failure.inputs["value"], failure.error.args) for failure in result.failed] == [
        (1, 11, (11, 10)),
        (3, 12, (12, 10)),
    ]
    assert [where(failure.error).split(", ")[1] for failure in result.failed] == ["item 1", "item 3"]


def test_a_map_that_collects_raises_all_failures_at_its_end(anywhere: Engine) -> None:
    with pytest.raises(ItemsFailedError, match="2 of 3 items have failed") as caught:
        CHECK.map({"value": [11, 1, 12]}, "value", engine=anywhere, on_error="collect")
    assert [error.args for error in caught.value.exceptions] == [(11, 10), (12, 10)]
    assert caught.value.result["doubled"] == [None, 2, None]
    assert [failure.index for failure in caught.value.result.failed] == [0, 2]


def test_an_item_fails_as_a_whole_where_something_inside_of_it_fails(anywhere: Engine) -> None:
    outer = Pipeline([CHECK.as_node({"rows": "value"}, map_over="rows"), node(output_name="n")(lambda rows: len(rows))])
    result = outer.map({"rows": [[1], [2, 11, 12, 3], []]}, "rows", engine=anywhere, on_error="continue")
    assert result["n"] == [1, None, 0]
    assert result["doubled"] == [[2], None, []]
    ((index, error),) = ((failure.index, failure.error) for failure in result.failed)
    assert index == 1
    assert where(error).startswith("In node 'checked' of pipeline 'check', item 1, ")


def test_what_has_failed_can_run_once_more(anywhere: Engine) -> None:
    broken = {1, 3}

    @node
    def fetched(value: int, base: int) -> int:
        if value in broken:
            raise ConnectionError(value)
        return base + value

    result = Pipeline([fetched]).map(
        {"value": iter(range(5)), "base": 10}, "value", engine=anywhere, on_error="continue"
    )
    assert [failure.index for failure in result.failed] == [1, 3]
    broken.remove(1)
    second = result.retry_failed()
    assert second["fetched"] == [10, 11, 12, None, 14]
    assert [failure.index for failure in second.failed] == [3]
    broken.clear()
    third = second.retry_failed()
    assert (third["fetched"], third.failed) == ([10, 11, 12, 13, 14], [])
    assert third.retry_failed() is third
    assert result["fetched"] == [10, None, 12, None, 14]


def test_what_to_do_with_errors_is_one_of_a_few(anywhere: Engine) -> None:
    for call in (CHECK.run, lambda inputs, **options: CHECK.map({"value": [1]}, "value", **options)):
        with pytest.raises(GraphError, match="'raise', 'continue', 'collect' or 'drain', not 'ignore'"):
            call({"value": 1}, engine=anywhere, on_error="ignore")


# --- time ---


@pytest.mark.parametrize("on_error", ["raise", "continue", "collect"])
@pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside"])
def test_a_run_has_so_much_time(anywhere: Engine, on_error: Any, inside: bool) -> None:
    begun: list[int] = []

    @node
    def waits(value: int) -> int:
        begun.append(value)
        time.sleep(0.1)
        return value

    pipeline = Pipeline([Pipeline([waits])]) if inside else Pipeline([waits])
    with pytest.raises(TimeoutError, match=r"within its timeout of 0\.05 s") as caught:
        pipeline.run({"value": 1}, engine=anywhere, timeout=0.05, on_error=on_error)
    assert not hasattr(caught.value, "__notes__")
    with pytest.raises(TimeoutError, match=r"within its timeout of 0\.05 s"):
        pipeline.map({"value": range(100)}, "value", engine=anywhere, timeout=0.05, on_error=on_error)
    count = len(begun)
    assert count < 10
    assert pipeline.run({"value": 1}, engine=anywhere, timeout=60)["waits"] == 1
    assert len(begun) == count + 1


def test_a_coroutine_is_cancelled_when_the_time_is_over(anywhere: Engine) -> None:
    ended: list[str] = []

    @node
    async def waits(value: int) -> int:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return value

    for pipeline in (Pipeline([waits]), Pipeline([node(output_name="more")(lambda value: waits(value))])):
        with pytest.raises(TimeoutError, match=r"within its timeout of 0\.05 s"):
            pipeline.run({"value": 1}, engine=anywhere, timeout=0.05)
    assert ended == ["cancelled", "cancelled"]


def test_a_time_limit_of_user_code_is_an_error_of_its_node(anywhere: Engine) -> None:
    @node
    async def waits(value: int) -> int:
        await asyncio.wait_for(asyncio.sleep(60), 0.01)
        return value

    with pytest.raises(TimeoutError) as caught:
        Pipeline([waits]).run({"value": 1}, engine=anywhere, timeout=60)
    assert where(caught.value) == "In node 'waits', called with value=1"


# --- an executor that goes away, and one that is busy ---


def test_a_pool_that_was_shut_down_is_a_named_error() -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    for engine in (Engine(pool, "sync"), Engine("sync", pool), Engine(pool, pool)):
        for on_error in ("raise", "continue"):
            with pytest.raises(ExecutorClosedError, match="The executor 'ThreadPoolExecutor' was shut down"):
                CHECK.map({"value": [1, 2]}, "value", engine=engine, on_error=on_error)


def test_a_run_in_a_node_helps_itself_where_all_slots_are_taken() -> None:
    with ThreadPoolExecutor(1) as pool, Engine(pool, pool) as engine:
        inner = CHECK.with_engine(engine)

        def calls(value: int) -> list[Any]:
            return [inner(value=value)["doubled"], *inner.map({"value": range(value)}, "value")["doubled"]]

        outer = Pipeline([calls], engine=engine)
        assert outer(value=3) == {"calls": [6, 0, 2, 4]}
        assert outer.map({"value": [1, 2]}, "value")["calls"] == [[2, 0], [4, 0, 2]]
        with pytest.raises(OutOfRange):
            outer(value=11)


def test_a_run_that_is_over_does_not_wait_for_what_others_do() -> None:
    go = threading.Event()
    with ThreadPoolExecutor(1) as pool, get_executor(pool) as executor, Engine(executor, "sync") as engine:
        busy = executor.submit(go.wait, 30)
        try:
            with pytest.raises(TimeoutError):
                CHECK.run({"value": 1}, engine=engine, timeout=0.05)
            assert not busy.done()
        finally:
            go.set()


def test_a_token_ends_what_runs_in_the_calling_thread() -> None:
    token = CancelToken()

    @node
    def cancels(value: int) -> int:
        token.cancel()
        return value

    begun: list[int] = []
    later = node(output_name="later")(lambda cancels: begun.append(cancels))
    for pipeline in (Pipeline([cancels, later]), Pipeline([cancels])):
        with pytest.raises(RunCancelledError):
            pipeline.run({"value": 1}, engine=Engine("sync"), token=token)
    assert begun == []
    assert CHECK.engine is None
    assert default_engine().run(CHECK, {"value": 1})["doubled"] == 2
