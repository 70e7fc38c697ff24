"""Results that are kept: what is found again, what runs again, and why."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipe_core import Engine, OptionsError, Pipeline, PipelineCallback, node
from pipe_core.graph.caching.disk import DiskCache
from pipe_core.graph.caching.memory import Cache, MemoryCache

RAN: Counter[str] = Counter()


@node
def doubled(value: Any) -> Any:
    RAN["doubled"] += 1
    return value * 2


@node
def nothing(doubled: Any) -> None:
    RAN["nothing"] += 1


@node(output_name=("least", "most"))
def ends(doubled: Any, nothing: None) -> tuple[Any, Any]:
    RAN["ends"] += 1
    return min(doubled, 3), max(doubled, 3)


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    RAN.clear()


@pytest.fixture(params=["memory", "disk"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cache]:
    if request.param == "memory":
        yield MemoryCache()
        return
    with DiskCache(tmp_path / "cache") as cache:
        yield cache


@pytest.fixture(params=["in line", "threads"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "in line":
        yield Engine()
        return
    with ThreadPoolExecutor(2) as pool, Engine(pool, pool) as engine:
        yield engine


def test_a_second_run_finds_everything(cache: Cache, engine: Engine) -> None:
    pipeline = Pipeline([doubled, nothing, ends], cache=cache, engine=engine)
    first = pipeline.run({"value": 2})
    assert pipeline.run({"value": 2}) == first == {"doubled": 4, "nothing": None, "least": 3, "most": 4}
    assert RAN == {"doubled": 1, "nothing": 1, "ends": 1}


@pytest.mark.parametrize("other", ["2", 2.0, True, [2], 3])
def test_another_value_or_type_is_another_result(cache: Cache, other: Any) -> None:
    pipeline = Pipeline([doubled], cache=cache)
    pipeline.run({"value": 2})
    assert pipeline.run({"value": other}) == {"doubled": other * 2}
    assert RAN["doubled"] == 2


def test_items_are_found_one_by_one(cache: Cache, engine: Engine) -> None:
    pipeline = Pipeline([doubled, nothing], cache=cache, engine=engine)
    pipeline.map({"value": range(10)}, "value")
    result = pipeline.map({"value": range(5, 15)}, "value")
    assert result["doubled"] == [2 * value for value in range(5, 15)]
    assert RAN == {"doubled": 15, "nothing": 15}


def test_a_node_may_refuse_to_be_kept_and_what_follows_knows_its_value(cache: Cache) -> None:
    ticks = iter(range(10))

    @node(cache=False)
    def tick() -> int:
        return next(ticks) // 2

    pipeline = Pipeline([tick, node(output_name="value")(lambda tick: tick), doubled], cache=cache)
    assert [pipeline()["doubled"] for _ in range(4)] == [0, 0, 2, 2]
    assert RAN["doubled"] == 2


def test_an_item_that_is_the_same_object_as_the_last_one_and_has_changed_is_another_one(
    cache: Cache,
) -> None:
    def changing() -> Iterator[list[int]]:
        box: list[int] = []
        for value in range(4):
            box[:] = [value]
            yield box

    first = node(output_name="first")(lambda box, factor: box[0] * factor[0])
    rows = Pipeline([first], cache=cache).imap({"box": changing(), "factor": [1]}, "box")
    assert [row["first"] for row in rows] == [0, 1, 2, 3]


@node
def flaky(value: int) -> int:
    RAN["flaky"] += 1
    if RAN["flaky"] == 1:
        raise ConnectionError(value)
    return value


def test_what_fails_is_not_kept(cache: Cache, engine: Engine) -> None:
    pipeline = Pipeline([flaky], cache=cache, engine=engine)
    with pytest.raises(ConnectionError):
        pipeline.run({"value": 1})
    assert [pipeline.run({"value": 1}) for _ in range(2)] == [{"flaky": 1}] * 2
    assert RAN == {"flaky": 2}


def made(factor: int) -> Callable[[int], int]:
    def scaled(value: int) -> int:
        RAN["scaled"] += 1
        return value * factor

    return scaled


def test_other_code_is_another_result_and_that_is_explained(cache: Cache) -> None:
    def pipeline(factor: int) -> Pipeline:
        return Pipeline([made(factor), node(output_name="more")(lambda scaled: scaled + 1)], cache=cache)

    assert [one.is_kept for one in pipeline(2).explain({"value": 1})] == [False, False]
    assert pipeline(2).run({"value": 1})["more"] == 3
    assert [one.is_kept for one in pipeline(2).explain({"value": 1})] == [True, True]
    (scaled, more) = pipeline(3).explain({"value": 1})
    assert not scaled.is_kept
    assert any("factor" in reason and "'scaled'" in reason for reason in scaled.reasons), scaled
    assert more.reasons == ("input 'scaled' has another value",)
    (scaled, _) = pipeline(2).explain({"value": 5})
    assert scaled.reasons == ("input 'value' has another value",)
    assert RAN["scaled"] == 1


def test_a_pipeline_inside_shares_the_cache_of_what_is_around_it(cache: Cache, engine: Engine) -> None:
    inner = Pipeline([doubled], name="inner")
    outer = Pipeline([inner.as_node(map_over="value")], cache=cache, engine=engine)
    outer.run({"value": [1, 2, 3]})
    assert outer.run({"value": [3, 2, 4]}) == {"doubled": [6, 4, 8]}
    assert RAN["doubled"] == 4


def test_coroutines_are_kept_too(cache: Cache, engine: Engine) -> None:
    @node
    async def waits(value: int) -> int:
        RAN["waits"] += 1
        await asyncio.sleep(0)
        return value

    pipeline = Pipeline([waits], cache=cache, engine=engine)
    assert [pipeline.run({"value": 1}) for _ in range(3)] == [{"waits": 1}] * 3
    assert RAN["waits"] == 1


def test_callbacks_hear_of_what_was_found(cache: Cache, engine: Engine) -> None:
    heard: list[str] = []

    class Listener(PipelineCallback):
        def on_node_start(self, node_id: str, inputs: Any, ctx: Any) -> None:
            heard.append(f"{node_id} runs")

        def on_node_cached(self, node_id: str, signature: str, ctx: Any) -> None:
            heard.append(f"{node_id} is known")

        def on_map_item_cached(self, idx: int, signature: str, ctx: Any) -> None:
            heard.append(f"item {idx} is known")

    pipeline = Pipeline([doubled], cache=cache, engine=engine, callbacks=[Listener()])
    pipeline.run({"value": 1})
    pipeline.run({"value": 1})
    pipeline.map({"value": [1]}, "value")
    assert heard == ["doubled runs", "doubled is known", "doubled is known", "item 0 is known"]


def open_end() -> Iterator[int]:
    yield 1


def test_an_input_that_cannot_be_signed_is_no_hit(cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    pipeline = Pipeline([node(output_name="type")(lambda value: type(value).__name__)], cache=cache)
    assert [pipeline.run({"value": open_end()}) for _ in range(2)] == [{"type": "generator"}] * 2
    assert "What 'type' gives is not kept: its input 'value'" in caplog.text
    (one,) = pipeline.explain({"value": open_end()})
    assert "its result cannot be kept: its input 'value'" in one.reasons[0]


def test_without_a_cache_nothing_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> str:
        raise AssertionError

    monkeypatch.setattr("pipe_core.graph.keeping.sign", fails)
    monkeypatch.setattr("pipe_core.graph.keeping.sign_code", fails)
    assert Pipeline([doubled]).run({"value": 1}) == {"doubled": 2}


def test_something_else_is_no_cache() -> None:
    with pytest.raises(OptionsError, match=r"such as MemoryCache\(\) or DiskCache\(path\), not 'folder'"):
        Pipeline([doubled], cache="folder")  # type: ignore[arg-type]  # that is the point


def test_what_follows_a_result_without_a_signature_depends_on_it() -> None:
    pipeline = Pipeline([node(output_name="value")(lambda lock: 1), doubled], cache=MemoryCache())
    first, second = pipeline.explain({"lock": threading.Lock()})
    assert (first.is_kept, second.is_kept) == (False, None)
    assert second.reasons == ("that depends on what 'value' gives",)
