"""Every record is in exactly one place, with the content that it should have: the oracle counts integers."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numbered import Number, numbers
from pydantic import BaseModel, ConfigDict

from pipe_core import BaseHook, HookStore, Pipe
from pipe_core.kernel.errors import ConservationError, RunCancelledError, SinkError, TooManyErrorsError
from pipe_core.records import worker
from pipe_core.records.entry import Entry
from pipe_core.records.result import Result


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    n: int


class Keyed(BaseModel):
    k: int
    n: int


class Once(BaseHook):
    """Drops a record whose key was there before."""

    scope = "run"

    def __init__(self) -> None:
        self.seen: set[Any] = set()

    def value(self, entry: Entry, store: HookStore) -> Any:
        return entry.raw_data["k"]

    def decide(self, value: Any, position: int) -> Any:
        if value in self.seen:
            return "drop"
        self.seen.add(value)
        return "keep"


def check(fates: Sequence[str], chunk_size: int | None, executor: Any) -> None:
    def fate(entry: Entry, store: HookStore) -> Any:
        match fates[entry.raw_data["n"]]:
            case "fail":
                raise ValueError("no")
            case "drop":
                return []
            case "expand":
                return [entry, entry.copy(), entry.copy()]
        return None

    records = [{"n": n, "v": "x" if one == "invalid" else 1} for n, one in enumerate(fates)]
    good: list[Any] = []
    bad: list[Any] = []

    class Row(BaseModel):
        n: int
        v: int

    report = Pipe(
        records,
        good,
        errors=bad,
        schema=Row,
        pre_validation_hooks=[fate],
        chunk_size=chunk_size,
        executor=executor,
    ).run()
    times = {"expand": 3, "keep": 1}
    assert [row["n"] for row in good] == [n for n, one in enumerate(fates) for _ in range(times.get(one, 0))]
    assert [row["position"] for row in bad] == [n for n, one in enumerate(fates) if one in ("fail", "invalid")]
    assert [row["raw"] for row in bad] == [records[row["position"]] for row in bad]
    assert report.dropped == fates.count("drop")
    assert report.expanded == 2 * fates.count("expand")
    assert (report.read, report.valid, report.failed) == (len(fates), len(good), len(bad))
    assert report.conserved


FATES = st.lists(st.sampled_from(["keep", "fail", "invalid", "drop", "expand"]), max_size=300)


@settings(max_examples=60, deadline=None)
@given(FATES, st.sampled_from([None, 1, 3, 100, 1000]))
def test_nothing_is_lost_doubled_wrong_or_out_of_order(fates: list[str], chunk_size: int | None) -> None:
    check(fates, chunk_size, "sync")


@settings(max_examples=20, deadline=None)
@given(FATES, st.sampled_from([None, 1, 7]))
def test_threads_change_nothing_of_it(fates: list[str], chunk_size: int | None) -> None:
    with ThreadPoolExecutor(2) as pool:
        check(fates, chunk_size, pool)


def test_a_worker_that_lies_fails_the_run_and_leaves_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = worker.Work.finished

    def lying(self: Any) -> Result:
        result = honest(self)
        result.valid -= 1
        return result

    monkeypatch.setattr(worker.Work, "finished", lying)
    pipe = Pipe(numbers(5), tmp_path / "out.jsonl", schema=Number)
    with pytest.raises(ConservationError, match="lost or doubled"):
        pipe.run()
    assert not list(tmp_path.iterdir())


# --- unordered --------------------------------------------------------------------------------------------------------


def test_chunks_that_overtake_each_other_give_the_same_records(two_threads: ThreadPoolExecutor) -> None:
    overtaken = threading.Event()

    def wait(entry: Entry, store: HookStore) -> None:
        if entry.raw_data["n"] == 0:
            assert overtaken.wait(10)

    def give(row: dict[str, Any]) -> None:
        out.append(row["n"])
        if row["n"] == 19:
            overtaken.set()

    out: list[int] = []
    Pipe(numbers(50), give, executor=two_threads, ordered=False, chunk_size=10, pre_validation_hooks=[wait]).run()
    assert out[0] != 0
    assert sorted(out) == list(range(50))


def test_splits_that_overtake_each_other_give_the_same_records(tmp_path: Path, two_threads: ThreadPoolExecutor) -> None:
    source = tmp_path / "in.csv"
    source.write_text("n\n" + "".join(f"{i}\n" for i in range(30_000)))
    overtaken = threading.Event()

    def wait(entry: Entry, store: HookStore) -> None:
        if entry.raw_data["n"] == "0":
            overtaken.wait(5)

    def give(row: dict[str, Any]) -> None:
        out.append(int(row["n"]))
        overtaken.set()

    out: list[int] = []
    Pipe(source, give, executor=two_threads, ordered=False, pre_validation_hooks=[wait]).run()
    assert sorted(out) == list(range(30_000))


def test_positions_are_those_of_the_source_when_chunks_overtake_each_other(two_threads: ThreadPoolExecutor) -> None:
    overtaken = threading.Event()

    def wait(entry: Entry, store: HookStore) -> None:
        if entry.raw_data["n"] == 0:
            assert overtaken.wait(10)
        if entry.raw_data["n"] == 15:
            raise ValueError("fifteen")

    def give(row: dict[str, Any]) -> None:
        overtaken.set()

    bad: list[Any] = []
    report = Pipe(
        numbers(20),
        give,
        errors=bad,
        executor=two_threads,
        ordered=False,
        chunk_size=10,
        pre_validation_hooks=[wait],
    ).run()
    assert [(row["position"], row["raw"]["n"]) for row in bad] == [(15, 15)]
    assert report.first_failures[0]["position"] == 15


# --- pieces that are processed twice ----------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [{"on_error": "fail"}, {"max_errors": 1}])
def test_a_failed_record_that_a_run_scoped_hook_drops_is_no_error_and_ends_nothing(limits: dict[str, Any]) -> None:
    records: list[dict[str, Any]] = [{"k": i, "n": i} for i in range(50)]
    records[3:3] = [{"k": 0, "n": "bad"}, {"k": 1, "n": "bad"}]
    good: list[Any] = []
    report = Pipe(records, good, schema=Keyed, pre_validation_hooks=[Once()], **limits).run()
    assert [row["k"] for row in good] == list(range(50))
    assert (report.read, report.failed, report.dropped) == (52, 0, 2)


def test_a_chunk_cut_by_the_limit_does_not_meet_the_changes_of_its_first_run() -> None:
    def add(entry: Entry, store: HookStore) -> None:
        entry.raw_data["in"]["n"] += 1

    out: list[Any] = []
    Pipe([{"in": {"n": i}} for i in range(10)], out, pre_validation_hooks=[add], limit=5).run()
    assert [row["in"]["n"] for row in out] == [1, 2, 3, 4, 5]


def test_raw_is_the_record_as_read_although_a_hook_changed_it_deep_inside() -> None:
    def spoil(entry: Entry, store: HookStore) -> None:
        entry.raw_data["in"]["n"] += 1
        raise ValueError("no")

    bad: list[Any] = []
    Pipe([{"in": {"n": 1}}], errors=bad, pre_validation_hooks=[spoil]).run()
    assert bad[0]["raw"] == {"in": {"n": 1}}
    assert bad[0]["data"] == {"in": {"n": 2}}


class TenTimes(BaseHook):
    """Fails its whole chunk for one bad entry, as hooks that call a service for many entries do."""

    def execute(self, entries: list[Entry], store: HookStore) -> None:
        for entry in entries:
            if entry.validated_data["n"] == 2:
                raise ValueError("two")
            entry.validated_data["n"] *= 10
            entry.validated_data["more"] = "added"


@pytest.mark.parametrize(
    "schema",
    [
        Number,
        Open,
    ],
)
def test_what_a_hook_writes_to_a_copy_reaches_the_sink(schema: type[BaseModel]) -> None:
    out: list[Any] = []
    Pipe(numbers(4), out, schema=schema, post_validation_hooks=[TenTimes()]).run()
    assert out == [{"n": n, "more": "added"} for n in (0, 10, 30)]


@pytest.mark.parametrize(
    "schema",
    [
        Number,
        Open,
    ],
)
def test_fan_out_after_validation_writes_what_was_written_to_each_copy(schema: type[BaseModel]) -> None:
    def twice(entry: Entry, store: HookStore) -> list[Entry]:
        twin = entry.copy()
        twin.validated_data["n"] += 100
        return [entry, twin]

    out: list[Any] = []
    Pipe(numbers(2), out, schema=schema, post_validation_hooks=[twice]).run()
    assert [row["n"] for row in out] == [0, 100, 1, 101]


# --- places -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sink", "errors"),
    [
        ("out.jsonl", "out.jsonl"),
        pytest.param(
            "out.jsonl",
            "./out.jsonl",
        ),
        pytest.param(
            "out.jsonl",
            "link.jsonl",
        ),
    ],
)
def test_sink_and_error_sink_cannot_be_one_file(
    sink: str, errors: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link.jsonl").symlink_to("out.jsonl")
    with pytest.raises(SinkError, match="both"):
        Pipe([{"n": 1}, {"n": "x"}], sink, errors=errors, schema=Number, mode="overwrite").run()
    assert [one.name for one in tmp_path.iterdir()] == ["link.jsonl"]


def test_an_aborted_run_takes_nothing_more_out_of_a_queue() -> None:
    items: queue.Queue[Any] = queue.Queue()
    arrived = threading.Event()
    before = set(threading.enumerate())
    report = Pipe(items, lambda row: arrived.set()).start()
    items.put({"n": 0})
    assert arrived.wait(5)
    report.abort()
    with pytest.raises(RunCancelledError):
        report.wait(5)
    items.put({"n": 1})
    for thread in set(threading.enumerate()) - before:
        thread.join(2)
    assert items.qsize() == 1


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk_size", [None, 1, 7, 100, 1000])
@pytest.mark.parametrize("limit", [0, 1, 99, 100, 101, 500])
def test_a_limit_is_exact(limit: int, chunk_size: int | None, executor: Any) -> None:
    for source in (numbers(500), (one for one in numbers(500))):
        out: list[Any] = []
        report = Pipe(source, out, limit=limit, chunk_size=chunk_size, executor=executor).run()
        assert out == numbers(limit)
        assert report.read == limit


@pytest.mark.parametrize("chunk_size", [None, 100, 5000])
def test_a_limit_is_exact_in_splits(chunk_size: int | None, tmp_path: Path, executor: Any) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(one) + "\n" for one in numbers(20_000)))
    for limit in (1, 12_345):
        out: list[Any] = []
        Pipe(source, out, limit=limit, chunk_size=chunk_size, executor=executor).run()
        assert out == numbers(limit)


@pytest.mark.parametrize("limits", [{"on_error": "fail"}, {"max_errors": 1}, {"max_errors": 9}])
def test_limits_of_errors_stop_at_the_same_record_whatever_the_chunks(limits: dict[str, Any], executor: Any) -> None:
    records = [{"n": "x" if i % 13 == 5 else i} for i in range(500)]
    allowed = limits.get("max_errors", 0)
    stop = 13 * allowed + 5 + 1
    for chunk_size in (1, 7, 100, 1000):
        good: list[Any] = []
        bad: list[Any] = []
        pipe = Pipe(records, good, errors=bad, schema=Number, chunk_size=chunk_size, executor=executor, **limits)
        with pytest.raises(TooManyErrorsError) as raised:
            pipe.run()
        report = raised.value.report
        assert report is pipe.report
        assert report is not None
        assert (report.read, report.failed) == (stop, allowed + 1)
        assert report.conserved
        assert [row["position"] for row in bad] == list(range(5, stop, 13))
        assert good == []  # a run that failed leaves its target as it was


@pytest.mark.parametrize(
    "chunk_size",
    [
        1,
        100,
        *(size for size in (7, 1000)),
    ],
)
def test_max_error_rate_stops_at_the_same_record_whatever_the_chunks(chunk_size: int) -> None:
    # Half of the first hundred fail, and nothing after them: the rate counts from the hundredth on.
    records: list[dict[str, Any]] = [{"n": "x"}] * 50 + numbers(950)
    with pytest.raises(TooManyErrorsError) as raised:
        Pipe(records, errors=[], schema=Number, max_error_rate=0.1, chunk_size=chunk_size).run()
    assert raised.value.report is not None
    assert raised.value.report.read == 100


class Refuse(BaseHook):
    """Refuses the numbers five and six."""

    scope = "run"
    may_fail = True

    def value(self, entry: Entry, store: HookStore) -> Any:
        return entry.raw_data["n"]

    def decide(self, value: Any, position: int) -> Any:
        return "fail" if value in (5, 6) else "keep"


@pytest.mark.parametrize(
    "chunk_size",
    [
        1,
        4,
        100,
    ],
)
def test_what_a_run_scoped_hook_refuses_stops_at_the_same_record_whatever_the_chunks(chunk_size: int) -> None:
    bad: list[Any] = []
    pipe = Pipe(numbers(50), errors=bad, pre_validation_hooks=[Refuse()], on_error="fail", chunk_size=chunk_size)
    with pytest.raises(TooManyErrorsError):
        pipe.run()
    assert pipe.report is not None
    assert (pipe.report.read, pipe.report.failed) == (6, 1)
    assert [row["position"] for row in bad] == [5]
