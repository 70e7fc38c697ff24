"""The journal of a run: whole lines, whatever became of its writer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from http import HTTPMethod, HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipe_core.runs.journal import Journal, last_statuses, read_journal


def test_lines_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.write("run", durable=True, run="r1", nodes=["a"], when=Path("x"))
        journal.write("node", node="a", status="completed", error="line\nand \u2028 line")
    found = read_journal(path)
    assert [event["event"] for event in found] == ["run", "node"]
    assert found[0]["when"] == "x"  # what JSON cannot say is text
    assert found[1]["error"] == "line\nand \u2028 line"
    assert path.read_bytes().count(b"\n") == 2
    age = datetime.now(UTC) - datetime.fromisoformat(found[0]["time"])
    assert timedelta() - timedelta(seconds=1) < age < timedelta(minutes=5)


def test_a_journal_that_is_opened_again_goes_on(tmp_path: Path) -> None:
    for number in range(3):
        journal = Journal(tmp_path / "j")
        journal.write("run", number=number)
        journal.close()
        journal.close()
    assert [event["number"] for event in read_journal(tmp_path / "j")] == [0, 1, 2]
    assert read_journal(tmp_path / "nothing") == []


def test_a_line_that_was_cut_anywhere_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal(path) as journal:
        journal.write("run", number=0)
        whole = path.read_bytes()
        journal.write("node", node="é", status="completed")
    second = path.read_bytes()[len(whole) :]
    for cut in range(len(second) + 1):
        path.write_bytes(whole + second[:cut])
        with Journal(path) as journal:
            journal.write("end", status="completed")
        events = [event["event"] for event in read_journal(path)]
        is_whole = cut >= len(second) - 1  # all but the end of the line
        assert events == (["run", "node", "end"] if is_whole else ["run", "end"])


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([HTTPStatus.OK, HTTPMethod.GET]),  # an int and a str that are more than that
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
_OURS = {"self", "event", "durable", "time"}


@given(st.text(), st.dictionaries(st.text(max_size=5).filter(lambda key: key not in _OURS), _VALUES, max_size=4))
def test_a_line_is_as_json_writes_it(
    tmp_path_factory: pytest.TempPathFactory, event: str, facts: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("journals") / "j"
    with Journal(path) as journal:
        journal.write(event, **facts)
    data = path.read_bytes()
    time = json.loads(data)["time"]
    assert datetime.fromisoformat(time).isoformat(timespec="milliseconds") == time
    assert data.decode() == json.dumps({"event": event, "time": time, **facts}, separators=(",", ":")) + "\n"


def test_lines_tell_the_millisecond(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = [1_700_000_000_999_999_999, 1_700_000_001_000_000_000, 1_700_000_001_042_000_000, 1_699_999_999_999_000_000]
    monkeypatch.setattr("pipe_core.runs.journal.time_ns", iter(times).__next__)
    with Journal(tmp_path / "j") as journal:
        for _ in times:  # the last one is of a clock that was set back
            journal.write("run")
    assert [event["time"] for event in read_journal(tmp_path / "j")] == [
        "2023-11-14T22:13:20.999+00:00",
        "2023-11-14T22:13:21.000+00:00",
        "2023-11-14T22:13:21.042+00:00",
        "2023-11-14T22:13:19.999+00:00",
    ]


@given(st.binary(max_size=60))
def test_what_is_no_line_of_a_journal_is_left_out(tmp_path_factory: pytest.TempPathFactory, rubbish: bytes) -> None:
    path = tmp_path_factory.mktemp("journals") / "j"
    path.write_bytes(rubbish)
    with Journal(path) as journal:
        journal.write("end", status="completed")
    assert read_journal(path)[-1]["event"] == "end"


def test_values_that_are_no_events_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b'[1]\n7\n"text"\nnull\n\n{"event": "run"}\n\xff\xfe\n')
    assert read_journal(tmp_path / "j") == [{"event": "run"}]


def test_lines_outlive_the_process_that_wrote_them(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from pipe_core.runs.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "journal.write('run', number=1)\n"
        "os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "j")], timeout=50)
    assert done.returncode != 0
    assert [event["number"] for event in read_journal(tmp_path / "j")] == [1]


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="links are followed here")
def test_a_link_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    (tmp_path / "j").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="j"):
        Journal(tmp_path / "j")


def test_the_last_word_on_each_node() -> None:
    events = [
        {"event": "run"},
        {"event": "node", "node": "a", "status": "started"},
        {"event": "node", "node": "b", "status": "failed"},
        {"event": "node", "node": "a", "status": "completed"},
        {"event": "end", "node": "a", "status": "odd"},
        {"event": "node", "status": "of nobody"},
    ]
    found = last_statuses(events)
    assert {name: event["status"] for name, event in found.items()} == {"a": "completed", "b": "failed"}
