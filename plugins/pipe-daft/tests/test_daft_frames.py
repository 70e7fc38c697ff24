"""With ``collect=False`` there is a data frame, and nothing has run."""

from __future__ import annotations

import asyncio
import gc
import io
import re
import weakref
from typing import Any

import daft
import pytest

from pipe_core import Engine, MemoryCache, Pipeline, PipelineCallback, UnsupportedCapabilityError, node
from pipe_core.graph.scope import CancelToken
from pipe_daft import DaftEngine
from pipe_daft.expressions import DEEPEST

LAZY: Any = DaftEngine(collect=False)
RAN: list[int] = []
CALLED = re.compile(r"\b(bounds|span|squares|square|told)(?:-[-0-9a-f]+)?\(")


@node(output_name=("low", "high"))
def bounds(values: list[int]) -> tuple[int, int]:
    return min(values), max(values)


@node
def span(low: int, high: int, factor: int = 1) -> int:
    return (high - low) * factor


@node
async def told(span: int, high: int) -> str:
    await asyncio.sleep(0)
    return f"{span} to {high}"


def plans(frame: daft.DataFrame) -> list[str]:
    """As asked for, as optimized, and as it runs."""
    text = io.StringIO()
    frame.explain(show_all=True, file=text)
    return re.split("^== .* ==$", re.sub(r"(?<=-)\n\|? +", "", text.getvalue()), flags=re.MULTILINE)[1:]


def test_the_plan_has_one_expression_for_each_node() -> None:
    inner = Pipeline([node(output_name="square")(lambda number: number**2)], name="squares")
    pipeline = Pipeline([bounds, span, told, inner.as_node({"values": "number"}, map_over="values")])
    found = plans(pipeline.map({"values": [[1, 4], [2, 9]]}, "values", engine=LAZY))
    assert len(found) == 3
    for plan in found:
        assert sorted(CALLED.findall(plan)) == ["bounds", "span", "squares", "told"]
    pruned = plans(pipeline.map({"values": [[1, 4]]}, "values", output_name="span", engine=LAZY))
    assert sorted(CALLED.findall(pruned[0])) == ["bounds", "span"]


def test_no_node_has_run_before_it_is_collected() -> None:
    ran: list[int] = []

    @node
    def doubled(number: int) -> int:
        ran.append(number)
        return 2 * number

    @node
    def more(doubled: int) -> int:
        return doubled + 1

    pipeline = Pipeline([doubled, more])
    frame: Any = pipeline.map({"number": iter([1, 2, 3])}, "number", engine=LAZY)
    assert isinstance(frame, daft.DataFrame)
    assert frame.column_names == ["doubled", "more"]
    assert ran == []
    assert frame.collect().to_pydict() == {"doubled": [2, 4, 6], "more": [3, 5, 7]}
    assert ran == [1, 2, 3]
    once: Any = pipeline.run({"number": 5}, "more", engine=LAZY)
    assert ran == [1, 2, 3]
    assert once.to_pydict() == {"more": [11]}


def test_daft_goes_on_with_it_and_runs_what_it_needs() -> None:
    ran: list[str] = []

    @node
    def kept(number: int) -> int:
        ran.append("kept")
        return number

    @node
    def unwanted(number: int) -> int:
        ran.append("unwanted")
        return number

    frame: Any = Pipeline([kept, unwanted]).map({"number": range(6)}, "number", engine=LAZY)
    numbers = frame.select(daft.col("kept").cast(daft.DataType.int64()))
    assert numbers.where(daft.col("kept") % 2 == 1).sum("kept").to_pydict() == {"kept": [9]}
    assert set(ran) == {"kept"}
    assert frame.limit(2).to_pydict() == {"kept": [0, 1], "unwanted": [0, 1]}
    assert frame.to_pydict()["unwanted"] == list(range(6))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_keeps_its_class_and_has_its_note() -> None:
    class Odd(Exception):
        def __init__(self, number: int, *, limit: int) -> None:
            super().__init__(number)
            self.limit = limit

    @node
    def small(number: int) -> int:
        if number > 2:
            raise Odd(number, limit=2)
        return number

    frame: Any = Pipeline([small], name="all").map({"number": [1, 3]}, "number", engine=LAZY)
    with pytest.raises(Odd) as caught:
        frame.collect()
    assert caught.value.limit == 2
    assert caught.value.__notes__ == ["In node 'small' of pipeline 'all', item 1, called with number=3"]


def test_coroutines_have_one_loop_that_ends_with_the_frame() -> None:
    loops: list[Any] = []

    @node
    async def where(number: int) -> int:
        loops.append(asyncio.get_running_loop())
        return number

    @node
    async def again(where: int) -> int:
        loops.append(asyncio.get_running_loop())
        return where

    frame: Any = Pipeline([where, again]).map({"number": [1, 2]}, "number", engine=LAZY)
    assert frame.to_pydict()["again"] == [1, 2]
    assert len(set(loops)) == 1
    loop, watched = loops[0], weakref.ref(frame)
    assert loop.is_running()
    del frame
    gc.collect()
    assert watched() is None
    assert loop.is_closed()


def test_a_cache_is_kept() -> None:
    @node
    def doubled(number: int) -> int:
        RAN.append(number)
        return 2 * number

    pipeline = Pipeline([doubled], cache=MemoryCache())
    for _ in range(2):
        frame: Any = pipeline.map({"number": [1, 2]}, "number", engine=LAZY)
        assert frame.to_pydict() == {"doubled": [2, 4]}
    assert RAN == [1, 2]


def pairs(count: int) -> Pipeline:
    """Nodes one after the other, with two outputs each."""

    def one(number: int) -> Any:
        scope: dict[str, Any] = {}
        exec(f"def pair{number}(a{number}, b{number}): return b{number}, a{number} + 1", scope)  # text of this file
        return node(output_name=(f"a{number + 1}", f"b{number + 1}"))(scope[f"pair{number}"])

    return Pipeline([one(number) for number in range(count)])


def test_a_plan_is_no_deeper_than_daft_bears() -> None:
    assert pairs(DEEPEST).run({"a0": 0, "b0": 0}, engine=LAZY).to_pydict()[f"a{DEEPEST}"] == [DEEPEST // 2]  # type: ignore[attr-defined]  # a frame
    with pytest.raises(UnsupportedCapabilityError, match="runs 51 nodes"):
        pairs(DEEPEST + 1).run({"a0": 0, "b0": 0}, engine=LAZY)
    deep = pairs(2 * DEEPEST + 2)
    expected = deep.map({"a0": [0, 5], "b0": 0}, "a0", engine=Engine("sync", "sync"))
    assert deep.map({"a0": [0, 5], "b0": 0}, "a0", engine=DaftEngine()) == expected


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"timeout": 5}, "timeout="),
        ({"token": CancelToken()}, "token="),
        ({"on_error": "continue"}, "on_error="),
        ({"on_error": "collect", "timeout": 1}, "timeout=, on_error="),
    ],
)
def test_what_needs_a_run_that_is_waited_for_is_refused(options: Any, named: str) -> None:
    for ask in (
        lambda: Pipeline([span]).run({"low": 1, "high": 2}, engine=LAZY, **options),
        lambda: Pipeline([span]).map({"low": [1], "high": 2}, "low", engine=LAZY, **options),
    ):
        with pytest.raises(UnsupportedCapabilityError, match=rf"keep {named}\. Say DaftEngine\(collect=True\)"):
            ask()


def test_iterating_awaiting_and_listening_are_refused_too() -> None:
    pipeline = Pipeline([span])
    inputs = {"low": [1], "high": 2}
    with pytest.raises(UnsupportedCapabilityError, match="imap="):
        next(pipeline.imap(inputs, "low", engine=LAZY))
    with pytest.raises(UnsupportedCapabilityError, match="token=, loop="):
        asyncio.run(pipeline.arun({"low": 1, "high": 2}, engine=LAZY))
    listening = pipeline.with_callbacks([PipelineCallback()])
    for one in (listening, Pipeline([listening])):
        with pytest.raises(UnsupportedCapabilityError, match="callbacks"):
            one.run({"low": 1, "high": 2}, engine=LAZY)
    with pytest.raises(UnsupportedCapabilityError, match="inside of another one has to give its results"):
        Pipeline([pipeline.with_engine(LAZY)]).run({"low": 1, "high": 2}, engine=Engine("sync"))
