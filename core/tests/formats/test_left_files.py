"""Hidden files of runs that were killed go when the next run writes to their target, and no others do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipe_core import Pipe
from pipe_core.formats import hidden_file
from pipe_core.formats.hidden_file import hidden_name
from pipe_core.formats.staged_file import StagedFile
from pipe_core.kernel.contracts import Mode
from pipe_core.testing.leaks import no_leaks

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nobody can know there whose file it is")

KILLED = """
import sys, time
from pipe_core import Pipe
def records():
    yield {"n": 1}
    print("begun", flush=True)
    time.sleep(60)
Pipe(records(), sys.argv[1], errors=sys.argv[2], mode="overwrite").run()
"""


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def left(target: Path) -> str:
    """The name of a file as a run leaves it that is killed."""
    staged = StagedFile(str(target))
    staged.raw.write(b"half a li")
    staged.close()
    return os.path.basename(staged.path)


def run(target: Path, mode: Mode = "overwrite") -> None:
    Pipe([{"n": 2}], target, mode=mode).run()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def test_what_a_killed_run_left_goes_with_the_next_run(target: Path) -> None:
    bad = target.with_name("bad.jsonl")
    with subprocess.Popen([sys.executable, "-c", KILLED, target, bad], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        lives = hidden(target.parent)
        assert len(lives) == 2
        run(target)
        assert hidden(target.parent) == lives, "a run that lives lost its file"
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    assert hidden(target.parent) == lives
    run(target)
    assert len(hidden(target.parent)) == 1
    run(bad)
    assert hidden(target.parent) == []
    assert target.read_text() == '{"n":2}\n'


@pytest.mark.parametrize("mode", ["error", "overwrite", "append", "ignore"])
def test_every_mode_that_writes_removes_it(mode: Mode, target: Path) -> None:
    left(target)
    run(target, mode)
    assert hidden(target.parent) == []


def test_that_of_a_link_is_beside_the_file_that_it_names(
    target: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    real = tmp_path_factory.mktemp("elsewhere") / "real.jsonl"
    target.symlink_to(real)
    left(real)
    run(target)
    assert hidden(real.parent) == []


def test_names_that_are_too_long_for_a_hidden_name_are_known(tmp_path: Path) -> None:
    target = tmp_path / f"{'x' * 240}.jsonl"
    left(target)
    run(target)
    assert hidden(tmp_path) == []


def test_other_files_stay(target: Path) -> None:
    others = [left(target.with_name("out.jsonl.more")), left(target.with_name("other.jsonl"))]
    token = "0123456789ab"
    for name in (hidden_name("out.jsonl", "part"), f".out.jsonl.{token}.part", ".out.jsonl.part", ".out.jsonl.swp"):
        (target.parent / name).write_text("precious")
        others.append(name)
    run(target)
    assert hidden(target.parent) == sorted(others)


def test_that_of_another_machine_stays(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(hidden_file, "machine_names", lambda: frozenset({"another"}))
        name = left(target)
    run(target)
    assert hidden(target.parent) == [name]


def test_that_of_a_machine_that_nobody_knows_stays(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hidden_file, "machine_names", frozenset)
    name = left(target)
    run(target)
    assert hidden(target.parent) == [name]


def test_what_only_looks_like_it_is_not_touched(target: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    name = left(target)
    precious = tmp_path_factory.mktemp("elsewhere") / "precious"
    precious.write_text("x")
    place = target.with_name(name)
    place.unlink()
    place.symlink_to(precious)
    run(target)
    place.unlink()
    place.mkdir()
    run(target)
    assert place.is_dir()
    assert precious.read_text() == "x"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can give a file away")
def test_that_of_somebody_else_stays(target: Path) -> None:
    name = left(target)
    os.chown(target.with_name(name), 12345, -1)
    run(target)
    assert hidden(target.parent) == [name]


def test_a_new_file_that_somebody_takes_for_one_that_is_left_gets_another_name(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making it and locking it, a run of the same target begins."""
    names: list[str] = []

    def taken(path: str, number: int) -> bool:
        names.append(path)
        if len(names) < 3:
            hidden_file.remove_left_files(str(target))
        return locked(path, number)

    locked = hidden_file._locked
    monkeypatch.setattr(hidden_file, "_locked", taken)
    with no_leaks():
        run(target)
    assert len(set(names)) == 3
    assert not any(map(os.path.lexists, names))
    assert target.read_text() == '{"n":2}\n'


def test_the_file_is_locked_until_it_is_the_target(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(path: str, place: str) -> None:
        hidden_file.remove_left_files(str(target))
        assert os.path.exists(path), "a run of the same target took a whole file away"
        real(path, place)

    real = os.replace
    monkeypatch.setattr(os, "replace", replace)
    run(target)
    assert target.read_text() == '{"n":2}\n'
