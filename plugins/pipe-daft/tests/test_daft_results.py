"""What a `DaftEngine` gives is what the default engine gives, and Daft has done it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import daft
import pytest
from pydantic import BaseModel

from pipe_core import Engine, MapResult, MemoryCache, Pipeline, PipelineCallback, node, stateful
from pipe_core.graph.errors import GraphError, InputError, ItemsFailedError, OutputNotFoundError
from pipe_core.graph.items import MapError
from pipe_daft import DaftEngine

IN_LINE = Engine("sync", "sync")
DAFT = DaftEngine()
RAN: list[int] = []


class Person(BaseModel):
    name: str
    friends: list[Person] = []


@node
def given(value: Any) -> Any:
    return value


@node
def boxed(given: Any) -> list[Any]:
    return [given]


@node(output_name=("low", "high"))
def bounds(values: list[int]) -> tuple[int, int]:
    return min(values), max(values)


@node
def span(low: int, high: int, *, factor: int = 1) -> int:
    return (high - low) * factor


def error_of(call: Any) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011  # whatever it is, it is compared
        call()
    return caught.value


class Odd:
    """A value that can be asked for nothing."""

    def __eq__(self, other: object) -> bool:
        raise TypeError

    __hash__ = None  # type: ignore[assignment]  # on purpose

    def __bool__(self) -> bool:
        raise TypeError


def test_values_are_the_objects_themselves() -> None:
    ada = Person(name="Ada", friends=[Person(name="Bob")])
    lock = threading.Lock()
    values = [
        1,
        True,
        1.0,
        None,
        "1",
        b"1",
        [],
        [1, [2.0]],
        (1, None),
        {"a": {1}},
        ada,
        Person,
        lock,
        float("nan"),
        Odd(),
    ]
    values += [{"one": 1}, {}, 2**100, "\ud800", iter([1])]
    twice = node(output_name=("one", "two"))(lambda given, boxed: (given, boxed))
    pipeline = Pipeline([given, boxed, twice, node(output_name="both")(lambda one, two: (one, *two))])
    result = pipeline.map({"value": values}, "value", engine=DAFT)
    assert isinstance(result, MapResult)
    for row, value in zip(result, values, strict=True):
        assert row["given"] is value
        assert row["one"] is value
        assert row["two"] is row["boxed"]
        assert all(one is value for one in row["both"])


def test_runs_at_the_same_time_do_not_meet() -> None:
    pipeline, starts = Pipeline([given, boxed]), range(0, 600, 100)
    with ThreadPoolExecutor(len(starts)) as pool:
        found = pool.map(lambda n: pipeline.map({"value": range(n, n + 100)}, "value", engine=DAFT)["boxed"], starts)
        assert [one for some in found for one in some] == [[n] for n in range(600)]


def test_of_two_failures_of_an_item_the_one_before_the_other_counts() -> None:
    @node
    def late(number: int) -> int:
        raise LookupError

    @node
    def early(number: int) -> int:
        raise KeyError

    result = Pipeline([late, early]).map({"number": [1]}, "number", engine=DAFT, on_error="continue")
    assert [type(one.error) for one in result.failed] == [LookupError]


def test_nested_maps_of_models_and_of_nothing() -> None:
    names = Pipeline([node(output_name="name")(lambda person: person.name)], name="names")
    inner = Pipeline(
        [
            node(output_name="friends")(lambda person: person.friends),
            names.as_node({"friends": "person"}, {"name": "names"}, map_over="friends"),
        ],
        name="friends",
    )
    outer = Pipeline([inner.as_node({"people": "person"}, {"names": "names"}, map_over="people")])
    ada, bob = Person(name="Ada", friends=[Person(name="Bob"), Person(name="Eve")]), Person(name="Bob")
    inputs = {"people": [[ada, bob], [], [bob]]}
    expected = outer.map(inputs, "people", engine=IN_LINE)
    assert expected["names"] == [[["Bob", "Eve"], []], [], [[]]]
    assert outer.map(inputs, "people", engine=DAFT) == expected


def test_the_engine_may_be_given_everywhere() -> None:
    pipeline = Pipeline([bounds, span], engine=DAFT)
    assert pipeline(values=[1, 4]) == {"low": 1, "high": 4, "span": 3}
    assert Pipeline([bounds]).with_engine(DAFT).run({"values": [1, 4]}, "high") == {"high": 4}
    assert [one.runs_on for one in pipeline.plan({"values": [1]})] == ["DaftEngine", "DaftEngine"]
    assert repr(DAFT) == "DaftEngine(collect=True)"
    with pytest.raises(ValueError, match="True or False"):
        DaftEngine(collect="no")  # type: ignore[arg-type]  # what it must refuse


@pytest.mark.parametrize(
    "ask",
    [
        lambda p, e: p.run({}, engine=e),
        lambda p, e: p.run({"valeus": [1]}, engine=e),
        lambda p, e: p.run({"values": [1], "low": 1}, engine=e),
        lambda p, e: p.run({"values": [1]}, "spann", engine=e),
        lambda p, e: p.map({"values": 7}, "values", engine=e),
        lambda p, e: p.map({"values": [[1]], "factor": [1, 2]}, ["values", "factor"], engine=e),
        lambda p, e: p.map({"values": [[1]]}, "factor", engine=e),
        lambda p, e: p.map({"values": [[1]]}, "values", "cross", engine=e),
        lambda p, e: p.run({"values": [1]}, engine=e, on_error="ignore"),
        lambda p, e: next(p.imap({"values": 7}, "values", engine=e)),
    ],
)
@pytest.mark.parametrize("engine", [DAFT, DaftEngine(collect=False)], ids=repr)
def test_mistakes_are_told_as_by_the_default_engine(ask: Any, engine: DaftEngine) -> None:
    pipeline = Pipeline([bounds, span], name="spans")
    expected, found = error_of(lambda: ask(pipeline, IN_LINE)), error_of(lambda: ask(pipeline, engine))
    assert isinstance(expected, InputError | OutputNotFoundError | MapError | GraphError)
    assert (type(found), str(found)) == (type(expected), str(expected))


def test_the_first_failure_is_that_of_the_first_item() -> None:
    ran: list[Any] = []

    @node
    def first(number: int) -> int:
        ran.append(("first", number))
        return number if number < 2 else 1 // 0

    @node
    def second(first: int) -> int:
        ran.append(("second", first))
        if first == 1:
            raise LookupError("second")
        return first

    pipeline = Pipeline([first, second], name="two")
    expected = error_of(lambda: pipeline.map({"number": range(9)}, "number", engine=IN_LINE))
    ran.clear()
    found = error_of(lambda: pipeline.map({"number": range(9)}, "number", engine=DAFT))
    assert type(found) is LookupError
    assert found.__notes__ == expected.__notes__ == ["In node 'second' of pipeline 'two', item 1, called with first=1"]
    assert ("first", 3) not in ran, "nothing begins behind a failure"


def test_items_that_failed_can_be_tried_again() -> None:
    broken = {2, 5}

    @node
    def fragile(number: int) -> int:
        if number in broken:
            raise ConnectionError(number)
        return number

    result = Pipeline([fragile]).map({"number": range(7)}, "number", engine=DAFT, on_error="continue")
    assert [one.index for one in result.failed] == [2, 5]
    broken.clear()
    assert result.retry_failed()["fragile"] == list(range(7))
    broken.add(3)
    with pytest.raises(ItemsFailedError, match="1 of 7 items") as caught:
        Pipeline([fragile]).map({"number": range(7)}, "number", engine=DAFT, on_error="collect")
    assert caught.value.result["fragile"] == [0, 1, 2, None, 4, 5, 6]


def test_order_holds_where_daft_keeps_none() -> None:
    pipeline = Pipeline([given, boxed])
    expected = [[n] for n in range(500)]
    with daft.execution_config_ctx(default_morsel_size=7, maintain_order=False):
        assert pipeline.map({"value": range(500)}, "value", engine=DAFT)["boxed"] == expected


def test_nodes_that_look_alike_are_not_taken_for_one() -> None:
    calls: list[str] = []

    def like(name: str) -> Any:
        def same(value: int) -> str:
            calls.append(name)
            return name

        return node(output_name=name, name="same")(same)

    assert Pipeline([like("a"), like("b")]).run({"value": 1}, engine=DAFT) == {"a": "a", "b": "b"}
    assert calls == ["a", "b"]


def test_what_cannot_be_pickled_may_be_in_a_node_and_is_made_once() -> None:
    made: list[int] = []

    @stateful
    class Model:
        def __init__(self, size: int) -> None:
            made.append(size)
            self.lock = threading.Lock()

        def score(self, number: int) -> int:
            with self.lock:
                return number * made[0]

    model, here = Model(3), threading.Lock()

    @node
    def score(number: int) -> int:
        with here:
            return model.score(number)  # type: ignore[no-any-return]  # of the resource

    assert Pipeline([score]).map({"number": range(4)}, "number", engine=DAFT)["score"] == [0, 3, 6, 9]
    assert made == [3]


def test_results_are_kept_and_found_by_both_engines() -> None:
    @node
    def none(number: int) -> None:
        RAN.append(number)

    @node
    def after(none: None, number: int) -> int:
        RAN.append(-number)
        return -number

    pipeline = Pipeline([none, after], cache=MemoryCache())
    result = pipeline.map({"number": [1, 2, 1]}, "number", engine=DAFT)
    assert result["after"] == [-1, -2, -1]
    assert sorted(RAN) == [-2, -1, 1, 2]
    for engine in (IN_LINE, DAFT):
        assert pipeline.map({"number": [2, 1]}, "number", engine=engine)["after"] == [-2, -1]
    frame: Any = pipeline.map({"number": [2, 1]}, "number", engine=DaftEngine(collect=False))
    assert frame.to_pydict()["after"] == [-2, -1]
    assert RAN.count(1) + RAN.count(2) == 2, "the frame has found what depends on inputs alone"


def test_callbacks_are_told_by_the_thread_that_waits() -> None:
    heard: list[tuple[str, int, threading.Thread]] = []

    class Listener(PipelineCallback):
        def on_map_item_start(self, idx: int, ctx: Any) -> None:
            heard.append(("start", idx, threading.current_thread()))

        def on_map_item_end(self, idx: int, duration: float, ctx: Any) -> None:
            heard.append(("end", idx, threading.current_thread()))

    Pipeline([given, boxed], callbacks=[Listener()]).map({"value": range(3)}, "value", engine=DAFT)
    assert {thread for _, _, thread in heard} == {threading.current_thread()}
    assert [(what, idx) for what, idx, _ in heard if what == "end"] == [("end", 0), ("end", 1), ("end", 2)]
    assert len(heard) == 6


# --- coroutines ---


@pytest.mark.timeout(30)
def test_coroutines_of_all_items_run_at_once_and_on_one_loop() -> None:
    loops: set[Any] = set()
    waiting: list[asyncio.Event] = []

    @node
    async def together(number: int) -> int:
        loops.add(asyncio.get_running_loop())
        waiting.append(mine := asyncio.Event())
        if len(waiting) == 20:  # all of them are here
            for event in waiting:
                event.set()
        await mine.wait()
        return -number

    @node
    async def behind(together: int) -> int:
        loops.add(asyncio.get_running_loop())
        return -together

    result = Pipeline([together, behind]).map({"number": range(20)}, "number", engine=DAFT)
    assert result["behind"] == list(range(20))
    assert len(loops) == 1


def test_coroutines_run_on_the_loop_of_who_awaits() -> None:
    @node
    async def where(number: int) -> Any:
        await asyncio.sleep(0)
        return asyncio.get_running_loop()

    async def main() -> None:
        here = asyncio.get_running_loop()
        assert (await Pipeline([where]).arun({"number": 1}, engine=DAFT))["where"] is here
        result = await Pipeline([where]).amap({"number": [1, 2]}, "number", engine=DAFT)
        assert result["where"] == [here, here]
        rows = [row async for row in Pipeline([where]).astream({"number": [1, 2]}, "number", engine=DAFT)]
        assert [row["where"] for row in rows] == [here, here]

    asyncio.run(main())


# --- one after the other ---


def test_an_input_without_an_end_is_read_in_windows() -> None:
    read: list[int] = []

    def numbers() -> Iterator[int]:
        for number in iter(int, 1):
            read.append(number)
            yield len(read)

    rows = Pipeline([given, boxed]).imap({"value": numbers()}, "value", engine=DAFT, window=5)
    assert [next(rows)["boxed"] for _ in range(7)] == [[n] for n in range(1, 8)]
    assert len(read) == 10
    rows.close()  # type: ignore[attr-defined]  # a generator


def test_rows_before_a_failure_come_first() -> None:
    def numbers() -> Iterator[int]:
        yield from (1, 2)
        raise OSError("no more")

    rows = Pipeline([given]).imap({"value": numbers()}, "value", engine=DAFT)
    assert [next(rows), next(rows)] == [{"given": 1}, {"given": 2}]
    with pytest.raises(OSError, match="no more"):
        next(rows)

    @node
    def inverse(number: int) -> float:
        return 1 / number

    rows = Pipeline([inverse]).imap({"number": [1, 2, 0, 4]}, "number", engine=DAFT)
    assert [next(rows), next(rows)] == [{"inverse": 1.0}, {"inverse": 0.5}]
    with pytest.raises(ZeroDivisionError) as caught:
        next(rows)
    assert caught.value.__notes__ == ["In node 'inverse', item 2, called with number=0"]
    found = list(Pipeline([inverse]).imap({"number": [1, 0, 4]}, "number", engine=DAFT, window=2, on_error="continue"))
    assert found == [{"inverse": 1.0}, {"inverse": None}, {"inverse": 0.25}]
    assert found[1].failure.index == 1  # type: ignore[attr-defined]  # a FailedRow
