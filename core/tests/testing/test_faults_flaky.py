"""Sources and sinks of the fault kit fail when they are told to, and can else do what they wrap."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipe_core import FlowStatus, Pipe, SinkError, SourceError
from pipe_core.kernel.contracts import FingerprintedSource, ResumableSink, SeekableSource
from pipe_core.records.places import as_source
from pipe_core.runs.errors import RunNotFoundError
from pipe_core.runtime.run_loop import RunLoop
from pipe_core.testing.faults import Faults, FlakySink, FlakySource, Gate, Oracle, fail_at_each

ORACLE = Oracle(1_000)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    ORACLE.write("in.jsonl")
    return tmp_path


def pipe(source: Any = None, sink: Any = "out.jsonl", errors: Any = "bad.jsonl") -> Pipe:
    return Pipe(
        list(ORACLE.records()) if source is None else source,
        sink,
        schema=ORACLE.schema,
        errors=errors,
        chunk_size=500,
        checkpoint="runs",
        checkpoint_seconds=1e-9,
    )


def went_on(make: Callable[[Faults], Pipe], resumed: Callable[[], Pipe] = pipe) -> Callable[[Faults], None]:
    """A run with faults, which goes on where one happened."""

    def run(faults: Faults) -> None:
        try:
            make(faults).run()
        except (SinkError, SourceError):
            try:
                resumed().resume()
            except RunNotFoundError:  # it failed before it began
                assert len(faults.happened) == 1
                assert faults.happened[0][1] in ("open", "fingerprint")
                resumed().run()
        ORACLE.check_files("out.jsonl", "bad.jsonl")
        Path("out.jsonl").unlink()
        Path("bad.jsonl").unlink()

    return run


@pytest.mark.parametrize("late", [False, True])
def test_nothing_is_lost_whichever_operation_of_a_sink_fails(late: bool) -> None:
    def make(faults: Faults) -> Pipe:
        return pipe(sink=FlakySink("out.jsonl", faults), errors=FlakySink("bad.jsonl", faults))

    # Two chunks with good and bad records: both sinks are opened, written, checkpointed, brought to an end, committed.
    assert fail_at_each(went_on(make), late=late) == 2 * (1 + 2 + 2 + 1 + 1)


@pytest.mark.parametrize("late", [False, True])
def test_nothing_is_lost_whichever_operation_of_a_source_fails(late: bool) -> None:
    def make(faults: Faults) -> Pipe:
        return pipe(FlakySource("in.jsonl", faults))

    assert fail_at_each(went_on(make, lambda: pipe("in.jsonl")), late=late) >= 4


def test_faults_by_chance_are_those_of_their_seed() -> None:
    def happened(seed: int) -> list[tuple[int, str]]:
        faults = Faults(chance=0.2, seed=seed, error=OSError)
        sink = FlakySink([], faults)
        for _ in range(100):
            try:
                sink.commit()
            except OSError:
                continue
        assert faults.operations == 100
        return faults.happened

    assert happened(1) == happened(1) != happened(2)
    assert 5 < len(happened(1)) < 40


def test_what_is_wrapped_keeps_what_it_can() -> None:
    sink, plain = FlakySink("out.jsonl", Faults()), FlakySink([], Faults())
    assert isinstance(sink, ResumableSink)
    assert not isinstance(plain, ResumableSink)
    assert (sink.name, sink.delivery, sink.resumable) == ("out.jsonl", "exactly-once", True)
    source = FlakySource("in.jsonl", Faults())
    assert isinstance(source, FingerprintedSource)
    assert isinstance(source, SeekableSource)
    source.open()
    same = as_source("in.jsonl", RunLoop())
    same.open()
    assert (source.size, source.fields, source.live) == (same.size, same.fields, same.live)
    source.close()
    same.close()


def test_only_the_named_operations_count() -> None:
    faults = Faults(2, only=["commit"])
    sink = FlakySink("out.jsonl", faults)
    sink.open("error")
    sink.commit()
    with pytest.raises(SinkError, match="a fault was asked for at operation 2: commit"):
        sink.commit()
    sink.close()
    assert faults.happened == [(2, "commit")]


def test_a_loop_over_faults_that_cannot_happen_is_refused() -> None:
    with pytest.raises(AssertionError, match="nothing could fail"):
        fail_at_each(lambda faults: None)
    with pytest.raises(AssertionError, match="no end of them"):
        fail_at_each(lambda faults: faults.happened.append((1, "always")), most=20)


def test_a_loop_over_faults_says_which_one_was_too_much() -> None:
    def run(faults: Faults) -> None:
        sink = FlakySink([], faults)
        sink.commit()
        sink.commit()

    with pytest.raises(SinkError) as caught:
        fail_at_each(run)
    assert caught.value.__notes__ == ["with a fault at operation 1: [(1, 'commit')]"]


@pytest.mark.parametrize("place", ["hook", "sink"])
def test_a_gate_holds_a_run_at_a_point(place: str, tmp_path: Path) -> None:
    gate, rows = Gate(tmp_path, "half-way"), Oracle(400, invalid=lambda n: False)
    got: list[Any] = []
    sink = (
        FlakySink(got.append, Faults(3, only=["write"], instead=gate.pass_through)) if place == "sink" else got.append
    )
    hooks = [gate.hook(lambda entry: entry.raw_data["n"] == 200)] if place == "hook" else []
    held = Pipe(rows.records(), sink, schema=rows.schema, pre_validation_hooks=hooks, chunk_size=100)
    assert not gate.reached
    thread = threading.Thread(target=held.run)
    thread.start()
    gate.wait_until_reached()
    assert gate.reached
    assert held.report is not None
    assert held.report.status is FlowStatus.RUNNING
    assert [row["n"] for row in got] == list(range(200))
    gate.open()
    thread.join(30)
    rows.check(got)


def test_nobody_waits_at_a_gate_for_ever(tmp_path: Path) -> None:
    gate = Gate(tmp_path, "lonely", seconds=0.01)
    with pytest.raises(TimeoutError, match="nobody came to the gate 'lonely'"):
        gate.wait_until_reached()
    with pytest.raises(TimeoutError, match="nobody opened the gate 'lonely'"):
        gate.pass_through()
