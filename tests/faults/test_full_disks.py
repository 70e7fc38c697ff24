"""The disk is full at the Nth write, for all N: a named error, nothing is lost, and with room again the run goes on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kept_sinks import PRELOAD, SINKS, KeptSink, left

from pipe_core.testing.faults import Drivers, Ended, Oracle

pytestmark = [
    pytest.mark.timeout(170),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="programs are forks of a warm process"),
]

PROGRAM = Path(__file__).with_name("kept_program.py")
ORACLE = Oracle(1_000, invalid=lambda n: n % 40 == 0, dropped=lambda n: n % 10 == 7)
NAMES = ["jsonl", "csv", "sqlite"]
ERRORS = {"SinkError", "CheckpointError"}


@pytest.fixture(scope="module")
def drivers() -> Iterator[Drivers]:
    with Drivers(PRELOAD) as drivers:
        yield drivers


@dataclass
class Disk:
    """Where a run is tried with less room than it wants, and again with enough.

    Attributes:
        seen: The errors that it ended with.
    """

    drivers: Drivers
    sink: KeptSink
    source: Path
    expected: Any
    whole: dict[str, Any]
    seen: set[str]

    @classmethod
    def of(cls, drivers: Drivers, name: str, folder: Path) -> Disk:
        sink = SINKS[name]
        if not sink.installed:
            pytest.skip(f"{sink.needs} is not installed")
        disk = cls(drivers, sink, ORACLE.write(folder / "in.jsonl"), None, {}, set())
        whole = folder / "undisturbed"
        whole.mkdir()
        ended = disk.run(whole, "begin")
        assert ended.code == 0, ended
        ORACLE.check_counts(ended.said)
        disk.expected, disk.whole = disk.outcome(whole), ended.said
        return disk

    def run(self, folder: Path, what: str, **options: Any) -> Ended:
        asked = {"source": str(self.source), "chunk_size": 250, **options}
        environment = {"PIPE_TEST_OPTIONS": json.dumps(asked), "PIPE_TEST_LIST": "yes"}
        return self.drivers.run(PROGRAM, what, "sync", self.sink.target, folder=folder, environment=environment)

    def outcome(self, folder: Path) -> Any:
        return self.sink.content(folder), (folder / "bad.jsonl").read_bytes(), left(folder)

    def check_full(self, folder: Path, ended: Ended) -> None:
        """It failed with a named error, and nothing is visible that is not whole."""
        assert ended.code == 3, ended
        assert ended.said["error"] in ERRORS, ended
        assert ended.said["text"], ended
        self.seen.add(ended.said["error"])
        for name in ("bad.jsonl", "out.jsonl", "out.csv"):
            path = folder / name
            if path.exists():
                assert path.read_bytes() in self.expected, f"{name} is not whole"

    def check_goes_on(self, folder: Path) -> None:
        """With room again it comes to the same end as if nothing had happened."""
        ended = self.run(folder, "go-on")
        assert ended.code == 0, ended
        assert {**ended.said, "resumed_at": None} == self.whole
        assert self.outcome(folder) == self.expected


@pytest.mark.parametrize("name", NAMES)
def test_files_that_may_not_grow(name: str, drivers: Drivers, tmp_path: Path) -> None:
    disk = Disk.of(drivers, name, tmp_path)
    for size in range(0, 10**6, {"jsonl": 1_536, "csv": 3_072}.get(name, 8_192)):
        folder = tmp_path / str(size)
        folder.mkdir()
        ended = disk.run(folder, "begin", file_size=size)
        if ended.code == 0:
            break
        disk.check_full(folder, ended)
        disk.check_goes_on(folder)
        shutil.rmtree(folder)
    assert size >= 9 * 1024
    assert disk.outcome(folder) == disk.expected
    assert disk.seen == ERRORS


def test_checkpoints_that_find_no_room(drivers: Drivers, tmp_path: Path) -> None:
    disk = Disk.of(drivers, "jsonl", tmp_path)
    for time in range(1, 100):
        folder = tmp_path / str(time)
        folder.mkdir()
        asked = json.dumps({"source": str(disk.source), "chunk_size": 250})
        ended = drivers.run(
            PROGRAM, "begin", "sync", disk.sink.target, folder=folder, failpoints=f"file.written=full@{time}",
            environment={"PIPE_TEST_OPTIONS": asked, "PIPE_TEST_LIST": "yes"},
        )  # fmt: skip
        if ended.code == 0:
            break
        disk.check_full(folder, ended)
        disk.check_goes_on(folder)
    assert time > 5
    assert disk.seen == {"CheckpointError"}


def test_a_run_that_finds_no_room_to_be_taken_up(drivers: Drivers, tmp_path: Path) -> None:
    disk = Disk.of(drivers, "jsonl", tmp_path)
    folder = tmp_path / "killed"
    folder.mkdir()
    assert disk.run(folder, "begin", file_size=6_000).said["error"] == "SinkError"
    for size, words in ((0, "cannot be taken up"), (1, "cannot be kept")):
        ended = disk.run(folder, "go-on", file_size=size)
        assert (ended.code, ended.said["error"]) == (3, "CheckpointError"), ended
        assert words in ended.said["text"]
    disk.check_goes_on(folder)
    assert len(list((folder / "runs").iterdir())) == 1


# --- a file system of its own ---


class SmallDisk:
    """A file system in memory, with so much room as one says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def mount(self, size: int) -> None:
        self._call("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.folder))

    def grow(self) -> None:
        self._call("mount", "-o", "remount,size=64m", str(self.folder))

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.folder)], capture_output=True, timeout=20, check=False)

    def _call(self, *command: str) -> None:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        except OSError as error:
            pytest.skip(f"nothing can be mounted here: {error}")
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if not sys.platform.startswith("linux"):
        pytest.skip("tmpfs is of Linux")
    disk = SmallDisk(tmp_path / "disk")
    yield disk
    disk.unmount()


@pytest.mark.parametrize("name", [NAMES[0], *(pytest.param(name, marks=pytest.mark.chaos) for name in NAMES[1:])])
def test_a_disk_that_is_full_at_each_page(name: str, drivers: Drivers, tmp_path: Path, small_disk: SmallDisk) -> None:
    disk = Disk.of(drivers, name, tmp_path)
    for pages in range(1, 400, 2):
        small_disk.mount(pages * os.sysconf("SC_PAGE_SIZE"))
        try:
            ended = disk.run(small_disk.folder, "begin")
            if ended.code == 0:
                break
            disk.check_full(small_disk.folder, ended)
            small_disk.grow()
            disk.check_goes_on(small_disk.folder)
        finally:
            if ended.code != 0:
                small_disk.unmount()
    assert pages > 5
    assert disk.outcome(small_disk.folder) == disk.expected
    assert disk.seen == ERRORS


# --- streams ---


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("target", ["sink", "errors"])
def test_a_stream_that_takes_nothing(target: str, drivers: Drivers, tmp_path: Path) -> None:
    disk = Disk.of(drivers, "jsonl", tmp_path)
    folder = tmp_path / "streams"
    folder.mkdir()
    (folder / "full.jsonl").symlink_to("/dev/full")
    options = {"errors": "full.jsonl"} if target == "errors" else {}
    sink = "full.jsonl" if target == "sink" else "out.jsonl"
    asked = json.dumps({"source": str(disk.source), "chunk_size": 250, **options})
    ended = drivers.run(PROGRAM, "begin", "sync", sink, folder=folder, environment={"PIPE_TEST_OPTIONS": asked})
    assert (ended.code, ended.said["error"]) == (3, "SinkError")
    assert "full.jsonl" in ended.said["text"]
    assert not (folder / "out.jsonl").exists()
    (folder / "full.jsonl").unlink()
    (folder / "full.jsonl").symlink_to("/dev/null")  # room again
    ended = drivers.run(PROGRAM, "go-on", "sync", sink, folder=folder, environment={"PIPE_TEST_OPTIONS": asked})
    assert {**ended.said, "resumed_at": None} == disk.whole
