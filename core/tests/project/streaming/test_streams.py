"""Streams over files that grow: every record once, stopped and killed at any moment."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipe_core.kernel.errors import PositionLostError
from pipe_core.project.errors import DependencyError, RunFailedError
from pipe_core.project.project import Project
from pipe_core.project.runs.runner import Runner
from pipe_core.project.streaming.stream_folder import StreamFolder, stream_path
from pipe_core.runs.errors import RunLockedError

Make = Callable[..., Project]
NOW = {"trigger": "available_now", "batch_size": 3}


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(nodes: Mapping[str, Any], **catalog: Any) -> Project:
        whole = {
            "nodes": dict(nodes),
            "catalog": {
                "log": {"path": "log.jsonl"},
                "seen": {"path": "seen.jsonl", "mode": "append"},
                "sums": {"path": "sums.csv", "mode": "append"},
                **catalog,
            },
            "pipelines": {"live": {"nodes": list(nodes), "type": "hybrid"}},
        }
        return Project.load(whole, folder=tmp_path)

    return made


def write(folder: Path, first: int, last: int) -> None:
    with (folder / "log.jsonl").open("a") as file:
        file.writelines(f'{{"n":{n}}}\n' for n in range(first, last))


def numbers(folder: Path, name: str = "seen.jsonl") -> list[int]:
    path = folder / name
    return [json.loads(line)["n"] for line in path.read_text().splitlines()] if path.exists() else []


def as_it_is(rows: list[dict[str, int]]) -> list[dict[str, int]]:
    return rows


def totals(rows: list[dict[str, int]]) -> list[dict[str, int]]:
    return [{"total": sum(row["n"] for row in rows)}]


COPY = {"copy": {"function": as_it_is, "input": "log", "output": "seen", "streaming": NOW}}


def test_what_is_there_goes_through_in_micro_batches(make: Make, tmp_path: Path) -> None:
    write(tmp_path, 0, 8)
    nodes = {**COPY, "sum": {"function": totals, "dependencies": "copy", "output": "sums", "streaming": True}}
    result = Runner(make(nodes)).run("live")
    assert result.statuses == {"copy": "completed", "sum": "completed"}
    assert numbers(tmp_path) == list(range(8))
    assert (tmp_path / "sums.csv").read_text() == "total\n3\n12\n13\n"
    assert result.state.node("copy").metadata == {"batches": 3, "records": 8}
    write(tmp_path, 8, 10)
    assert Runner(make(nodes)).run("live").state.node("copy").metadata == {"batches": 1, "records": 2}
    assert numbers(tmp_path) == list(range(10))


def test_it_follows_the_file_until_it_is_stopped(make: Make, tmp_path: Path) -> None:
    write(tmp_path, 0, 2)
    nodes = {"copy": {**COPY["copy"], "streaming": {"trigger": 0.05}}}
    runner = Runner(make(nodes))
    running = runner.start("live")
    assert repr(running) == "<RunningRun of 'live': running>"
    assert running.until(lambda: numbers(tmp_path) == [0, 1])
    write(tmp_path, 2, 5)
    assert running.until(lambda: numbers(tmp_path) == list(range(5)))
    assert runner.state is not None
    assert runner.state.get_node_status("copy") == "running"
    began = time.monotonic()
    result = running.stop(timeout=10)
    assert time.monotonic() - began < 2
    assert result.statuses == {"copy": "completed"}
    assert repr(running) == "<RunningRun of 'live': completed>"
    write(tmp_path, 5, 6)
    time.sleep(0.2)
    assert numbers(tmp_path) == list(range(5))


def test_batch_nodes_run_first_and_streams_load_what_they_stored(make: Make, tmp_path: Path) -> None:
    write(tmp_path, 0, 4)
    nodes = {
        "prices": {"function": lambda: [{"price": 7}], "output": "prices"},
        "sell": {
            "function": lambda rows, prices: [{"n": row["n"] * prices[0]["price"]} for row in rows],
            "input": ["log", "prices"],
            "output": "seen",
            "streaming": NOW,
        },
    }
    assert Runner(make(nodes, prices={"path": "prices.json"})).run("live").ok
    assert numbers(tmp_path) == [0, 7, 14, 21]


def test_a_failed_batch_node_keeps_the_streams_that_need_it_from_starting(make: Make, tmp_path: Path) -> None:
    write(tmp_path, 0, 4)

    def fail() -> None:
        raise ValueError("no prices")

    nodes = {
        "prices": {"function": fail, "output": "prices"},
        "sell": {"function": lambda rows, _: rows, "input": ["log", "prices"], "output": "seen", "streaming": NOW},
    }
    with pytest.raises(RunFailedError, match="no prices") as raised:
        Runner(make(nodes, prices={"path": "prices.json"})).run("live")
    assert raised.value.result.statuses == {"prices": "failed", "sell": "cancelled"}
    assert not numbers(tmp_path)


def test_a_micro_batch_that_fails_is_done_again_and_nothing_before_it(make: Make, tmp_path: Path) -> None:
    write(tmp_path, 0, 7)
    bad = [4]

    def checked(rows: list[dict[str, int]]) -> list[dict[str, int]]:
        if any(row["n"] in bad for row in rows):
            raise ValueError("4 is bad")
        return rows

    nodes = {"copy": {**COPY["copy"], "function": checked}}
    with pytest.raises(RunFailedError, match="Node 'copy' of 'live' has failed: ValueError: 4 is bad"):
        Runner(make(nodes)).run("live")
    assert numbers(tmp_path) == [0, 1, 2]
    bad.clear()
    assert Runner(make(nodes)).run("live").ok
    assert numbers(tmp_path) == list(range(7))


def test_retries_hold_in_micro_batches(make: Make, tmp_path: Path) -> None:
    write(tmp_path, 0, 2)
    calls: list[int] = []

    def shaky(rows: list[dict[str, int]]) -> list[dict[str, int]]:
        calls.append(1)
        if len(calls) < 3:
            raise OSError
        return rows

    nodes = {"copy": {**COPY["copy"], "function": shaky, "retries": {"attempts": 3, "delay": 0.001}}}
    assert Runner(make(nodes)).run("live").ok
    assert numbers(tmp_path) == [0, 1]


def test_what_does_not_fit_is_refused_before_anything_runs(make: Make, tmp_path: Path) -> None:
    write(tmp_path, 0, 2)
    stream = {"function": as_it_is, "input": "log", "output": "seen", "streaming": NOW}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"copy": stream, "end": {"function": as_it_is, "dependencies": "copy"}}, "needs 'copy', which streams"),
        ({"copy": {**stream, "output": "whole"}}, "has the mode 'overwrite'"),
        ({"copy": {"function": lambda: 1, "streaming": True}}, "is no data set of the catalog that it could follow"),
        (
            {
                "copy": {**stream, "output": []},
                "more": {"function": as_it_is, "input": "other", "streaming": NOW},
                "both": {"function": lambda a, b: a, "dependencies": ["copy", "more"], "streaming": NOW},
            },
            "follow several data sets: log, other",
        ),
        (
            {
                "base": {"function": lambda: 1, "output": "b"},
                "copy": {"function": lambda rows, base: rows, "input": ["log", "b"], "streaming": NOW},
            },
            "which stores it nowhere",
        ),
    ]
    for nodes, text in wrong:
        with pytest.raises(DependencyError, match=text):
            Runner(make(nodes, whole={"path": "w.jsonl"}, other={"path": "o.jsonl"})).run("live")
    assert not (tmp_path / "runs").exists()


def test_one_process_has_a_stream(make: Make, tmp_path: Path) -> None:
    write(tmp_path, 0, 2)
    runner = Runner(make(COPY))
    other = StreamFolder(stream_path(runner.runs, "live", "copy"))
    with pytest.raises(RunFailedError) as raised:
        runner.run("live")
    assert isinstance(raised.value.__cause__, RunLockedError)
    assert "The stream of node copy goes on in process" in str(raised.value)
    other.close()
    assert runner.run("live").ok
    assert numbers(tmp_path) == [0, 1]


def test_a_micro_batch_that_was_begun_is_the_same_after_a_kill(make: Make, tmp_path: Path) -> None:
    """The file has grown meanwhile: the range that was written down counts, not what is there now."""
    write(tmp_path, 0, 5)
    runner = Runner(make(COPY))
    folder = StreamFolder(stream_path(runner.runs, "live", "copy"))
    folder.begin(runner.project.catalog.follow("log", None, 2).position)
    folder.close()
    sizes: list[int] = []

    def counting(rows: list[dict[str, int]]) -> list[dict[str, int]]:
        sizes.append(len(rows))
        return rows

    Runner(make({"copy": {**COPY["copy"], "function": counting}})).run("live")
    assert sizes == [2, 3]
    assert numbers(tmp_path) == list(range(5))


def test_what_holds_no_records_is_not_read_again(make: Make, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("\n\n")
    nodes = {"copy": {**COPY["copy"]}}
    runner = Runner(make(nodes))
    assert runner.run("live").ok
    folder = StreamFolder(stream_path(runner.runs, "live", "copy"))
    assert folder.position is not None
    assert folder.position["bytes"] == 2
    folder.close()


def test_a_stream_that_cannot_go_on_names_the_folder_to_remove(make: Make, tmp_path: Path) -> None:
    write(tmp_path, 0, 4)
    runner = Runner(make(COPY))
    assert runner.run("live").ok
    (tmp_path / "log.jsonl").write_text('{"n":7}\n')
    place = tmp_path / "runs" / "streams" / "live" / "copy"
    with pytest.raises(RunFailedError, match=re.escape(f"remove the folder '{place}'")) as raised:
        runner.run("live")
    assert isinstance(raised.value.__cause__, PositionLostError)
    assert numbers(tmp_path) == [0, 1, 2, 3]
    shutil.rmtree(place)
    assert runner.run("live").ok
    assert numbers(tmp_path) == [0, 1, 2, 3, 7]


def test_a_file_that_is_not_there_yet_is_waited_for_and_that_is_told_once(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nodes = {"copy": {**COPY["copy"], "streaming": {"trigger": 0.01}}}
    running = Runner(make(nodes)).start("live")
    assert running.until(lambda: bool(caplog.records))
    time.sleep(0.2)  # many looks, and one word
    (record,) = caplog.records
    assert record.getMessage().startswith("stream 'copy' waits for its source, and goes on when it is there. The data ")
    assert "log.jsonl" in record.getMessage()
    write(tmp_path, 0, 2)
    assert running.until(lambda: numbers(tmp_path) == [0, 1])
    assert running.stop(5).ok


def test_what_cannot_come_is_not_waited_for(make: Make, tmp_path: Path) -> None:
    nodes = {"copy": {**COPY["copy"], "streaming": {"trigger": 0.01}}}
    wrong = Runner(make(nodes, log={"path": "nowhere/log.jsonl"}))
    with pytest.raises(RunFailedError, match="There is no file"):
        wrong.start("live").wait(10)
    with pytest.raises(RunFailedError, match="There is no file"):  # it ends with what is there
        Runner(make(COPY)).run("live")
    write(tmp_path, 0, 2)
    assert Runner(make(COPY)).run("live").ok
    (tmp_path / "log.jsonl").unlink()
    with pytest.raises(RunFailedError, match="There is no file"):  # it was there
        Runner(make(nodes)).start("live").wait(10)
