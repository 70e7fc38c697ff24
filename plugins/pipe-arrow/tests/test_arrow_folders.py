"""Overwriting a folder replaces part files and nothing else, and does that whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import arrow_steps
import pytest
from arrow_files import FORMATS, begun, names, put, read, write
from arrow_steps import NEW, OLD

from pipe_core import SinkError

FOREIGN = ["notes.txt", "_SUCCESS", "part-00001", "part-1{}", "part-00001-c000{}", "part-00001{}.gz", "other{}"]


@pytest.fixture(params=FORMATS)
def format(request: pytest.FixtureRequest) -> str:
    if request.param == "avro":
        pytest.importorskip("fastavro")
    return str(request.param)


@pytest.fixture
def out(tmp_path: Path, format: str) -> Path:
    """A folder of part files."""
    (tmp_path / "case").mkdir()
    write(format, f"{tmp_path}/case/out/", OLD, part_size=2)
    return tmp_path / "case" / "out"


def contents(place: Path) -> Any:
    """All that is there, byte for byte, with permissions and times."""
    facts = place.lstat()
    known = (facts.st_mode, facts.st_mtime_ns)
    if place.is_symlink():
        return known, os.readlink(place)
    return known, {one.name: contents(one) for one in place.iterdir()} if place.is_dir() else place.read_bytes()


@pytest.mark.parametrize("other", FOREIGN)
def test_a_folder_with_other_things_is_not_replaced(out: Path, format: str, other: str) -> None:
    other = other.format(f".{format}")
    (out / other).write_text("precious")
    before = contents(out)
    with pytest.raises(SinkError, match=f"holds what is no part file: '{other}'"):
        begun(format, f"{out}/", mode="overwrite")
    assert contents(out) == before
    assert names(out.parent) == ["out"]


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_is_only_called_like_a_part_file_is_not_replaced(out: Path, format: str, kind: str) -> None:
    (out.parent / "precious").write_text("precious")
    place = out / f"part-00007.{format}"
    place.mkdir() if kind == "folder" else place.symlink_to("../precious")
    before = contents(out.parent)
    with pytest.raises(SinkError, match=f"holds what is no part file: '{place.name}'"):
        begun(format, f"{out}/", mode="overwrite")
    assert contents(out.parent) == before


def test_part_files_of_another_format_are_not_replaced(out: Path, format: str) -> None:
    other = "orc" if format == "parquet" else "parquet"
    before = contents(out.parent)
    with pytest.raises(SinkError, match=rf"are called part-00000\.{other}"):
        begun(other, f"{out}/", mode="overwrite")
    assert contents(out.parent) == before


def test_what_is_put_into_a_folder_while_it_is_replaced_is_in_the_new_one(out: Path, format: str) -> None:
    sink = begun(format, f"{out}/", mode="overwrite")
    put(sink, NEW)
    (out / "notes").mkdir()
    (out / "notes" / "a.txt").write_text("precious")
    sink.commit()
    sink.close()
    assert (out / "notes" / "a.txt").read_text() == "precious"
    assert names(out) == ["notes", f"part-00000.{format}"]
    assert read(format, out).records == NEW
    assert names(out.parent) == ["out"]


def test_a_file_in_the_place_of_the_folder_is_not_replaced(tmp_path: Path, format: str) -> None:
    (tmp_path / "out").write_text("precious")
    with pytest.raises(SinkError, match="is a file, and part files need a folder"):
        begun(format, f"{tmp_path}/out/", mode="overwrite")
    assert (tmp_path / "out").read_text() == "precious"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("ending", ["abort", "close"])
@pytest.mark.parametrize("mode", ["overwrite", "append"])
def test_an_aborted_run_leaves_the_old_parts_byte_for_byte(out: Path, format: str, ending: str, mode: str) -> None:
    before = contents(out)
    sink = begun(format, f"{out}/", mode=mode, part_size=2)
    put(sink, NEW, 4)
    assert contents(out) == before
    getattr(sink, ending)()
    sink.close()
    assert contents(out) == before
    assert names(out.parent) == ["out"]


@pytest.mark.parametrize("call", ["rename", "replace", "fsync", "chmod"])
def test_a_commit_that_fails_leaves_the_old_parts_byte_for_byte(
    out: Path, format: str, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every call, one after the other, until all of them succeed."""
    before = contents(out)
    for failing in range(1, 100):
        sink = begun(format, f"{out}/", mode="overwrite", part_size=2)
        put(sink, NEW, 2)
        calls, real = [], getattr(os, call)

        def one(*args: Any, calls: list[Any] = calls, failing: int = failing, real: Any = real, **how: Any) -> Any:
            calls.append(args)
            if len(calls) == failing:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*args, **how)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, one)
            try:
                sink.commit()
            except SinkError:
                pass
            else:
                break
        sink.close()
        assert contents(out) == before
        assert names(out.parent) == ["out"]
    sink.close()
    assert failing > 2
    assert read(format, out).records == NEW


def test_what_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    write("parquet", f"{tmp_path}/out/", [{"a": 1}])
    with pytest.raises(SinkError, match="'a' has int64, and string"):
        begun("parquet", f"{tmp_path}/out/", mode="append", fields=["a"], types={"a": "string"})
    assert names(tmp_path) == ["out"]


def test_what_comes_into_the_place_meanwhile_is_not_replaced(tmp_path: Path, format: str) -> None:
    sink = begun(format, f"{tmp_path}/out/")
    put(sink, NEW)
    write(format, f"{tmp_path}/out/", OLD)
    before = contents(tmp_path / "out")
    with pytest.raises(SinkError, match="came into being while this run was going on"):
        sink.commit()
    sink.close()
    assert contents(tmp_path / "out") == before
    assert names(tmp_path) == ["out"]


def test_something_else_where_parts_are_kept_stays(tmp_path: Path, format: str) -> None:
    partial = tmp_path / "out.partial"
    partial.mkdir()
    (partial / "notes.txt").write_text("precious")
    for _ in range(2):
        sink = begun(format, f"{tmp_path}/out/")
        put(sink, NEW)
        place = Path(sink.abort(keep=True))
        sink.close()
        assert read(format, place).records == NEW
        assert names(partial) == ["notes.txt"]


def test_appending_nothing_to_an_empty_folder_is_one_part_without_records(tmp_path: Path, format: str) -> None:
    (tmp_path / "out").mkdir()
    for _ in range(2):
        write(format, f"{tmp_path}/out/", [], mode="append")
        assert names(tmp_path / "out") == [f"part-00000.{format}"]
    found = read(format, tmp_path / "out")
    assert (found.records, found.error) == ([], None)


def test_parts_are_read_in_the_order_of_their_numbers(tmp_path: Path, format: str) -> None:
    (tmp_path / "out").mkdir()
    for i in (100_000, 99_999):
        write(format, tmp_path / "out" / f"part-{i}.{format}", [{"n": i}])
    assert read(format, tmp_path / "out").records == [{"n": 99_999}, {"n": 100_000}]
    write(format, f"{tmp_path}/out/", [{"n": 100_001}], mode="append")
    assert f"part-100001.{format}" in names(tmp_path / "out")


@pytest.mark.skipif(os.name == "nt", reason="needs locks that end with a process")
@pytest.mark.parametrize("format", ["parquet"], indirect=True)
@pytest.mark.parametrize("mode", ["overwrite", "append"])
def test_killed_at_any_step_it_leaves_the_old_parts_or_the_new_ones(tmp_path: Path, format: str, mode: str) -> None:
    root = tmp_path / "cases"
    root.mkdir()
    write(format, f"{root}/before/", OLD, part_size=2)
    subprocess.run([sys.executable, arrow_steps.__file__, root, format, mode], check=True, timeout=50)
    allowed = [OLD, NEW if mode == "overwrite" else OLD + NEW]
    states = []
    for case in sorted(root.glob("[0-9]*")):
        assert [name for name in names(case) if name[0] != "."] == ["out"]
        before = contents(case / "out")
        states.append(read(format, case / "out").records)
        assert states[-1] in allowed, case.name
        begun(format, f"{case}/out/", mode="append").close()
        assert names(case) == ["out"], case.name
        assert contents(case / "out") == before, case.name
    assert len(states) > 15
    assert sorted(states, key=allowed.index) == states
    assert all(state in states for state in allowed)
