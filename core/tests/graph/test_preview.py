"""What a run would do, told without running anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest

from pipe_core import Engine, MemoryCache, Pipeline, node, using
from pipe_core.graph.errors import InputError, OutputNotFoundError
from pipe_core.kernel.errors import PluginNotFoundError

ran: list[str] = []


@node(output_name="words", retries=2, concurrency=3)
def split(text: str) -> list[str]:
    ran.append("split")
    return text.split()


@node
def count(words: list[str], at_least: int = 1) -> int:
    ran.append("count")
    return sum(len(word) >= at_least for word in words)


@node
def first(words: list[str]) -> str:
    ran.append("first")
    return words[0]


@pytest.fixture(autouse=True)
def nothing_ran() -> Iterator[None]:
    ran.clear()
    yield
    assert not ran


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def test_nodes_stand_in_levels_with_what_they_take_and_give() -> None:
    found = Pipeline([first, count, split]).plan({"text": "a b"})

    assert [[one.name for one in level] for level in found.levels] == [["split"], ["first", "count"]]
    split_node, *_ = found
    assert (split_node.takes, split_node.gives, split_node.runs_on) == (("text",), ("words",), "sync")
    assert split_node.policies == {"retries": 2, "concurrency": 3}
    assert found.missing == {}


def test_what_is_not_asked_for_is_not_in_it() -> None:
    found = Pipeline([first, count, split]).plan({"text": "a"}, "first")

    assert [one.name for one in found] == ["split", "first"]
    assert found.outputs == ("first",)


def test_missing_inputs_are_named_with_who_takes_them() -> None:
    found = Pipeline([first, count, split]).plan()

    assert found.missing == {"text": ("split",)}
    assert str(found).splitlines()[-1] == "It lacks an input: text (for split)"
    assert Pipeline([count]).plan(output_name="count").missing == {"words": ("count",)}


def test_bound_inputs_are_given() -> None:
    assert Pipeline([split]).bind(text="a").plan().missing == {}


def test_names_that_are_not_there_are_refused_as_in_a_run() -> None:
    with pytest.raises(InputError, match="nothing takes the input 'txt'"):
        Pipeline([split]).plan({"txt": "a"})
    with pytest.raises(OutputNotFoundError):
        Pipeline([split]).plan({"text": "a"}, "word")


def test_as_text_it_is_a_table_without_columns_that_say_nothing() -> None:
    assert str(Pipeline([first, split], name="texts").plan({"text": "a"}, engine=Engine("sync"))) == (
        "texts: 2 nodes, nothing has run\n"
        "level  node   gives  runs on  says\n"
        "    1  split  words  sync     retries=2, concurrency=3\n"
        "    2  first  first  sync"
    )
    assert "says" not in str(Pipeline([first]).plan({"words": ["a"]}))


def test_it_is_plain_data() -> None:
    found = Pipeline([split], name="texts").plan({"text": "a"}).to_dict()

    assert json.loads(json.dumps(found)) == found
    assert found["levels"][0][0]["runs_on"] == "sync"


def test_nodes_run_where_the_engine_says(pool: ThreadPoolExecutor) -> None:
    pipeline = Pipeline([split, count])

    def places(engine: Engine) -> list[str]:
        return [one.runs_on for one in pipeline.plan({"text": "a"}, engine=engine)]

    assert places(Engine(pool)) == ["ThreadPoolExecutor"] * 2
    assert places(Engine("sequential", pool)) == ["sync"] * 2  # it is no map
    assert not pool._threads


def test_nodes_with_an_executor_of_their_own_run_there(pool: ThreadPoolExecutor) -> None:
    mine = node(output_name="words", executor=pool)(lambda text: text)

    assert [one.runs_on for one in Pipeline([mine, count]).plan({"text": "a"})] == ["ThreadPoolExecutor", "sync"]


def test_settings_are_followed() -> None:
    with using(executor="rey"), pytest.raises(PluginNotFoundError, match="ray"):
        Pipeline([split]).plan({"text": "a"})


def test_an_engine_of_somebody_else_has_its_name() -> None:
    class Theirs:
        run = imap = map = staticmethod(lambda *args, **kwargs: None)

    assert [one.runs_on for one in Pipeline([split]).plan({"text": "a"}, engine=Theirs())] == ["Theirs"]


def test_items_of_a_map_run_where_items_do(pool: ThreadPoolExecutor) -> None:
    inner = Pipeline([first], name="inner")
    outer = Pipeline([inner.as_node(map_over="words")])

    def place(engine: Engine, pipeline: Pipeline = outer) -> str:
        (one,) = pipeline.plan({"words": [["a"]]}, engine=engine)
        assert one.inside is not None
        assert (one.runs_on, one.over, one.inside.missing) == ("", ("words",), {})
        (within,) = one.inside
        return within.runs_on

    with ProcessPoolExecutor(1) as processes:
        assert place(Engine(None, pool)) == "ThreadPoolExecutor"
        assert place(Engine(pool, None)) == "ThreadPoolExecutor"
        assert place(Engine(None, processes)) == "ProcessPoolExecutor"
        assert place(Engine(pool, processes)) == "ProcessPoolExecutor"  # all of an item, in one go
        own = Pipeline([inner.with_engine(Engine()).as_node(map_over="words")])
        assert place(Engine(None, processes), own) == "sync"
        assert not processes._processes


def test_what_the_cache_has_is_known_as_far_as_inputs_are() -> None:
    def kept(inputs: dict[str, Any] | None) -> list[bool | None]:
        return [one.is_kept for one in pipeline.plan(inputs)]

    pipeline = Pipeline([split, count], cache=MemoryCache())
    assert kept({"text": "a b"}) == [False, False]
    pipeline.run({"text": "a b"})
    ran.clear()

    assert kept({"text": "a b"}) == [True, True]
    assert kept({"text": "a b", "at_least": 2}) == [True, False]
    assert kept(None) == [None, None]
    _, counting = pipeline.plan({"text": "a b", "at_least": 2})
    assert "at_least" in counting.reasons[0]
    assert "in the cache" in str(pipeline.plan({"text": "a b"}))


def test_inside_of_a_pipeline_the_cache_is_asked_where_its_inputs_are_known() -> None:
    inner = Pipeline([split, count], name="inner")
    outer = Pipeline([inner, node(output_name="other")(lambda count: count)], cache=MemoryCache())
    outer.run({"text": "a b"})
    ran.clear()

    one, _ = outer.plan({"text": "a b"})

    assert one.inside is not None
    assert [each.is_kept for each in one.inside] == [True, True]


def test_nested_rows_are_numbered_below_their_node() -> None:
    inner = Pipeline([split, first], name="inner")

    lines = str(Pipeline([inner.as_node(map_over="text")]).plan()).splitlines()

    assert [line.split()[:2] for line in lines[2:5]] == [["1", "inner"], ["1.1", "split"], ["1.2", "first"]]
    assert lines[2].split()[2:4] == ["over", "text"]
