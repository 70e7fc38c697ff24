"""What a report says, what is logged, and where a setting comes from when the call says nothing."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import math
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from numbered import numbers
from pydantic import BaseModel

from pipe_core import FlowReport, FlowStatus, HookStore, Pipe, hookimpl, using
from pipe_core.kernel.errors import (
    OptionsError,
    PipeError,
    PluginNotFoundError,
    RecordsFailedError,
    SourceError,
    TooManyErrorsError,
)
from pipe_core.records.entry import Entry


class Number(BaseModel):
    n: int
    inner: dict[str, int] = {}


MIXED: list[Any] = [
    *({"n": "x"}, {"n": 1}, {"n": "y"}, {"n": 2}, {"n": 7}, {"inner": {"k": "z"}, "n": 3}, {"n": "w"}, {"n": "v"}, {}),
]


def mixed(**options: Any) -> FlowReport:
    return Pipe(MIXED, schema=Number, pre_validation_hooks=[hook_of_nine], **options).run()


def hook_of_nine(entry: Entry, store: HookStore) -> Any:
    match entry.raw_data.get("n"):
        case 7:
            raise ValueError("no seven")
        case 2:
            return []
        case 1:
            return [entry, entry.copy()]
    return None


# --- the report -------------------------------------------------------------------------------------------------------


def test_a_report_counts_under_both_names(executor: Any) -> None:
    report = mixed(errors=[], executor=executor)
    assert (report.read, report.valid, report.failed, report.dropped, report.expanded) == (9, 2, 7, 1, 1)
    assert (report.total_processed, report.success_count, report.error_count) == (9, 2, 7)
    assert report.items_per_second == report.records_per_second > 0
    assert report.conserved
    assert report.status is FlowStatus.COMPLETED
    assert report.is_finished
    assert report.exception is None


def test_a_report_knows_its_circumstances(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("n\n1\n")
    before = datetime.now(UTC)
    report = Pipe(source, tmp_path / "out.jsonl", errors=tmp_path / "bad.jsonl", schema=Number, name="orders").run()
    assert report.run.startswith("orders-")
    assert (report.source, report.sink, report.errors) == (
        str(source),
        str(tmp_path / "out.jsonl"),
        str(tmp_path / "bad.jsonl"),
    )
    assert (report.executor, report.workers, report.codec) == ("sync", 1, None)
    assert report.delivery == "exactly-once"
    assert report.started is not None
    assert before <= report.started <= datetime.now(UTC)
    assert 0 < report.duration < 60
    assert {"read", "validation", "encode", "write"} <= set(report.phases)
    assert all(seconds >= 0 for seconds in report.phases.values())
    assert report.chunks >= 1


def test_two_runs_have_two_names() -> None:
    pipe = Pipe(numbers(1))
    assert pipe.run().run != pipe.run().run


def test_a_list_as_sink_is_no_promise_after_a_crash() -> None:
    assert Pipe(numbers(1), []).run().delivery == "at-least-once"


def test_the_duration_of_a_run_that_has_ended_stands_still() -> None:
    report = Pipe(numbers(1)).run()
    assert report.duration == report.duration


@pytest.mark.parametrize("chunk_size", [None, 1, 4])
def test_the_histogram_counts_by_phase_type_and_place_with_the_first_examples(chunk_size: int | None) -> None:
    report = mixed(errors=[], chunk_size=chunk_size)
    text = "Input should be a valid integer, unable to parse string as an integer"
    assert [(kind.phase, kind.type, kind.location, kind.count) for kind in report.histogram] == [
        ("validation", "int_parsing", "n", 4),
        ("pre", "HookError", "hook_of_nine", 1),
        ("validation", "int_parsing", "inner.k", 1),
        ("validation", "missing", "n", 1),
    ]
    assert report.histogram[0].examples == [{"position": p, "message": text} for p in (0, 2, 6)]
    assert report.histogram[1].examples == [{"position": 4, "message": "hook_of_nine: no seven"}]


def test_the_first_ten_failures_are_kept_whole() -> None:
    report = Pipe([{"n": "x"}] * 25, schema=Number, errors=[]).run()
    assert [failure["position"] for failure in report.first_failures] == list(range(10))
    assert report.first_failures[0]["errors"][0]["loc"] == ["n"]
    assert report.failed == 25


def test_a_place_in_a_list_is_counted_once_for_all_indexes() -> None:
    report = Pipe([[1, "x"], ["y", 2, "z"]], schema=list[int], errors=[]).run()
    assert [(kind.type, kind.count) for kind in report.histogram] == [("int_parsing", 3)]


def test_a_report_survives_json_and_files(tmp_path: Path) -> None:
    report = mixed(name="héllo")
    facts = report.to_dict()
    assert json.loads(report.to_json()) == facts
    assert json.loads(report.to_json(indent=None)) == facts
    assert "\n" not in report.to_json(indent=None)
    assert json.loads(report.save(tmp_path / "report.json").read_text(encoding="utf-8")) == facts
    page = report.save(str(tmp_path / "report.html")).read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert report.run in page
    assert facts["status"] == "completed"
    assert {"read", "valid", "failed", "dropped", "expanded", "histogram", "executor", "codec", "delivery"} <= set(
        facts
    )


def test_changing_what_to_dict_gave_changes_no_report() -> None:
    report = mixed()
    before = report.to_json()
    facts = report.to_dict()
    for one in (*facts["histogram"], *facts["first_failures"]):
        one.clear()
    facts["notes"].append("mine")
    assert report.to_json() == before


def test_the_report_of_a_failed_run_says_why(tmp_path: Path) -> None:
    def source() -> Iterator[Any]:
        yield from numbers(5)
        raise OSError("line is cut")

    pipe = Pipe(source(), tmp_path / "out.jsonl")
    with pytest.raises(SourceError) as raised:
        pipe.run()
    assert pipe.report is not None
    assert pipe.report.status is FlowStatus.FAILED
    assert pipe.report.exception is raised.value
    assert pipe.report.to_dict()["exception"] == {"type": "SourceError", "message": str(raised.value)}
    assert (pipe.report.read, pipe.report.valid) == (5, 5)
    assert any(".partial" in note for note in pipe.report.notes)
    with pytest.raises(SourceError):
        pipe.report.raise_for_status()


def test_raise_for_status_names_the_most_frequent_reasons_and_the_place(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    with pytest.raises(RecordsFailedError) as raised:
        mixed(errors=bad).raise_for_status()
    text = str(raised.value)
    assert text.startswith("7 of 9 records failed: 4 int_parsing at n; 1 HookError at hook_of_nine; ")
    assert text.endswith(f"They are in {bad}.")
    with pytest.raises(RecordsFailedError, match="errors=") as raised:
        mixed().raise_for_status()
    assert raised.value.report is not None
    assert raised.value.report.failed == 7


def test_raise_for_status_of_a_clean_run_gives_the_report() -> None:
    report = Pipe(numbers(3), schema=Number).run()
    assert report.raise_for_status() is report


# --- notes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{"compression": "lz4"}, {"codec": "msgpack"}, {"codec": "msgpack", "compression": "lz4"}]
)
def test_what_has_no_use_is_noted_and_the_run_goes_on(options: dict[str, Any], executor: Any) -> None:
    out: list[Any] = []
    report = Pipe(numbers(3), out, executor=executor, **options).run()
    assert out == numbers(3)
    [note] = report.notes
    assert "no use" in note
    assert all(name in note for name in options)


def test_nothing_is_noted_where_there_is_nothing_to_say() -> None:
    assert Pipe(numbers(3)).run().notes == []


@pytest.mark.parametrize("options", [{"compression": "zip"}, {"codec": "morse"}, {"codec": ("msgpack", {"odd": 1})}])
def test_an_unknown_codec_or_compression_is_an_error_even_where_it_has_no_use(options: dict[str, Any]) -> None:
    out: list[Any] = []
    with pytest.raises((OptionsError, PluginNotFoundError), match=r"compression|morse|odd"):
        Pipe(numbers(3), out, **options).run()
    assert out == []


# --- logging ----------------------------------------------------------------------------------------------------------


def test_one_warning_tells_of_failures_without_an_error_sink(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        report = mixed()
    [message] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert report.run in message
    assert "7 of 9" in message


def test_nothing_is_logged_as_a_warning_when_nothing_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    mixed(errors=[])
    Pipe(numbers(3), schema=Number).run()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


class BrokenObserver:
    @hookimpl
    def pipe_run_started(self, run: Any) -> None:
        raise ValueError("broken")


def test_the_run_is_named_when_an_observer_fails(caplog: pytest.LogCaptureFixture) -> None:
    report = Pipe(numbers(3), observers=[BrokenObserver()]).run()
    [record] = caplog.records
    assert record.exc_info is not None
    assert report.run in record.getMessage()


def test_an_observer_that_fails_is_logged_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    out: list[Any] = []
    report = Pipe(numbers(3), out, observers=[BrokenObserver()]).run()
    assert out == numbers(3)
    assert report.status is FlowStatus.COMPLETED
    assert len(caplog.records) == 1


QUIET = """
import logging, sys
before = logging.root.handlers[:], logging.root.level
from pydantic import BaseModel
from pipe_core import Pipe
class Number(BaseModel):
    n: int
def fail(entry, store):
    raise ValueError("no")
Pipe([{"n": 1}, {"n": "x"}], [], errors=[], schema=Number).run()
Pipe([{"n": 1}], [], errors=[], pre_validation_hooks=[fail]).run()
assert (logging.root.handlers, logging.root.level) == before
for name in [None, *logging.root.manager.loggerDict]:
    if name is None or name.startswith("pipe"):
        assert all(type(one) is logging.NullHandler for one in logging.getLogger(name).handlers), name
"""


def test_nothing_is_printed_and_no_handler_is_installed() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", QUIET], capture_output=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# --- settings ---------------------------------------------------------------------------------------------------------


class Tasks:
    """Listens to tasks: how many were in flight at once."""

    def __init__(self) -> None:
        self.inside = self.highest = 0
        self.two = threading.Event()

    @hookimpl
    def pipe_task_submitted(self, run: Any, task: Any) -> None:
        self.inside += 1
        self.highest = max(self.highest, self.inside)
        if self.highest > 1:
            self.two.set()

    @hookimpl
    def pipe_task_finished(self, run: Any, task: Any) -> None:
        self.inside -= 1


def chunks(**options: Any) -> int:
    return Pipe(numbers(10), **options).run().chunks


def more_than_one_in_flight(**options: Any) -> bool:
    tasks = Tasks()

    def first(entry: Entry, store: HookStore) -> None:
        if entry.raw_data["n"] == 0:
            tasks.two.wait(0.5)  # until there are two; whether there ever are is the question

    with ThreadPoolExecutor(2) as pool:
        Pipe(numbers(10), pre_validation_hooks=[first], observers=[tasks], executor=pool, chunk_size=1, **options).run()
    return tasks.highest > 1


def calls_in_flight(**options: Any) -> int:
    inside = highest = 0

    async def hook(entry: Entry, store: HookStore) -> None:
        nonlocal inside, highest
        inside += 1
        highest = max(highest, inside)
        await asyncio.sleep(0)
        inside -= 1

    Pipe(numbers(30), pre_validation_hooks=[hook], **options).run()
    return highest


def timed_out(**options: Any) -> int:
    async def hook(entry: Entry, store: HookStore) -> None:
        await asyncio.sleep(0.05)  # workload

    return Pipe(numbers(1), pre_validation_hooks=[hook], errors=[], **options).run().failed


def read_until_stopped(**options: Any) -> int:
    pipe = Pipe([{"n": "x"}] * 5 + numbers(200), schema=Number, errors=[], **options)
    with contextlib.suppress(TooManyErrorsError):
        pipe.run()
    assert pipe.report is not None
    return pipe.report.read


def shown(**options: Any) -> Any:
    bad: list[Any] = []
    Pipe([{"n": "x"}], errors=bad, schema=Number, **options).run()
    return bad[0]["raw"]


def noted(**options: Any) -> list[str]:
    return [note.partition(" ")[0] for note in Pipe(numbers(1), **options).run().notes]


def executor_name(**options: Any) -> str:
    return Pipe(numbers(1), **options).run().executor


def observed(**options: Any) -> list[str]:
    found: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    listener, logger = Listener(), logging.getLogger("pipe_core")
    level = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.DEBUG)
    try:
        Pipe(numbers(1), **options).run()
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)
    return ["heard"] if found else []


# Setting: what to look at, what is seen by default, a value, what is seen then, and a wrong value.
SETTINGS: dict[str, tuple[Callable[..., Any], Any, Any, Any, Any]] = {
    "chunk_size": (chunks, 1, 3, 4, 0),
    "max_inflight": (more_than_one_in_flight, True, 1, False, -1),
    "max_bytes_inflight": (more_than_one_in_flight, True, "1B", False, "much"),
    "concurrency": (calls_in_flight, 10, 3, 3, 0),
    "hook_timeout": (timed_out, 0, 0.001, 1, 0),
    "compression": (noted, [], "lz4", ["compression"], "zip"),
    "codec": (noted, [], "msgpack", ["codec"], "morse"),
    "on_error": (read_until_stopped, 205, "fail", 1, "shrug"),
    "max_errors": (read_until_stopped, 205, 2, 3, "many"),
    "max_error_rate": (read_until_stopped, 205, 0.01, 100, 1.5),
    "error_payload": (shown, {"n": "x"}, "redacted", {"n": "…"}, "all"),
    "executor": (executor_name, "sync", "sync", "sync", "abacus"),
    "observers": (observed, [], ["log"], ["heard"], ["nobody"]),
}
NAMES = pytest.mark.parametrize("name", SETTINGS)


@pytest.fixture(autouse=True)
def in_a_folder_without_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in SETTINGS:
        monkeypatch.delenv(f"PIPE_{name.upper()}", raising=False)


def as_text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


@contextlib.contextmanager
def said(way: str, name: str, value: Any, folder: Path) -> Iterator[dict[str, Any]]:
    """A setting said in one way; what is left to say in the call is given."""
    with pytest.MonkeyPatch.context() as patch:
        if way == "the call":
            yield {name: value}
        elif way == "using":
            with using(**{name: value}):
                yield {}
        elif way == "environment":
            patch.setenv(f"PIPE_{name.upper()}", as_text(value))
            yield {}
        elif way == "pyproject.toml":
            (folder / "pyproject.toml").write_text(f"[tool.pipe]\n{name} = {json.dumps(value)}\n")
            yield {}
        else:
            (folder / "pipe.toml").write_text(f"{name} = {json.dumps(value)}\n")
            yield {}


WAYS = ["the call", "using", "environment", "pipe.toml", "pyproject.toml"]


@NAMES
def test_nothing_said_is_the_default_and_every_way_to_say_it_is_heard(name: str, tmp_path: Path) -> None:
    look, default, value, changed, _ = SETTINGS[name]
    assert look() == default
    for way in WAYS:
        with said(way, name, value, tmp_path) as options:
            assert look(**options) == changed, way
        for path in tmp_path.glob("*.toml"):
            path.unlink()
    assert look() == default


@NAMES
def test_none_in_the_call_means_as_the_settings_say(name: str) -> None:
    look, _, value, changed, _ = SETTINGS[name]
    with using(**{name: value}):
        assert look(**{name: None}) == changed


ANOTHER: dict[str, tuple[Any, Any]] = {
    "chunk_size": (5, 2),
    "concurrency": (4, 4),
    "hook_timeout": (30, 0),
    "on_error": ("collect", 205),
    "max_errors": (3, 4),
    "error_payload": ("full", {"n": "x"}),
    "observers": ([], []),
}


@pytest.mark.parametrize("name", ANOTHER)
def test_the_call_is_stronger_than_using_than_the_environment_than_a_file(name: str, tmp_path: Path) -> None:
    look, _, value, changed, _ = SETTINGS[name]
    other, seen = ANOTHER[name]
    ways = ["the call", "using", "environment", "pipe.toml"]
    for strong, weak in itertools.pairwise(ways):
        if name == "observers" and strong == "environment":
            continue  # an empty variable is one that was not set
        with said(weak, name, value, tmp_path) as none, said(strong, name, other, tmp_path) as options:
            assert look(**none, **options) == seen, (strong, weak)
        for path in tmp_path.glob("*.toml"):
            path.unlink()
    assert changed != seen


WRONG_WAYS = {
    "the call": "the call",
    "using": "using(...)",
    "environment": "PIPE_{name}",
    "pipe.toml": "pipe.toml",
}


@pytest.mark.parametrize("way", WRONG_WAYS)
@pytest.mark.parametrize("name", SETTINGS)
def test_a_wrong_value_is_an_error_that_names_its_source(name: str, way: str, tmp_path: Path) -> None:
    look, _, _, _, wrong = SETTINGS[name]
    with pytest.raises(PipeError) as raised, said(way, name, wrong, tmp_path) as options:
        look(**options)
    text = str(raised.value)
    assert name.rstrip("s") in text
    if way != "the call":  # what was said in the call is plain to see
        assert WRONG_WAYS[way].format(name=name.upper()) in text


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("chunk_size", [-1, "many", 2.5, math.nan]),
        ("max_inflight", [0, "x"]),
        ("max_bytes_inflight", [0, -5, "5 apples"]),
        ("concurrency", [0, -1]),
        ("hook_timeout", [0, -1, "soon", math.nan]),
        ("max_error_rate", [-0.1, 1.1, math.nan, "half"]),
        ("max_errors", [-1, 1.5]),
    ],
)
def test_values_out_of_range_are_refused_when_the_pipe_is_made(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(OptionsError, match=name):
            Pipe([], **{name: value})


@pytest.mark.parametrize(
    "limit",
    [
        -1,
        "5",
        1.5,
    ],
)
def test_a_wrong_limit_is_an_error_of_its_own(limit: Any) -> None:
    with pytest.raises(OptionsError, match="limit"):
        Pipe(numbers(3), limit=limit).run()


def test_no_errors_at_all_may_be_allowed() -> None:
    pipe = Pipe([{"n": 1}, {"n": "x"}, {"n": 2}], schema=Number, errors=[], max_errors=0)
    with pytest.raises(TooManyErrorsError):
        pipe.run()
    assert pipe.report is not None
    assert pipe.report.read == 2


def test_a_setting_that_there_is_not_is_named_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "pipe.toml").write_text("chunksize = 5\n")
    with pytest.raises(PipeError, match=r"chunksize.*pipe\.toml.*chunk_size"):
        Pipe(numbers(1)).run()
