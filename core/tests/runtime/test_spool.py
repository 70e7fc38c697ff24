from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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


def test_the_folder_is_made_where_one_is_told(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("place")
    spool = Spool(place)
    assert spool.put("a", b"one")("a") == b"one"
    assert list(folder.iterdir()) == []
    assert list(place.iterdir()) == [spool.folder]
    spool.close()
    assert list(place.iterdir()) == []


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
    assert [path.name for path in made.iterdir() if not path.name.startswith(".")] == ["a"]


def test_closing_removes_everything_and_may_be_repeated(folder: Path) -> None:
    spool = Spool()
    pull = spool.put("a", b"one")
    spool.close()
    spool.close()

    assert list(folder.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        pull("a")
    assert spool.put("a", b"again")("a") == b"again"


# --- what a killed driver has left behind ---

DRIVER = """
import sys, tempfile, time
from pipe_core.runtime.spool import Spool

tempfile.tempdir = sys.argv[1]
spool = Spool()
spool.put("a", b"one")
(spool.folder / "deep").mkdir()
(spool.folder / "deep" / "file").write_bytes(b"x")
print(spool.folder, flush=True)
time.sleep(100)
"""

NEEDS_LOCKS = pytest.mark.skipif(sys.platform == "win32", reason="folders are not owned there")


@contextmanager
def driver(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that has made a spool."""
    process = subprocess.Popen([sys.executable, "-c", DRIVER, str(folder)], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def left_behind(folder: Path) -> Path:
    """A folder whose owner was killed."""
    with driver(folder) as (process, made):
        process.kill()
        process.wait(20)
    assert (made / "a").read_bytes() == b"one"
    return made


@NEEDS_LOCKS
def test_it_goes_where_the_next_is_made_and_nowhere_else(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("place")
    here, there = left_behind(folder), left_behind(place)
    assert Spool(place).folder != there
    assert (here.exists(), there.exists()) == (True, False)


@NEEDS_LOCKS
def test_the_folder_of_a_killed_driver_goes_when_the_next_is_made(folder: Path) -> None:
    left = left_behind(folder)
    spool = Spool()
    assert left.exists()
    spool.put("a", b"two")
    assert list(folder.iterdir()) == [spool.folder]
    spool.close()


def test_the_folder_of_a_living_driver_stays(folder: Path) -> None:
    here = Spool()
    pull = here.put("a", b"here")
    with driver(folder) as (_, there):
        Spool().put("a", b"two")
        assert (pull("a"), (there / "a").read_bytes(), (there / "deep" / "file").read_bytes()) == (
            b"here",
            b"one",
            b"x",
        )


@NEEDS_LOCKS
def test_the_folder_stays_as_long_as_a_child_of_the_driver_may_use_it(folder: Path) -> None:
    """A forked one, which goes on with what its parent had."""
    program = DRIVER.replace("time.sleep(100)", "import os; os.fork() and os._exit(0); input()")
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        made = Path(process.stdout.readline().strip())
        assert process.wait(20) == 0
        Spool().put("a", b"two")
        assert (made / "a").read_bytes() == b"one"
        process.communicate("\n", timeout=20)  # reads until the child has gone
    Spool().put("a", b"three")
    assert not made.exists()


def test_folders_that_nobody_said_to_own_stay(folder: Path) -> None:
    (folder / "pipe-12345678").mkdir(mode=0o700)
    (folder / "pipe-12345678" / "precious").write_text("x")
    Spool().put("a", b"one")
    assert (folder / "pipe-12345678" / "precious").exists()


@NEEDS_LOCKS
def test_folders_that_others_may_read_or_write_stay(folder: Path) -> None:
    left = left_behind(folder)
    assert left.stat().st_mode & 0o077 == 0
    left.chmod(0o755)
    Spool().put("a", b"one")
    assert (left / "a").exists()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can give a folder away")
def test_folders_of_other_people_stay(folder: Path) -> None:
    left = left_behind(folder)
    os.chown(left, 12345, -1)
    Spool().put("a", b"one")
    assert (left / "a").exists()


@NEEDS_LOCKS
def test_folders_of_other_machines_stay(folder: Path) -> None:
    """A place that several machines share, whose locks they may not see."""
    left = left_behind(folder)
    (left / ".owner").write_text("another\n0000")
    Spool().put("a", b"one")
    assert (left / "a").exists()


@NEEDS_LOCKS
@pytest.mark.parametrize("what", ["the folder", "the owner"])
def test_no_link_is_followed(folder: Path, tmp_path_factory: pytest.TempPathFactory, what: str) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    left = left_behind(elsewhere)
    if what == "the folder":
        (folder / "pipe-12345678").symlink_to(left)
    else:
        (folder / "pipe-12345678").mkdir(mode=0o700)
        (folder / "pipe-12345678" / ".owner").symlink_to(left / ".owner")
    Spool().put("a", b"one")
    assert (left / "a").exists()
    assert (folder / "pipe-12345678").exists()


@NEEDS_LOCKS
def test_a_link_in_a_folder_goes_without_what_it_leads_to(folder: Path, tmp_path: Path) -> None:
    left = left_behind(folder)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    (left / "link").symlink_to(tmp_path / "precious")
    Spool().put("a", b"one")
    assert not left.exists()
    assert (tmp_path / "precious" / "file").exists()


@NEEDS_LOCKS
@pytest.mark.parametrize("written", [b"", b"\xff", b"\n\n"])
def test_an_owner_that_cannot_be_read_is_nobody(folder: Path, written: bytes) -> None:
    left = left_behind(folder)
    (left / ".owner").write_bytes(written)
    Spool().put("a", b"one")
    assert (left / "a").exists()


@NEEDS_LOCKS
def test_many_drivers_that_begin_at_once_remove_each_folder_once(folder: Path) -> None:
    left = [left_behind(folder) for _ in range(3)]
    with ThreadPoolExecutor(8) as pool:
        spools = list(pool.map(lambda _: Spool(), range(16)))
        pulls = list(pool.map(lambda spool: spool.put("a", b"mine"), spools))
    assert not any(one.exists() for one in left)
    assert [pull("a") for pull in pulls] == [b"mine"] * 16
    for spool in spools:
        spool.close()
    assert list(folder.iterdir()) == []


def test_a_place_without_locks_will_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nobody removes what is left behind."""

    def refuse(*args: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with monkeypatch.context() as patched:
        if sys.platform != "win32":
            patched.setattr("fcntl.flock", refuse)
        first, second = Spool(), Spool()
        pull, _ = first.put("a", b"one"), second.put("a", b"two")
    Spool().put("a", b"three")
    assert pull("a") == b"one"
    assert [path.name for path in first.folder.iterdir()] == ["a"]
    assert second.folder.exists()
    second.close()
