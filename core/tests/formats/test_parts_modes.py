"""Folders of part files that are there already are refused, replaced, added to or left alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from part_cases import COUNT, City, Row, contents, names_in, opened, read_back

from pipe_core import Pipe, SinkError, TargetExistsError
from pipe_core.formats import exchange as exchanging
from pipe_core.formats import part_sink

# --- modes ---


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv"])
def test_an_output_without_records_is_one_part(tmp_path: Path, name: str) -> None:
    Pipe([], f"{tmp_path / name}/", schema=Row).run()
    [part] = (tmp_path / name).iterdir()
    assert part.read_text() == ("n,text\n" if name == "out.csv" else "")
    assert read_back(tmp_path / name) == []


def test_what_is_there_is_refused_or_left_alone(tmp_path: Path) -> None:
    target = f"{tmp_path}/out.jsonl/"
    Pipe([{"n": 1}], target).run()
    with pytest.raises(TargetExistsError, match="mode='append'"):
        Pipe([{"n": 2}], target).run()
    assert Pipe([{"n": 3}], target, mode="ignore").run().read == 0
    assert read_back(tmp_path / "out.jsonl") == [{"n": 1}]


@pytest.mark.parametrize("at_once", [True, False])
def test_overwriting_replaces_all_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool) -> None:
    if not at_once:
        monkeypatch.setattr(exchanging, "_exchanged", lambda one, other: False)
    out = tmp_path / "out.jsonl"
    for _ in range(3):
        Pipe([{"n": 1}], f"{out}/", mode="append").run()
    out.chmod(0o750)
    Pipe([{"n": 2}], f"{out}/", mode="overwrite").run()
    assert names_in(tmp_path) == ["out.jsonl"]
    assert names_in(out) == ["part-00000.jsonl"]
    assert read_back(out) == [{"n": 2}]
    assert stat.S_IMODE(out.stat().st_mode) == 0o750


def test_a_folder_is_replaced_only_when_its_name_ends_as_one(tmp_path: Path) -> None:
    Pipe([{"n": 1}], f"{tmp_path}/out.jsonl/").run()
    with pytest.raises(SinkError, match="end its name in '/'"):
        Pipe([{"n": 2}], tmp_path / "out.jsonl", mode="overwrite").run()
    Pipe([{"n": 3}], tmp_path / "out.jsonl", mode="append").run()
    assert read_back(tmp_path / "out.jsonl") == [{"n": 1}, {"n": 3}]


FOREIGN = ["notes.txt", ".hidden", "part-00001", "part-1.jsonl", "part-00001.txt", "part-00001.jsonl.bak"]


def put_there(place: Path, kind: str) -> None:
    """Something that is no part file, whatever it is called."""
    if kind == "folder":
        place.mkdir()
        (place / "notes.txt").write_text("precious")
    elif kind == "link":
        place.symlink_to(place.parent.parent / "precious.txt")
    else:
        place.write_text("precious")


@pytest.mark.parametrize(
    ("other", "kind"),
    [*((name, "file") for name in FOREIGN), ("part-00001.jsonl", "folder"), ("part-00002.jsonl", "link")],
)
def test_a_folder_with_other_things_is_not_replaced(tmp_path: Path, other: str, kind: str) -> None:
    out = tmp_path / "out.jsonl"
    Pipe([{"n": 0}], f"{out}/").run()
    (tmp_path / "precious.txt").write_text("precious")
    put_there(out / other, kind)
    before = contents(tmp_path)
    with pytest.raises(SinkError, match=f"holds what is no part file: '{other}'"):
        Pipe([{"n": 1}], f"{out}/", mode="overwrite").run()
    assert contents(tmp_path) == before


def test_part_files_of_another_format_are_not_replaced(tmp_path: Path) -> None:
    Pipe([{"n": 0}], (f"{tmp_path}/out/", {"format": "csv"})).run()
    before = contents(tmp_path)
    with pytest.raises(SinkError, match=r"'part-00000\.csv'\. .* are called part-00000\.jsonl"):
        Pipe([{"n": 1}], (f"{tmp_path}/out/", {"format": "jsonl"}), mode="overwrite").run()
    assert contents(tmp_path) == before


def test_part_files_of_another_compression_are_replaced(tmp_path: Path) -> None:
    for name in ("part-00000.jsonl", "part-00001.jsonl.gz", "part-123456.ndjson"):
        (tmp_path / "out.jsonl").mkdir(exist_ok=True)
        (tmp_path / "out.jsonl" / name).write_text("old")
    Pipe([{"n": 1}], f"{tmp_path}/out.jsonl/", mode="overwrite").run()
    assert names_in(tmp_path / "out.jsonl") == ["part-00000.jsonl"]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_put_into_a_folder_while_it_is_replaced_is_in_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool, kind: str
) -> None:
    if not at_once:
        monkeypatch.setattr(exchanging, "_exchanged", lambda one, other: False)
    (tmp_path / "precious.txt").write_text("precious")
    out = tmp_path / "out.jsonl"
    Pipe([{"n": 1}], f"{out}/").run()
    sink = opened(out, "overwrite")
    put_there(out / "notes", kind)
    there = contents(out / "notes")
    sink.commit()
    sink.close()
    assert contents(out / "notes") == there
    assert names_in(out) == ["notes", "part-00000.jsonl"]
    assert names_in(tmp_path) == ["out.jsonl", "precious.txt"]


def test_what_has_no_room_in_the_new_folder_stays_in_the_old_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out.jsonl"
    (out).mkdir()
    sink = opened(out, "overwrite")
    put_there(out / "part-00000.jsonl", "folder")
    for _ in range(2):
        sink.commit()
        sink.close()
        [place] = [record.args[1] for record in caplog.records if record.args]
        assert (Path(str(place)) / "replaced/part-00000.jsonl/notes.txt").read_text() == "precious"
        assert (out / "part-00000.jsonl").read_text() == ""
        caplog.clear()
        sink = opened(out, "append")  # looks at what the first one left
    sink.close()


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_a_file_in_the_place_of_the_folder_is_neither_replaced_nor_appended_to(tmp_path: Path, mode: Any) -> None:
    (tmp_path / "out.jsonl").write_text('{"n":1}\n')
    before = contents(tmp_path)
    with pytest.raises(SinkError, match="is a file, and part files need a folder"):
        Pipe([{"n": 2}], f"{tmp_path}/out.jsonl/", mode=mode).run()
    assert contents(tmp_path) == before


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
@pytest.mark.parametrize("mode", ["error", "overwrite"])
def test_what_comes_into_the_place_meanwhile_is_not_replaced(tmp_path: Path, mode: str, kind: str) -> None:
    (tmp_path / "precious.txt").mkdir()  # where the link goes
    (tmp_path / "precious.txt" / "part-00000.jsonl").write_text("precious")
    (tmp_path / "sub").mkdir()
    out = tmp_path / "sub" / "out.jsonl"
    sink = opened(out, mode)
    put_there(out, kind)
    before = contents(tmp_path, hidden=False)
    if (mode, kind) == ("overwrite", "folder"):
        sink.commit()
        assert names_in(out) == ["notes.txt", "part-00000.jsonl"]
        assert (out / "notes.txt").read_text() == "precious"
    else:
        with pytest.raises(SinkError, match="came into being while this run was going on"):
            sink.commit()
        sink.close()
        assert contents(tmp_path) == before
    sink.close()
    assert names_in(out.parent) == ["out.jsonl"]


def test_appending_numbers_on_and_keeps_what_was_committed(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    Pipe([{"n": 0}], f"{out}/").run()
    (out / "part-00041.jsonl").write_text('{"n":1}\n')
    sink = opened(out, "append")
    encoder = sink.encoder()
    for data in b'{"n":2}\n', b'{"n":3}\n':
        sink.write(encoder.join([data[:-1]]), 1)
        sink.commit()
    sink.write(b'{"n":4}\n', 1)
    sink.abort()
    sink.close()
    assert names_in(out) == [f"part-000{i}.jsonl" for i in ("00", "41", "42", "43")]
    assert [record["n"] for record in read_back(out)] == [0, 1, 2, 3]
    assert names_in(tmp_path) == ["out.jsonl"]


def test_two_that_append_do_not_meet(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    sinks = [opened(out, "append") for _ in range(2)]
    for i in (0, 1, 0):
        sinks[i].write(b'{"n":%d}\n' % i, 1)
        sinks[i].commit()
    for sink in sinks:
        sink.close()
    assert [record["n"] for record in read_back(out)] == [0, 1, 0]


def test_a_name_that_was_taken_meanwhile_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.jsonl"
    out.mkdir()
    sink = opened(out, "append")
    sink.write(b'{"n":2}\n', 1)
    listed = os.listdir

    def stale(folder: Any = ".") -> list[str]:
        names = listed(folder)
        (out / "part-00000.jsonl").write_text('{"n":1}\n')
        return names

    monkeypatch.setattr(os, "listdir", stale)
    sink.commit()
    monkeypatch.undo()
    sink.close()
    assert [record["n"] for record in read_back(out)] == [1, 2]


def test_a_folder_that_another_one_made_meanwhile_is_appended_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.jsonl"
    sink = opened(out, "append")
    monkeypatch.setattr(part_sink, "MOST", 1)
    for n in (2, 3):
        sink.write(b'{"n":%d}\n' % n, 1)
    looked = os.path.isdir

    def late(path: Any) -> bool:
        found = looked(path)
        if path == str(out) and not found:
            out.mkdir()
            (out / "part-00000.jsonl").write_text('{"n":1}\n')
        return found

    monkeypatch.setattr(os.path, "isdir", late)
    sink.commit()
    monkeypatch.undo()
    sink.close()
    assert [record["n"] for record in read_back(out)] == [1, 2, 3]
    assert names_in(tmp_path) == ["out.jsonl"]


def test_appending_other_columns_is_refused(tmp_path: Path, least: int) -> None:
    out = tmp_path / "out.csv"
    Pipe([{"n": 1, "text": "a"}], f"{out}/").run()
    with pytest.raises(SinkError, match=r"has the columns \['n', 'text'\], the records have \['city'\]"):
        Pipe([{"city": "Oslo"}], f"{out}/", schema=City, mode="append").run()
    Pipe([{"n": 2, "text": "b"}], f"{out}/", schema=Row, mode="append").run()
    assert [record["n"] for record in read_back(out)] == ["1", "2"]


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.csv.gz"])
def test_a_file_is_appended_to_from_files(tmp_path: Path, source: Path, executor: Any, least: int, name: str) -> None:
    for _ in range(2):  # such a file is open in a mode that the system copies nothing into
        Pipe(source, (tmp_path / name, {"via": "files"}), schema=Row, executor=executor, mode="append").run()
    got: list[Any] = []
    Pipe(tmp_path / name, got).run()
    assert [int(record["n"]) for record in got] == [*range(COUNT), *range(COUNT)]
    assert names_in(tmp_path) == ["in", name]
