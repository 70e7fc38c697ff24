"""Every place that records can go to or come from, of runs that fail and go on: what is promised is what happens."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipe_core import FlowReport, Pipe, get_format
from pipe_core.kernel.errors import PipeError, TargetExistsError
from pipe_core.records.resuming.kept_run import last_resumable
from pipe_core.runs.errors import ResumeError

RECORDS = [{"n": n} for n in range(6_000)]
POINTS = [
    "checkpoint.kept=error@2",
    "checkpoint.sink.after=error@2",
    "commit.after=error@4",
    "checkpoint.sink.after=error@7",
    "sink.commit.before=error",
    "sink.commit.after=error",
]
"""Six chunks have a checkpoint each where they can; the seventh one is that of the end."""
BEGINNING = "resumed from the beginning"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pipe(sink: Any, source: Any = RECORDS, **options: Any) -> Pipe:
    settled: dict[str, Any] = {"checkpoint": "runs", "checkpoint_seconds": 1e-9, "chunk_size": 1_000}
    return Pipe(source, sink, **{**settled, **options})


def resumed(make: Callable[[], Pipe], point: str, armed: Callable[[str], None]) -> FlowReport:
    """The report of the run that goes on behind one that has failed at *point*."""
    armed(point)
    with pytest.raises(OSError, match="Input/output error"):
        make().run()
    armed("")
    return make().resume()


def rows(target: str) -> list[Any]:
    return [entry.validated_data for entry in Pipe(target)]


# --- files and folders ---


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize(
    ("target", "mode"),
    [
        (target, mode)
        for target in ("out.csv", "out.jsonl.gz", "out.json", "out.jsonl/", "out.csv/", ("out.jsonl", {"via": "files"}))
        for mode in ("overwrite", "append")
        if (target, mode) != ("out.json", "append")  # an array has an end
    ],
    ids=str,
)
def test_files_have_every_record_once(target: Any, mode: Any, point: str, armed: Callable[[str], None]) -> None:
    path = target if isinstance(target, str) else target[0]
    before = [{"n": "-1" if "csv" in path else -1}]
    Pipe(before, target).run()
    report = resumed(lambda: pipe(target, mode=mode), point, armed)

    assert (report.read, report.valid, report.delivery) == (len(RECORDS), len(RECORDS), "exactly-once")
    expected = [{"n": str(n) if "csv" in path else n} for n in range(len(RECORDS))]
    assert rows(path) == (before if mode == "append" else []) + expected
    assert not any(BEGINNING in note for note in report.notes)
    left = {one.name for one in Path().iterdir()} - {"runs", "out.jsonl", "out.csv", "out.json", "out.jsonl.gz"}
    assert not left, "nothing is beside the target"


# --- what is in this process ---


@pytest.mark.parametrize("point", POINTS)
def test_a_list_loses_nothing_and_a_function_may_be_called_again(point: str, armed: Callable[[str], None]) -> None:
    listed: list[Any] = []
    report = resumed(lambda: pipe(listed), point, armed)
    assert report.delivery == "at-least-once"
    seen = [row["n"] for row in listed]
    assert sorted(set(seen)) == list(range(len(RECORDS)))
    if point in ("checkpoint.kept=error@2", "commit.after=error@4", "sink.commit.before=error"):
        assert seen == sorted(set(seen)), "what no checkpoint tells of was taken back"

    called: list[Any] = []
    report = resumed(lambda: pipe(lambda row: called.append(row["n"])), point, armed)
    assert report.delivery == "at-least-once"
    assert sorted(set(called)) == list(range(len(RECORDS)))
    if "@2" in point:
        assert report.resumed_at == (2_000 if "kept" in point else 1_000), "it did not begin anew"


class Holding:
    """A sink that shows nothing before its commit, as one that collects what it sends."""

    name = "<holding>"

    def __init__(self, shown: list[Any], delivery: str, calls: list[str]) -> None:
        self.delivery = delivery
        self._shown, self._held, self._calls = shown, list[Any](), calls

    def exists(self) -> bool:
        return bool(self._shown)

    def encoder(self) -> Any:
        return get_format("memory").sink([]).encoder()

    def open(self, mode: str, fields: Any = None) -> None:
        self._calls.append(f"open {mode}")

    def write(self, payload: list[Any], count: int) -> None:
        self._held += payload

    def commit(self) -> None:
        self._shown += self._held
        self._held = []

    def abort(self, keep: bool = False) -> None:
        self._calls.append("abort")
        self._held = []

    def close(self) -> None:
        self._calls.append("close")
        self._held = []


@pytest.mark.parametrize("point", [*POINTS, "checkpoint.kept=error@7"])
@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_a_sink_with_which_nobody_can_go_on(delivery: str, point: str, armed: Callable[[str], None]) -> None:
    """It has everything, or is told of as lacking all of it; never is a run complete whose sink has less."""
    shown: list[Any] = []
    calls: list[str] = []
    whole = delivery == "exactly-once"
    if whole:  # there is one checkpoint, at the end
        point = point.replace("@2", "@1").replace("@7", "@1")
    report = resumed(lambda: pipe(Holding(shown, delivery, calls), mode="append"), point, armed)

    numbers = [row["n"] for row in shown]
    assert sorted(set(numbers)) == list(range(len(RECORDS)))
    assert report.read == len(RECORDS)
    assert report.delivery == "at-least-once", "whether its last commit was made, nobody knows"
    assert any(BEGINNING in note and "<holding>" in note for note in report.notes) == (
        whole and point != "checkpoint.kept=error@1"
    )
    if whole:
        twice = point == "sink.commit.after=error"
        assert len(numbers) == len(RECORDS) * (1 + twice)
    assert calls.count("close") == calls.count("open append")


def test_what_cannot_be_gone_on_with_and_exists_now_is_not_written_twice(armed: Callable[[str], None]) -> None:
    shown: list[Any] = []

    class Refusing(Holding):
        def open(self, mode: str, fields: Any = None) -> None:
            if shown and mode == "error":
                raise TargetExistsError("It exists already.", sink=self.name)

    armed("sink.commit.after=error")
    with pytest.raises(OSError, match="Input/output"):
        pipe(Refusing(shown, "exactly-once", [])).run()
    armed("")
    with pytest.raises(TargetExistsError):
        pipe(Refusing(shown, "exactly-once", [])).resume()
    assert [row["n"] for row in shown] == list(range(len(RECORDS)))


@pytest.mark.parametrize("point", ["checkpoint.kept=error", "sink.commit.before=error"])
def test_an_array_in_a_stream_is_ended_once(
    point: str, armed: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    out = io.TextIOWrapper(written)
    monkeypatch.setattr(sys, "stdout", out)
    report = pipe(("-", {"format": "json"})).run()
    assert json.loads(written.getvalue()) == RECORDS
    assert any(BEGINNING in note for note in report.notes)


# --- stores ---


@pytest.fixture
def store() -> Iterator[str]:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    yield "memory://bucket"
    memory.store.clear()


@pytest.mark.parametrize("point", ["commit.after=error@4", "sink.commit.before=error", "sink.commit.after=error"])
def test_a_store_gets_a_file_whole_from_the_beginning(store: str, point: str, armed: Callable[[str], None]) -> None:
    target = f"{store}/out.jsonl"
    report = resumed(lambda: pipe(target, mode="overwrite"), point, armed)
    assert rows(target) == RECORDS
    assert report.delivery == "exactly-once"
    assert report.resumed_at is None
    assert any(BEGINNING in note and "bucket/out.jsonl" in note for note in report.notes)

    armed("checkpoint.kept=error")
    with pytest.raises(OSError, match="Input/output"):
        pipe(target, mode="overwrite").run()
    armed("")
    report = pipe(target, mode="overwrite").resume()
    assert rows(target) == RECORDS, "it had been put there before the checkpoint said so"
    assert report.resumed_at == len(RECORDS)


def test_a_file_in_a_store_that_has_changed_is_refused(store: str, armed: Callable[[str], None]) -> None:
    source = f"{store}/in.jsonl"
    Pipe(RECORDS, source).run()
    check_refused(source, lambda: Pipe([*RECORDS, {"n": -1}], source, mode="overwrite").run(), armed)


# --- sources that tell that they have changed ---


def check_refused(source: Any, change: Callable[[], Any], armed: Callable[[str], None]) -> None:
    """A run goes on with *source* as it was, and does not behind *change*."""
    for changes in (False, True):
        armed("checkpoint.kept=error")
        with pytest.raises(OSError, match="Input/output"):
            pipe("out.jsonl", source, mode="overwrite").run()
        armed("")
        if changes:
            change()
            with pytest.raises(ResumeError, match="has changed"):
                pipe("out.jsonl", source, mode="overwrite").resume()
            assert last_resumable(Path("runs")), "who says force may go on"
        else:
            assert pipe("out.jsonl", source, mode="overwrite").resume().read == len(RECORDS)


def test_an_array_that_has_changed_is_refused(armed: Callable[[str], None]) -> None:
    Path("in.json").write_text(json.dumps(RECORDS))
    check_refused("in.json", lambda: Path("in.json").write_text(json.dumps([*RECORDS, {"n": -1}])), armed)


def test_a_folder_with_another_part_is_refused(armed: Callable[[str], None]) -> None:
    Pipe(RECORDS, "in.jsonl/").run()
    check_refused("in.jsonl/", lambda: Pipe([{"n": -1}], "in.jsonl/", mode="append").run(), armed)


@pytest.mark.parametrize("change", [lambda given: given.append({"n": -1}), lambda given: given[0].update(n=-1)])
def test_a_list_that_has_changed_is_refused(change: Callable[[list[Any]], Any], armed: Callable[[str], None]) -> None:
    given = [dict(record) for record in RECORDS]
    check_refused(given, lambda: change(given), armed)


def test_what_is_in_a_list_need_not_be_json(armed: Callable[[str], None]) -> None:
    circle: list[Any] = []
    circle.append(circle)
    given = [{"n": object()}, {"n": {1, 2}}, {(1, 2): 3}, {"n": circle}, {"n": "\ud800"}, *RECORDS]
    report = resumed(lambda: pipe(None, given), "checkpoint.kept=error@2", armed)
    assert report.read == len(given)


def test_a_pipe_with_an_unknown_place_is_no_run() -> None:
    with pytest.raises(PipeError):
        pipe("out.unknown").run()
    assert list(Path("runs").iterdir()) == []
