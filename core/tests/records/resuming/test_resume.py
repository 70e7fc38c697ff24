"""Runs that fail or are stopped anywhere, and go on at their checkpoint: the same bytes as of an undisturbed one."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import queue
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pipe_core import BaseHook, Entry, FlowReport, FlowStatus, HookStore, OptionsError, Pipe
from pipe_core.kernel.errors import PipeError, RunCancelledError, RunTimeoutError, TooManyErrorsError
from pipe_core.runs.errors import CheckpointError, ResumeError, RunLockedError, RunNotFoundError
from pipe_core.runtime.failpoints import NAMES

RECORDS = 20_000
ALWAYS = 1e-9
"""Seconds between two checkpoints: one behind every chunk."""


class Number(BaseModel):
    n: int


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    with open("in.jsonl", "w") as file:
        for n in range(RECORDS):
            file.write(json.dumps({"n": n if n % 100 else f"bad {n}"}) + "\n")
    with open("in.csv", "w") as file:
        file.write("n,text\n")
        for n in range(RECORDS):
            file.write(f'{n if n % 100 else "bad"},"a ""quoted"",\ntext"\n')
    return tmp_path


def pipe(sink: Any = "out.jsonl", source: Any = "in.jsonl", **options: Any) -> Pipe:
    settled = {"schema": Number, "errors": "bad.jsonl", "checkpoint": "runs", "checkpoint_seconds": ALWAYS}
    return Pipe(source, sink, **{**settled, "chunk_size": 2_500, **options})


def left() -> dict[str, bytes]:
    """All files but the runs, by name. Of compressed ones the contents, and part files as one: checkpoints cut them."""
    found: dict[str, bytes] = {}
    for path in sorted(Path().rglob("*")):
        if path.is_file() and path.parts[0] != "runs":
            data = path.read_bytes()
            name = str(path.parent) if path.parent.suffix else str(path)
            found[name] = found.get(name, b"") + (gzip.decompress(data) if path.suffix == ".gz" else data)
    return found


def undisturbed(make: Callable[[], Pipe]) -> tuple[dict[str, bytes], FlowReport]:
    """The files and the report of a run that nobody disturbs; the targets are gone again."""
    before = left()
    report = make().run()
    after = left()
    for name in after.keys() - before.keys():
        remove(name)
    return after, report


def remove(*names: str) -> None:
    for name in names:
        shutil.rmtree(name) if Path(name).is_dir() else Path(name).unlink()


def read_at_last() -> int:
    """How many records the checkpoint of the newest run counts."""
    path = max(Path("runs").glob("*/checkpoint.json"))
    return int(json.loads(json.loads(path.read_text())["state"])["report"]["read"])


def broken() -> AbstractContextManager[Any]:
    """What follows comes to a failpoint."""
    return pytest.raises(OSError, match="Input/output error")


def counts(report: FlowReport) -> dict[str, Any]:
    facts = report.to_dict()
    return {
        key: facts[key]
        for key in ("status", "read", "valid", "failed", "dropped", "expanded", "histogram", "first_failures")
    }


def times(point: str) -> list[int]:
    """When a run comes to a place: once, or again and again."""
    return [1] if ".commit." in point or point == "run.planned" else [1, 3]


SINKS = {"jsonl": "out.jsonl", "csv": "out.csv", "gz": "out.jsonl.gz", "json": "out.json", "parts": "out.jsonl/"}
POINTS = [name for name in NAMES if name != "run.ended"]


@pytest.mark.parametrize(
    ("point", "time", "sink"),
    [
        (point, time, sink)
        for sink in SINKS.values()
        for point in POINTS
        for time in (times(point) if sink in ("out.jsonl", "out.jsonl/") else [1])
    ],
)
def test_a_run_that_fails_anywhere_goes_on(point: str, time: int, sink: str, armed: Callable[[str], None]) -> None:
    expected, whole = undisturbed(lambda: pipe(sink))
    armed(f"{point}=full@{time}")
    try:
        first = pipe(sink).run()
    except (PipeError, OSError):
        first = None
    else:
        assert point in ("file.written", "file.replaced"), "it was to fail"
    armed("")
    if first is None:
        try:
            report = pipe(sink).resume()
        except RunNotFoundError:
            assert point in ("file.written", "file.replaced")
            assert time == 1
            report = pipe(sink).run()
        assert counts(report) == counts(whole)
    assert left() == expected


@pytest.mark.parametrize("source", ["in.jsonl", "in.csv"])
@pytest.mark.parametrize("chunk_size", [None, 3_000, 3_500])
def test_splits_and_chunks_go_on_behind_the_last_record(
    source: str, chunk_size: int | None, armed: Callable[[str], None]
) -> None:
    expected, whole = undisturbed(lambda: pipe(source=source, chunk_size=chunk_size))
    for moment in (1,) if chunk_size is None else (1, 3):
        armed(f"checkpoint.kept=error@{moment}")
        with broken():
            pipe(source=source, chunk_size=chunk_size).run()
        armed("")
        report = pipe(source=source, chunk_size=chunk_size).resume()
        assert report.resumed_at is not None
        assert 0 < report.resumed_at < RECORDS
        assert counts(report) == counts(whole)
        assert left() == expected
        Path("out.jsonl").unlink()
        Path("bad.jsonl").unlink()


def test_a_run_is_resumed_again_and_again(armed: Callable[[str], None]) -> None:
    records = [{"n": n if n % 100 else "bad"} for n in range(RECORDS)]

    def make() -> Pipe:
        return pipe(source=records)

    expected, whole = undisturbed(make)
    armed("checkpoint.kept=error@2")
    with broken():
        make().run()
    done = []
    for _ in range(3):
        failing = make()
        armed("commit.after=error@1")
        with broken():
            failing.resume()
        armed("")
        assert failing.report is not None
        done.append(failing.report.resumable_at or 0)
    assert done == sorted(set(done)), "each time it comes further"
    report = make().resume()

    assert counts(report) == counts(whole)
    assert left() == expected


def test_iterables_are_read_again_up_to_the_checkpoint(armed: Callable[[str], None]) -> None:
    def numbers() -> Iterator[dict[str, Any]]:
        for n in range(RECORDS):
            yield {"n": n if n % 100 else "bad"}

    for source in (numbers, lambda: list(numbers())):
        expected, whole = undisturbed(lambda source=source: pipe(source=source()))
        armed("checkpoint.kept=error@3")
        with broken():
            pipe(source=source()).run()
        armed("")
        assert counts(pipe(source=source()).resume()) == counts(whole)
        assert left() == expected
        Path("out.jsonl").unlink()
        Path("bad.jsonl").unlink()


def test_an_iterable_that_became_shorter_is_no_end_of_the_run(armed: Callable[[str], None]) -> None:
    records = [{"n": n} for n in range(10_000)]
    armed("checkpoint.kept=error@3")
    with broken():
        pipe(source=records).run()
    armed("")
    with pytest.raises(PipeError, match="ended before its record 7,500"):
        pipe(source=records[:3_000]).resume(force=True)
    assert not Path("out.jsonl").exists()


async def _numbers() -> AsyncIterator[dict[str, int]]:
    for n in range(RECORDS):
        yield {"n": n}


@pytest.mark.parametrize("kind", [lambda: ({"n": n} for n in range(RECORDS)), _numbers], ids=["sync", "async"])
def test_a_generator_that_was_begun_is_not_read_on(kind: Callable[[], Any], armed: Callable[[str], None]) -> None:
    begun = pipe(source=kind())
    armed("checkpoint.kept=error@3")
    with broken():
        begun.run()
    armed("")
    with pytest.raises(ResumeError, match="has been begun already"):
        begun.resume()
    assert pipe(source=kind()).resume().valid == RECORDS


@pytest.mark.parametrize(
    "source",
    [queue.Queue, asyncio.Queue, lambda: iter([{"n": 1}]), lambda: map(dict, []), lambda: "-"],
    ids=["queue", "asyncio", "iterator", "map", "stdin"],
)
def test_what_gives_its_records_once_is_refused(source: Callable[[], Any]) -> None:
    with pytest.raises(OptionsError, match="is resumed by reading its source again"):
        pipe(source=source()).run()
    assert list(Path("runs").iterdir()) == []


def test_several_files_go_on_in_the_one_that_was_read(armed: Callable[[str], None]) -> None:
    Path("many").mkdir()
    for part in range(4):
        Path(f"many/{part}.jsonl").write_text(
            "".join(f'{{"n": {n}}}\n' for n in range(part * 7_000, part * 7_000 + 7_000))
        )
    expected, whole = undisturbed(lambda: pipe(source="many/*.jsonl", chunk_size=None))
    armed("checkpoint.kept=error@3")
    with broken():
        pipe(source="many/*.jsonl", chunk_size=None).run()
    armed("")
    report = pipe(source="many/*.jsonl", chunk_size=None).resume()

    assert counts(report) == counts(whole)
    assert left() == expected


# --- hooks that remember ---


class EverySecond(BaseHook):
    """Keeps every second entry of the run."""

    scope = "run"

    def begin(self) -> None:
        self.count = 0

    def value(self, entry: Entry, store: HookStore) -> int:
        return 0

    def decide(self, value: Any, position: int) -> Any:
        self.count += 1
        return "keep" if self.count % 2 else "drop"


class Remembering(EverySecond):
    def checkpoint(self) -> int:
        return self.count

    def restore(self, news: int) -> None:
        self.count = news


@pytest.mark.parametrize("hook", [Remembering, ("deduplicate", {"keys": ["n"]})], ids=["own", "deduplicate"])
def test_hooks_of_the_run_remember(hook: Any, armed: Callable[[str], None]) -> None:
    records = [{"n": n % 9_000} for n in range(RECORDS)]

    def make() -> Pipe:
        return pipe(
            source=records, post_validation_hooks=[hook() if isinstance(hook, type) else hook], chunk_size=1_990
        )

    expected, whole = undisturbed(make)
    for moment in (1, 5):
        armed(f"checkpoint.kept=error@{moment}")
        with broken():
            make().run()
        armed("checkpoint.hooks.after=error@2")
        with broken():
            make().resume()
        armed("")
        assert counts(make().resume()) == counts(whole)
        assert left() == expected
        Path("out.jsonl").unlink()
        Path("bad.jsonl").unlink()


def test_a_hook_that_would_forget_is_refused() -> None:
    with pytest.raises(OptionsError, match=r"EverySecond decides .* checkpoint\(\) and restore"):
        pipe(post_validation_hooks=[EverySecond()]).run()
    assert list(Path("runs").iterdir()) == [], "nothing is kept of a run that never began"


# --- what is refused ---


def failed(armed: Callable[[str], None], **options: Any) -> str:
    """The id of a run that failed half-way."""
    armed("checkpoint.kept=error@3")
    failing = pipe(**options)
    with broken():
        failing.run()
    armed("")
    assert failing.report is not None
    return failing.report.run


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"sink": "other.jsonl"}, "its sink was 'out.jsonl' and is 'other.jsonl'"),
        ({"errors": None}, "its error sink"),
        ({"limit": 10_000}, "its limit"),
        ({"mode": "overwrite"}, "its mode"),
        ({"schema": None}, "its schema"),
        ({"pre_validation_hooks": ["timestamp"]}, "its hooks"),
        ({"error_payload": "hash"}, "what error rows show"),
        ({"source": "in.csv"}, "its source"),
        ({"source": ("in.jsonl", {"max_depth": 3})}, "what was said of its source"),
        ({"sink": {"path": "out.jsonl", "format": "jsonl"}}, "what was said of its sink"),
    ],
)
def test_another_pipe_does_not_go_on(options: dict[str, Any], word: str, armed: Callable[[str], None]) -> None:
    failed(armed)
    with pytest.raises(ResumeError, match=word):
        pipe(**options).resume()
    assert pipe().resume().status is FlowStatus.COMPLETED


def test_another_executor_goes_on(armed: Callable[[str], None]) -> None:
    expected, _ = undisturbed(pipe)
    failed(armed)
    assert pipe(executor="sync", max_inflight=3).resume().status is FlowStatus.COMPLETED
    assert left() == expected


@pytest.mark.parametrize("change", ["append", "edit"])
def test_input_that_has_changed_is_refused(change: str, armed: Callable[[str], None]) -> None:
    failed(armed)
    data = Path("in.jsonl").read_bytes()
    Path("in.jsonl").write_bytes(data + b'{"n": 1}\n' if change == "append" else data.replace(b"19999", b"19998"))
    with pytest.raises(ResumeError, match=r"in\.jsonl has changed .*Run the pipe anew, or resume with force"):
        pipe().resume()
    times = r"modified was 20\d\d-.*T.*\+00:00 and is 20"
    with pytest.raises(ResumeError, match=times if change == "edit" else "size was"):
        pipe().resume()
    report = pipe().resume(force=True)
    assert report.valid == RECORDS - 200 + (change == "append")
    assert any("resumed by force" in note for note in report.notes)


def test_changed_code_is_noted(armed: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    failed(armed)
    monkeypatch.setattr("pipe_core.records.resuming.asked._code", lambda one: "other")
    assert any("the code of the schema has changed" in note for note in pipe().resume().notes)


def test_a_run_that_goes_on_is_locked(armed: Callable[[str], None]) -> None:
    run = failed(armed)
    from pipe_core.runs.folder import RunFolder

    _, lease = RunFolder.take_up(Path("runs"), run)
    with pytest.raises(RunLockedError, match="goes on in process"):
        pipe().resume(run)
    lease.release()
    assert pipe().resume(run).status is FlowStatus.COMPLETED


def test_what_is_complete_or_unknown_is_not_resumed() -> None:
    done = pipe().run()
    with pytest.raises(ResumeError, match="is complete"):
        pipe().resume(done.run)
    with pytest.raises(RunNotFoundError, match="none, or all are complete"):
        pipe().resume()
    with pytest.raises(RunNotFoundError):
        pipe().resume("20200101-000000-abcdef")
    with pytest.raises(OptionsError, match="keeps nothing of its runs"):
        Pipe("in.jsonl").resume()


def test_a_run_with_too_many_errors_has_failed_for_good() -> None:
    failing = pipe(max_errors=3)
    with pytest.raises(TooManyErrorsError):
        failing.run()
    assert Path("bad.jsonl").exists(), "the reasons are kept"
    assert failing.report is not None
    with pytest.raises(ResumeError, match="has failed for good: TooManyErrorsError"):
        pipe(max_errors=3).resume(failing.report.run)


def test_a_damaged_checkpoint_is_no_checkpoint(armed: Callable[[str], None]) -> None:
    run = failed(armed)
    path = Path("runs", run, "checkpoint.json")
    whole = path.read_bytes()
    for damaged in (whole[:-20], whole.replace(b"read", b"raed", 1), b"{}", b"", b"\xff", b"[1]"):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged"):
            pipe().resume(run)
    path.write_bytes(whole.replace(b'"format": 1', b'"format": 9'))
    with pytest.raises(CheckpointError, match="of the format 9"):
        pipe().resume(run)
    path.write_bytes(whole)
    assert pipe().resume(run).status is FlowStatus.COMPLETED


@pytest.mark.parametrize("wrong", ["", 7, ["runs"]])
def test_a_folder_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(OptionsError, match="checkpoint wants a folder"):
        Pipe("in.jsonl", checkpoint=wrong)


def test_order_is_not_given_up() -> None:
    with pytest.raises(OptionsError, match="leave ordered=False out"):
        pipe(ordered=False).run()


def test_a_folder_that_cannot_be_made_is_told_before_anything_runs() -> None:
    Path("runs").write_text("a file")
    with pytest.raises(CheckpointError, match="No run can be kept in 'runs'"):
        pipe().run()
    assert not Path("out.jsonl").exists()


# --- modes and fronts ---


@pytest.mark.parametrize("mode", ["overwrite", "append"])
def test_modes(mode: Any, armed: Callable[[str], None]) -> None:
    def old() -> None:
        Path("out.jsonl").write_text('{"n": -1}\n')
        Path("bad.jsonl").write_text("")

    old()
    whole = pipe(mode=mode).run()
    expected = left()
    old()
    armed("checkpoint.kept=error@3")
    with broken():
        pipe(mode=mode).run()
    armed("")
    assert Path("out.jsonl").read_text().startswith('{"n": -1}\n')
    assert counts(pipe(mode=mode).resume()) == counts(whole)
    assert left() == expected


def test_a_consumer_that_leaves_can_have_the_rest() -> None:
    seen = []
    streaming = pipe(sink=None, source="in.jsonl", errors=None)
    for entry in streaming:
        seen.append(entry.validated_data)
        if len(seen) == 5_000:
            break
    assert streaming.report is not None
    assert streaming.report.status is FlowStatus.CANCELLED
    report = pipe(sink=None, source="in.jsonl", errors=None).resume()
    assert report.read == RECORDS


def test_an_aborted_run_goes_on() -> None:
    expected, whole = undisturbed(pipe)

    def stop(entry: Entry, store: HookStore) -> None:
        if entry.raw_data["n"] == 12_345 and running.report is not None:
            running.report.abort()

    running = pipe(pre_validation_hooks=[stop])
    with pytest.raises(RunCancelledError):
        running.run()
    assert running.report is not None
    assert running.report.resumable_at is not None
    assert not Path("out.jsonl").exists()
    report = pipe(pre_validation_hooks=[stop]).resume()
    assert report.resumed_at is not None
    assert report.resumed_at >= 10_000
    assert counts(report) == counts(whole)
    assert left() == expected


def test_a_run_that_takes_too_long_goes_on() -> None:
    expected, whole = undisturbed(pipe)

    def slow(entry: Entry, store: HookStore) -> None:
        if entry.raw_data["n"] == 12_345:
            time.sleep(0.6)

    running = pipe(pre_validation_hooks=[slow], max_runtime=0.5)
    with pytest.raises(RunTimeoutError, match=r"max_runtime = 0\.5 seconds. Allow more"):
        running.run()
    assert running.report is not None
    assert running.report.resumable_at is not None
    report = pipe(pre_validation_hooks=[slow]).resume()
    assert counts(report) == counts(whole)
    assert left() == expected


@pytest.mark.parametrize("front", ["start", "arun", "async for"])
def test_every_front_keeps_its_run(front: str) -> None:
    expected, whole = undisturbed(pipe)
    reached = threading.Event()

    def slow(entry: Entry, store: HookStore) -> None:
        if entry.raw_data["n"] == 12_345 and not reached.is_set():
            reached.set()
            time.sleep(0.3)

    running = pipe(pre_validation_hooks=[slow])

    async def abort() -> None:
        task = asyncio.create_task(running.arun()) if front == "arun" else asyncio.create_task(consume())
        await asyncio.to_thread(reached.wait, 20)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def consume() -> None:
        async for _ in running:
            pass

    if front == "start":
        report = running.start()
        assert reached.wait(20)
        report.abort()
        with pytest.raises(RunCancelledError):
            report.wait(20)
    else:
        asyncio.run(abort())
    stopped = running.report
    assert stopped is not None
    assert stopped.status is FlowStatus.CANCELLED
    assert stopped.resumable_at is not None
    assert counts(pipe(pre_validation_hooks=[slow]).resume(stopped.run)) == counts(whole)
    assert left() == expected


def test_a_hook_that_leaves_the_working_folder_takes_nothing_with_it(folder: Path) -> None:
    (folder / "elsewhere").mkdir()

    def leave(entry: Entry, store: HookStore) -> None:
        os.chdir(folder / "elsewhere")

    report = pipe(sink=folder / "out.jsonl", errors=folder / "bad.jsonl", pre_validation_hooks=[leave]).run()
    os.chdir(folder)

    assert report.read == RECORDS
    assert read_at_last() == RECORDS
    assert list(Path("elsewhere").iterdir()) == []


def test_nothing_is_kept_of_who_does_not_ask() -> None:
    Pipe("in.jsonl", "out.jsonl").run()
    assert not Path("runs").exists()
