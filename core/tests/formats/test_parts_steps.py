"""A commit that is killed, or fails, at any of its steps leaves the folder as it was or as it is to be."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import part_steps
import pytest
from part_cases import contents, names_in, opened
from part_steps import NEW, OLD, found, laid_out, results, stopped, written

from pipe_core import SinkError, get_format
from pipe_core.formats import exchange, hidden_folder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs locks that end with a process")

WAYS = [("error", "at once"), ("append", "at once"), ("overwrite", "at once"), ("overwrite", "in turn")]


def next_run(out: Path) -> None:
    """One that writes nothing."""
    sink: Any = get_format("jsonl").sink(f"{out}/")
    if sink.exists():
        sink.open("append")
        sink.abort()
    else:
        sink.open("error")
    sink.close()


@pytest.mark.parametrize(("mode", "way"), WAYS)
def test_killed_at_any_step_it_leaves_the_old_parts_or_the_new_ones(tmp_path: Path, mode: str, way: str) -> None:
    root = tmp_path / "cases"
    root.mkdir()
    subprocess.run([sys.executable, part_steps.__file__, root, mode, way], check=True, timeout=50)
    before, allowed = results(mode)
    states = []
    for case in sorted(root.iterdir()):
        out = case / "out.jsonl"
        assert {name for name in names_in(case) if name[0] != "."} <= {"out.jsonl"}
        state = found(out)
        if state is None and way == "in turn":  # taken away for a moment
            state = before
        assert state in allowed, case.name
        next_run(out)
        assert found(out) == state, case.name
        assert names_in(case) == ([] if state is None else ["out.jsonl"]), case.name
        states.append(state)
    assert len(states) > 15
    assert sorted(states, key=allowed.index) == states  # one after the other
    assert [state for state in allowed if state in states] == allowed


@pytest.mark.parametrize(("mode", "way"), WAYS)
def test_a_failure_at_any_step_leaves_the_old_parts(tmp_path: Path, mode: str, way: str) -> None:
    before, allowed = results(mode)
    failures = 0
    for step in count(1):
        out = laid_out(tmp_path / f"{step:03}", mode)

        def fail() -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        with stopped(step, fail, way == "at once") as reached:
            try:
                written(out, mode)
                after = allowed[-1]
            except SinkError:
                failures += 1
                after = before
            if not reached():
                break
        assert found(out) == after, step
        next_run(out)
        assert found(out) == after, step
        assert names_in(out.parent) == ([] if after is None else ["out.jsonl"]), step
    assert failures > 10


@pytest.mark.parametrize("ending", ["abort", "close"])
def test_an_aborted_overwrite_leaves_the_old_parts_byte_for_byte(tmp_path: Path, ending: str, least: int) -> None:
    out = laid_out(tmp_path / "case", "overwrite")
    (out / "part-00001.jsonl").chmod(0o640)
    before = contents(out)
    inodes = {path: path.stat().st_ino for path in out.iterdir()}
    sink = opened(out, "overwrite")
    encoder = sink.encoder()
    sink.write(encoder.merge([encoder.join([b'{"n":1}'])]), 1)
    assert contents(out) == before
    getattr(sink, ending)()
    sink.close()
    assert contents(out) == before
    assert {path: path.stat().st_ino for path in out.iterdir()} == inodes
    assert names_in(out.parent) == ["out.jsonl"]


# --- what killed runs have left ---


def left(out: Path, mode: str = "overwrite", rest: Callable[[Any], Any] = lambda sink: None) -> list[str]:
    """What the run of a killed process leaves: all files, and no lock."""
    sink = opened(out, mode)
    sink.write(NEW["part-00000.jsonl"], 1)
    sink._end_own()
    rest(sink)
    sink._staged._hidden.release()
    return [name for name in names_in(out.parent) if name[0] == "."]


@pytest.mark.parametrize("via", ["parts", "files"])
def test_the_next_run_removes_what_a_killed_one_left(tmp_path: Path, via: str) -> None:
    out = laid_out(tmp_path / "case", "overwrite")
    assert len(left(out)) == 1
    if via == "files":
        for path in out.iterdir():
            path.unlink()
        out.rmdir()
        sink = get_format("jsonl", via="files").sink(out)
        sink.open("error")
        sink.close()
        assert names_in(out.parent) == []
        return
    next_run(out)
    assert names_in(out.parent) == ["out.jsonl"]
    assert found(out) == OLD


def test_what_a_run_uses_that_lives_is_not_removed(tmp_path: Path) -> None:
    out = laid_out(tmp_path / "case", "overwrite")
    sink = opened(out, "overwrite")
    sink.write(NEW["part-00000.jsonl"], 1)
    sink.write(NEW["part-00001.jsonl"], 1)
    before = names_in(out.parent)
    next_run(out)
    assert names_in(out.parent) == before
    sink.commit()
    sink.close()
    assert found(out) == {"part-00000.jsonl": b"".join(NEW.values())}


def test_what_another_machine_left_stays_but_what_it_took_away_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    out = laid_out(tmp_path / "case", "overwrite")

    def taken_away(sink: Any) -> None:
        hidden = sink._staged._hidden
        os.mkdir(hidden.whole)
        os.rename(out, hidden.replaced)

    with monkeypatch.context() as patch:
        patch.setattr(hidden_folder, "machine_names", lambda: frozenset({"another"}))
        hidden = left(out, rest=taken_away)
    assert found(out) is None
    next_run(out)
    assert found(out) == OLD
    assert "what was there is back" in caplog.text
    assert names_in(out.parent) == sorted([*hidden, "out.jsonl"])


def test_a_folder_that_was_taken_away_is_not_put_in_the_place_of_another_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = laid_out(tmp_path / "case", "overwrite")

    def taken_away(sink: Any) -> None:
        os.mkdir(sink._staged._hidden.whole)
        os.rename(out, sink._staged._hidden.replaced)

    [hidden] = left(out, rest=taken_away)
    out.mkdir()
    (out / "part-00000.jsonl").write_bytes(b"precious")
    next_run(out)
    assert "Another folder came into the place" in caplog.text
    assert found(out) == {"part-00000.jsonl": b"precious"}
    assert found(out.parent / f"{hidden}.gone" / "replaced") == OLD


def test_old_parts_do_not_come_back_when_another_format_is_written(tmp_path: Path) -> None:
    """What a part file is was said by the run that was killed, not by the one that removes what it left."""
    out = tmp_path / "case" / "out"
    out.mkdir(parents=True)
    for i in range(3):
        (out / f"part-{i:05}.csv").write_text("n\n1\n")
    sink: Any = get_format("csv").sink(f"{out}/")
    sink.open("overwrite", ("n",))
    sink._staged.publish([], replaces=True)
    sink._staged._hidden.release()
    assert names_in(out) == []
    sink = get_format("jsonl").sink(f"{out}/")
    sink.open("append")
    sink.close()
    assert names_in(out) == []
    assert names_in(out.parent) == ["out"]


def test_folders_that_only_look_like_ours_are_left_alone(tmp_path: Path) -> None:
    out = laid_out(tmp_path / "case", "overwrite")
    case = out.parent
    real = tmp_path / "real"
    (real / "arrivals").mkdir(parents=True)
    (real / "owner").write_text('{"machine": [], "endings": []}')
    (case / f".out.jsonl.{'0' * 12}.parts").symlink_to(real)
    (case / f".out.jsonl.{'1' * 12}.parts").mkdir()
    (case / f".out.jsonl.{'1' * 12}.parts" / "notes.txt").write_text("precious")
    (case / f".out.jsonl.{'2' * 12}.parts").mkdir()
    (case / f".out.jsonl.{'2' * 12}.parts" / "owner").touch()
    (case / f".out.jsonl.{'2' * 12}.parts" / "notes.txt").write_text("precious")
    (case / ".out.jsonl.backup.parts").mkdir()
    (case / f".other.jsonl.{'3' * 12}.parts").mkdir()
    before = contents(real), names_in(case)
    next_run(out)
    assert (contents(real), names_in(case)) == before
    for number in "12":
        assert (case / f".out.jsonl.{number * 12}.parts" / "notes.txt").read_text() == "precious"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files away")
def test_what_another_user_left_stays(tmp_path: Path) -> None:
    out = laid_out(tmp_path / "case", "overwrite")
    [hidden] = left(out)
    os.chown(out.parent / hidden, 12345, -1)
    next_run(out)
    assert names_in(out.parent) == [hidden, "out.jsonl"]


@pytest.mark.parametrize("moment", ["mkdir", "open"])
def test_what_was_killed_when_it_began_is_removed(tmp_path: Path, moment: str) -> None:
    out = laid_out(tmp_path / "case", "overwrite")
    hidden = out.parent / f".out.jsonl.{'0' * 12}.parts"
    hidden.mkdir()
    if moment == "open":
        (hidden / "owner").touch()
    next_run(out)
    assert names_in(out.parent) == ["out.jsonl"]


@pytest.mark.parametrize("moment", ["chmod", "flock", "fsync"])
def test_a_run_begins_again_when_another_one_removed_what_it_had_begun_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Between making a folder and locking it, it looks as if a killed run had left it."""
    out = laid_out(tmp_path / "case", "overwrite")
    module: Any = hidden_folder.fcntl if moment == "flock" else os
    call, removed = getattr(module, moment), []

    def late(*args: Any) -> Any:
        if not removed:
            removed.append(True)
            [hidden] = [path for path in out.parent.iterdir() if path.name[0] == "."]
            for path in hidden.iterdir():
                path.unlink()
            hidden.rmdir()
        return call(*args)

    monkeypatch.setattr(module, moment, late)
    sink = opened(out, "overwrite")
    sink.write(NEW["part-00000.jsonl"], 1)
    sink.commit()
    sink.close()
    assert removed == [True]
    assert found(out) == {"part-00000.jsonl": NEW["part-00000.jsonl"]}
    assert names_in(out.parent) == ["out.jsonl"]


def test_a_file_system_without_locks_is_written_to_and_nothing_is_removed_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = laid_out(tmp_path / "case", "overwrite")

    def none(*args: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(hidden_folder.fcntl, "flock", none)
    hidden = left(out)
    written(out, "overwrite")
    assert found(out) == {"part-00000.jsonl": b'{"n":0}\n', "part-00001.jsonl": b'{"n":1}\n'}
    assert names_in(out.parent) == [*hidden, "out.jsonl"]


# --- what was kept, and names ---


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_something_else_where_parts_are_kept_stays(tmp_path: Path, kind: str) -> None:
    partial = tmp_path / "out.jsonl.partial"
    if kind == "folder":
        partial.mkdir()
        (partial / "part-00000.jsonl").write_text("precious")
    (partial / "notes.txt" if kind == "folder" else partial).write_text("precious")
    before = contents(partial)
    sink = opened(tmp_path / "out.jsonl")
    sink.write(NEW["part-00000.jsonl"], 1)
    place = Path(sink.abort(keep=True))
    sink.close()
    assert contents(partial) == before
    assert place.name.startswith("out.jsonl.partial.")
    assert found(place) == {"part-00000.jsonl": NEW["part-00000.jsonl"]}


@pytest.mark.parametrize("name", ["x" * 240, "語" * 80])
def test_long_names_have_room_for_hidden_ones(tmp_path: Path, name: str) -> None:
    for target in (f"{tmp_path}/{name}/", f"{tmp_path}/{name}.f"):
        sink = get_format("jsonl").sink(target)
        sink.open("error")
        sink.write(b"{}\n", 1)
        sink.commit()
        sink.close()
    assert names_in(tmp_path) == [name, f"{name}.f"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files away")
def test_parts_belong_to_the_group_of_the_folder_that_they_are_in(tmp_path: Path, least: int) -> None:
    os.chown(tmp_path, -1, 12345)
    tmp_path.chmod(0o2775)
    sink = opened(tmp_path / "out.jsonl")
    encoder = sink.encoder()
    sink.write(encoder.merge([encoder.join([b"{}"])]), 1)
    sink.commit()
    sink.close()
    facts = (tmp_path / "out.jsonl").stat()
    assert (facts.st_gid, facts.st_mode & stat.S_ISGID) == (12345, stat.S_ISGID)
    assert (tmp_path / "out.jsonl" / "part-00000.jsonl").stat().st_gid == 12345


def test_the_system_may_not_know_how_two_folders_change_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other tests leave out by hand is left out by itself."""
    out = laid_out(tmp_path / "case", "overwrite")
    monkeypatch.setattr(exchange.ctypes, "CDLL", lambda *args, **how: object())
    written(out, "overwrite")
    assert names_in(out) == list(NEW)
