from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipe_core.runtime.spool import Spool


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_nothing_is_made_before_it_is_needed(folder: Path) -> None:
    spool = Spool()
    assert list(folder.iterdir()) == []
    spool.close()
    assert list(folder.iterdir()) == []


def test_bytes_come_back_under_their_digest(folder: Path) -> None:
    spool = Spool()
    first, second = spool.put("a", b"one"), spool.put("b", b"")

    assert (first("a"), first("b"), second("a")) == (b"one", b"", b"one")


def test_what_is_kept_can_be_pulled_by_another_process(folder: Path) -> None:
    pull = Spool().put("a", b"one")
    program = "import pickle, sys; sys.stdout.buffer.write(pickle.load(sys.stdin.buffer)('a'))"

    done = subprocess.run([sys.executable, "-c", program], input=pickle.dumps(pull), capture_output=True, check=True)
    assert done.stdout == b"one"


def test_the_folder_is_its_owner_s_alone(folder: Path) -> None:
    Spool().put("a", b"secret")
    [made] = folder.iterdir()

    assert made.stat().st_mode & 0o077 == 0


def test_bytes_are_written_once_and_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, written = Spool(), []
    real = Path.write_bytes

    def counted(self: Path, data: bytes) -> int:
        written.append(self.name)
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", counted)
    with ThreadPoolExecutor(8) as pool:
        pulls = list(pool.map(lambda _: spool.put("a", b"x" * 1000), range(50)))

    assert written == ["a.part"], "a reader could have seen half of it"
    assert {pull("a") for pull in pulls} == {b"x" * 1000}
    [made] = folder.iterdir()
    assert [path.name for path in made.iterdir()] == ["a"]


def test_closing_removes_everything_and_may_be_repeated(folder: Path) -> None:
    spool = Spool()
    pull = spool.put("a", b"one")
    spool.close()
    spool.close()

    assert list(folder.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        pull("a")
    assert spool.put("a", b"again")("a") == b"again"
