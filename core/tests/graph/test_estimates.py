"""How long a run will take, from how long a former one did. Nothing runs, and nothing is guessed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipe_core import Engine, MemoryCache, Pipeline, RunRecorder, node
from pipe_core.graph.preview import Preview
from pipe_core.graph.recording import NodeCall, NodeTimes
from pipe_core.kernel.errors import OptionsError


def step(name: str, *needs: str, **options: Any) -> Any:
    """A node that no plan may run."""

    def never() -> None:
        raise AssertionError(f"{name} has run")

    scope: dict[str, Any] = {"never": never}
    exec(f"def {name}({', '.join(needs)}): never()", scope)
    return node(**options)(scope[name])


DIAMOND = Pipeline([step("a", "x"), step("b", "a"), step("c", "a"), step("d", "b", "c")], name="diamond")
KNOWN = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
INNER = Pipeline([step("first", "i"), step("second", "first")], name="each")
MAPPED = Pipeline([step("i_s", "x"), INNER.as_node(input_mapping={"i_s": "i"}, map_over="i_s"), step("end", "second")])


NOTED: list[int] = []


def noted(x: int) -> int:
    NOTED.append(x)
    return x


def seconds(found: Preview) -> tuple[float, float, float]:
    assert found.estimate is not None
    assert found.estimate.is_complete
    return found.estimate.seconds, found.estimate.work, found.estimate.chain


def test_one_after_the_other_it_takes_all_and_at_once_the_longest_chain() -> None:
    assert seconds(DIAMOND.plan({"x": 1}, engine=Engine("sync"), timings=KNOWN)) == (10, 10, 10)
    with ThreadPoolExecutor(8) as pool:
        found = DIAMOND.plan({"x": 1}, engine=Engine(pool), timings=KNOWN)
    assert seconds(found) == (8, 10, 8)
    assert found.level_seconds == [1, 3, 4]
    assert "As before it takes at least 8 s" in str(found), "what runs at once may have to wait for a worker"
    assert "As before it takes 10 s" in str(DIAMOND.plan({"x": 1}, engine=Engine("sync"), timings=KNOWN))
    assert [one.estimate.seconds for one in found if one.estimate] == [1, 2, 3, 4]


@pytest.mark.parametrize(("workers", "takes"), [(1, 16), (2, 8), (3, 6), (8, 6)])
def test_workers_that_are_too_few_are_the_limit(workers: int, takes: float) -> None:
    wide = Pipeline([step(name, "x") for name in ("a", "b", "c")])
    with ThreadPoolExecutor(workers) as pool:
        found = wide.plan({"x": 1}, engine=Engine(pool), timings={"a": 4, "b": 6, "c": 6})
    assert seconds(found)[0] == takes


def test_two_executors_are_two_limits_and_so_is_the_concurrency_of_a_node() -> None:
    with ThreadPoolExecutor(1) as pool, ThreadPoolExecutor(1) as other:
        apart = Pipeline([step("a", "x"), step("b", "x", executor=other)])
        assert seconds(apart.plan({"x": 1}, engine=Engine(pool), timings={"a": 4, "b": 6}))[0] == 6
        both = Pipeline([step("a", "x"), step("b", "x")])
        assert seconds(both.plan({"x": 1}, engine=Engine(pool), timings={"a": 4, "b": 6}))[0] == 10
    one = Pipeline([step("a", "i", concurrency=1)], name="one").as_node(map_over="i")
    with ThreadPoolExecutor(4) as pool:
        found = Pipeline([one]).plan({"i": [1, 2, 3]}, engine=Engine(None, pool), timings={"one/a": 2})
    assert seconds(found)[0] == 6


def test_a_map_takes_what_its_items_do_as_far_as_their_number_is_known() -> None:
    known = {"i_s": 1.0, "each/first": 2.0, "each/second": 3.0, "end": 1.0}
    with ThreadPoolExecutor(2) as pool:
        engine = Engine(None, pool)
        found = Pipeline([INNER.as_node(map_over="i")]).plan({"i": range(4)}, engine=engine, timings=known)
        assert seconds(found) == (10, 20, 5), "two at once"
        (mapped,) = found
        assert mapped.inside is not None
        assert seconds(mapped.inside) == (5, 5, 5)
        none = Pipeline([INNER.as_node(map_over="i")]).plan({"i": []}, engine=engine, timings=known)
        assert seconds(none) == (0, 0, 0)
        found = MAPPED.plan({"x": 1}, engine=engine, timings=known)
    assert found.estimate is not None
    assert found.estimate.unknown == ("how many items 'each' has",)
    assert found.estimate.seconds == 2
    assert "As before it takes at least 2 s" in str(found)


def test_where_only_a_cluster_knows_how_many_run_at_once_that_is_not_known() -> None:
    class Theirs:
        def run(self, *_: Any, **__: Any) -> Any: ...

        def map(self, *_: Any, **__: Any) -> Any: ...

    theirs: Any = Theirs()
    found = DIAMOND.plan({"x": 1}, engine=theirs, timings=KNOWN)
    assert found.estimate is not None
    assert (found.estimate.seconds, found.estimate.unknown) == (8, ("how many calls 'Theirs' runs at once",))
    alone = Pipeline([step("a", "x"), step("b", "a")]).plan({"x": 1}, engine=theirs, timings=KNOWN)
    assert seconds(alone)[0] == 3, "that does not matter where nothing could run at once"


def test_where_only_the_run_knows_them_there_are_as_many_items_as_before() -> None:
    ran = RunRecorder()
    each = Pipeline([node(name="first")(lambda i: i), node(output_name="second")(lambda first: first)], name="each")
    mapped = each.as_node(input_mapping={"i_s": "i"}, map_over="i_s")
    before = Pipeline([node(output_name="i_s")(lambda x: range(x)), mapped], callbacks=[ran])
    before(x=6)
    _, found = before.plan({"x": 1}, engine=Engine("sync"), timings=ran)
    assert found.estimate is not None
    assert found.inside is not None
    assert found.inside.estimate is not None
    assert found.estimate.work == pytest.approx(6 * found.inside.estimate.work)


def test_what_is_in_the_cache_takes_nothing() -> None:
    pipeline = Pipeline(
        [node(name="a", output_name="a")(noted), node(output_name="b")(lambda a: a)], cache=MemoryCache()
    )
    pipeline.run({"x": 1}, "a")
    known = {"a": 5.0, "b": 2.0}
    assert seconds(pipeline.plan({"x": 1}, engine=Engine("sync"), timings=known))[0] == 2
    assert seconds(pipeline.plan({"x": 2}, engine=Engine("sync"), timings=known))[0] == 7
    assert NOTED == [1]


def test_what_is_not_known_is_said_and_not_guessed() -> None:
    found = DIAMOND.plan({"x": 1}, engine=Engine("sync"), timings={"a": 1.0, "c": 3.0, "other": 9})
    assert found.estimate is not None
    assert found.estimate.unknown == ("b", "d")
    assert not found.estimate.is_complete
    assert str(found) == (
        "diamond: 4 nodes, nothing has run\n"
        "level  node  gives  runs on  takes\n"
        "    1  a     a      sync     1 s\n"
        "    2  b     b      sync     ?\n"
        "    2  c     c      sync     3 s\n"
        "    3  d     d      sync     ?\n"
        "As before it takes at least 4 s: its calls take 4 s together, and those that wait for one another 4 s\n"
        "Level by level: 1 s, 3 s, 0 s\n"
        "Not known: b, d"
    )
    assert json.loads(json.dumps(found.to_dict()))["estimate"] == {
        "seconds": 4,
        "work": 4,
        "chain": 4,
        "unknown": ["b", "d"],
    }
    assert "takes" not in str(DIAMOND.plan({"x": 1}))
    assert DIAMOND.plan({"x": 1}).to_dict()["estimate"] is None


def test_a_former_run_is_read_from_its_recorder_its_summary_or_its_file(tmp_path: Path) -> None:
    recorder = RunRecorder()
    pipeline = Pipeline([node(output_name="a")(lambda x: x), node(output_name="b")(lambda a: a)], callbacks=[recorder])
    pipeline(x=1)
    recorder.save(tmp_path / "run.json")
    means = {name: times.mean for name, times in recorder.summary().items()}
    for given in (recorder, recorder.summary(), tmp_path / "run.json", str(tmp_path / "run.json")):
        found = pipeline.plan({"x": 1}, engine=Engine("sync"), timings=given)
        assert seconds(found)[0] == pytest.approx(sum(means.values()))
    assert len(recorder.calls) == 2, "to plan is not to run"


def test_calls_that_failed_or_did_not_run_say_nothing() -> None:
    recorder = RunRecorder()
    calls = [NodeCall("a", (), 0, 9, failed=True), NodeCall("a", (), 9, 11), NodeCall("b", (), 11, 11, cached=True)]
    recorder._last = type("Recording", (), {"calls": calls, "title": "t"})()
    found = DIAMOND.plan({"x": 1}, "b", engine=Engine("sync"), timings=recorder)
    assert [one.estimate and one.estimate.seconds for one in found] == [2, 0]
    assert found.estimate is not None
    assert found.estimate.unknown == ("b",)
    times = {"a": NodeTimes(2, 6, 4), "b": NodeTimes(0, 0, 0, cached=3)}
    assert [one.estimate.unknown for one in DIAMOND.plan({"x": 1}, "b", timings=times) if one.estimate] == [(), ("b",)]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (3, "timings want a RunRecorder of a former run"),
        ({"a": "1"}, "timings want seconds for the node 'a', not '1'"),
        ({"a": -1}, "timings want seconds for the node 'a', not -1"),
        ("missing.json", "The timings in 'missing.json' cannot be read: No such file"),
        ("text.json", "'text.json' holds no timings: JSONDecodeError"),
        ("other.json", "'other.json' holds no timings: KeyError"),
    ],
)
def test_what_are_no_timings_is_said(given: Any, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.json").write_text("seconds", "utf-8")
    Path("other.json").write_text("{}", "utf-8")
    with pytest.raises(OptionsError, match=why):
        DIAMOND.plan({"x": 1}, timings=given)
