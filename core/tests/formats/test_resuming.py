"""A sink is gone on with by another process, wherever the one that wrote was killed: all rows are there, once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipe_core import SinkError, get_format
from pipe_core.kernel.contracts import Mode

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked and killed")

CASES: dict[str, dict[str, Any]] = {
    "csv": {"name": "out.csv", "mode": "overwrite", "before": True},
    "csv, new": {"name": "out.csv", "mode": "error", "before": False},
    "json": {"name": "out.json", "mode": "overwrite", "before": False},
    "compressed": {"name": "out.jsonl.gz", "mode": "overwrite", "before": True},
    "joined": {"name": "out.jsonl", "mode": "overwrite", "before": True, "via": "files"},
    "grown": {"name": "out.jsonl", "mode": "append", "before": True},
    "grown, new": {"name": "out.csv", "mode": "append", "before": False},
    "held": {"name": "out.csv", "mode": "append", "before": True, "held": True},
    "folder": {"name": "out.csv/", "mode": "overwrite", "before": True},
    "folder by the driver": {"name": "out.jsonl/", "mode": "overwrite", "before": True, "least": 10**9},
    "folder not at once": {"name": "out.jsonl/", "mode": "overwrite", "before": True, "at_once": False},
    "folder, new": {"name": "out.jsonl.gz/", "mode": "error", "before": False},
    "folder added to": {"name": "out.jsonl/", "mode": "append", "before": True},
    "folder added to, new": {"name": "out.csv/", "mode": "append", "before": False},
}


@pytest.mark.parametrize("case", CASES)
def test_a_killed_run_is_gone_on_with_from_every_step(case: str, tmp_path: Path) -> None:
    script = str(Path(__file__).with_name("kill_steps.py"))
    command = [sys.executable, script, str(tmp_path), json.dumps(CASES[case])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [], done.stderr


# --- who may go on, and where ---


def opened(target: Path | str, mode: Mode = "overwrite") -> Any:
    sink = get_format("jsonl").sink(target)
    sink.open(mode)
    return sink


def put(sink: Any, *numbers: int) -> None:
    sink.write(b"".join(b'{"n":%d}\n' % number for number in numbers), len(numbers))


def resumed(target: Path | str, state: Any, mode: Mode = "overwrite") -> Any:
    sink = get_format("jsonl").sink(target)
    sink.resume(state, mode)
    return sink


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl/"])
def test_nobody_goes_on_with_what_is_still_written(name: str, tmp_path: Path) -> None:
    target = f"{tmp_path}/{name}"
    first = opened(target)
    put(first, 1)
    state = first.checkpoint()
    second = get_format("jsonl").sink(target)
    with pytest.raises(SinkError, match="still goes on"):
        second.resume(state, "overwrite")
    second.close()
    put(first, 2)
    first.commit()
    first.close()
    written = (path.read_text() for path in sorted(tmp_path.rglob("*.jsonl")) if path.is_file())
    assert "".join(written) == '{"n":1}\n{"n":2}\n'


def test_a_final_state_is_committed_under_the_eyes_of_who_has_staged_it(tmp_path: Path) -> None:
    """A process that was taken for dead finds that its file is where it belongs."""
    target = tmp_path / "out.jsonl"
    slow = opened(target)
    put(slow, 1)
    state = slow.checkpoint(final=True)
    other = resumed(target, state)
    other.commit()
    other.close()
    slow.commit()
    slow.close()
    assert target.read_text() == '{"n":1}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_streams_and_stores_have_no_checkpoints(tmp_path: Path) -> None:
    for target in ("-", "/dev/null"):
        sink = opened(target)
        assert not sink.resumable
        with pytest.raises(SinkError, match="has no checkpoints"):
            sink.checkpoint()
        sink.close()


def test_the_next_run_leaves_alone_what_is_kept_and_removes_it_when_it_commits(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    first = opened(target)
    put(first, 1)
    state = first.checkpoint()
    first.close()
    second = opened(target)
    put(second, 2)
    second.abort()
    third = resumed(target, state)
    third.close()
    assert len(list(tmp_path.iterdir())) == 1, "a run that failed took it away"
    second = opened(target)
    second.commit()
    second.close()
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
    with pytest.raises(SinkError, match="Has a later run written there"):
        resumed(target, state)


def test_a_grown_file_is_cut_only_where_it_is_the_same(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    sink = opened(target, "append")
    put(sink, 1)
    state = sink.checkpoint()
    put(sink, 2)
    sink.close()
    assert target.read_text() == '{"n":1}\n', "what came behind the checkpoint was left"
    with target.open("a") as file:
        file.write("half a li")
    sink = resumed(target, state, "append")
    put(sink, 3)
    sink.commit()
    sink.close()
    assert target.read_text() == '{"n":1}\n{"n":3}\n'
    target.write_text("")
    with pytest.raises(SinkError, match="shorter than it was"):
        resumed(target, state, "append")


def test_what_others_appended_behind_a_final_state_stays(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    sink = opened(target, "append")
    put(sink, 1)
    state = sink.checkpoint(final=True)
    sink.commit()
    sink.close()
    with target.open("a") as file:
        file.write('{"n":2}\n')
    sink = resumed(target, state, "append")
    sink.commit()
    sink.close()
    assert target.read_text() == '{"n":1}\n{"n":2}\n'


def test_another_file_at_the_target_is_not_replaced_where_that_is_an_error(tmp_path: Path) -> None:
    for name in ("out.jsonl", "out.jsonl/"):
        target = f"{tmp_path}/{len(name)}/{name}"
        Path(target).parent.mkdir()
        sink = opened(target, "error")
        put(sink, 1)
        state = sink.checkpoint(final=True)
        sink.close()
        place = Path(target.rstrip("/"))
        place.write_text("precious")
        with pytest.raises(SinkError, match=r"exists already|is a file"):
            resumed(target, state, "error")
        assert place.read_text() == "precious"


def test_a_state_does_not_lead_elsewhere(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("x" * 100)
    sink = opened(tmp_path / "out.jsonl")
    put(sink, 1)
    state = sink.checkpoint()
    sink.close()
    for name in ("precious", "../precious", str(precious), ".out.jsonl.0123456789ab.kept/../precious"):
        with pytest.raises(SinkError):
            resumed(tmp_path / "out.jsonl", {**state, "output": {**state["output"], "file": name}})
    assert precious.read_text() == "x" * 100
