"""Folders of part files, and files that are joined from what workers have written, hold what a file would."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest
from part_cases import COUNT, RECORDS, Row, names_in, read_back

from pipe_core import Pipe, SinkError, SourceError, get_hook
from pipe_core.formats import part_sink
from pipe_core.kernel.errors import SourceNotFoundError

# --- the same records as a single file, wherever they are processed ---


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".jsonl.gz", ".csv.lz4"])
def test_parts_hold_what_a_file_would(tmp_path: Path, source: Path, executor: Any, least: int, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    Pipe(source, tmp_path / f"whole{suffix}", schema=Row).run()
    report = Pipe(source, f"{out}/", schema=Row, executor=executor).run()
    assert (report.valid, report.failed) == (COUNT, 0)
    assert names_in(out) == [f"part-{i:05}{suffix}" for i in range(len(os.listdir(out)))]
    assert (len(names_in(out)) > 1) == (least == 1)
    found = read_back(out)
    assert [int(record["n"]) for record in found] == list(range(COUNT))
    whole: list[Any] = []
    Pipe(tmp_path / f"whole{suffix}", whole).run()
    assert found == whole
    assert names_in(tmp_path) == ["in", out.name, f"whole{suffix}"]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_a_file_joined_from_files_has_the_same_bytes(
    tmp_path: Path, source: Path, executor: Any, least: int, suffix: str
) -> None:
    for name, options in ("whole", {}), ("joined", {"via": "files"}):
        Pipe(source, (tmp_path / f"{name}{suffix}", options), schema=Row, executor=executor).run()
    assert (tmp_path / f"joined{suffix}").read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()
    assert names_in(tmp_path) == ["in", f"joined{suffix}", f"whole{suffix}"]


def test_a_compressed_file_is_joined_from_members(tmp_path: Path, source: Path, executor: Any, least: int) -> None:
    Pipe(source, tmp_path / "whole.csv", schema=Row).run()
    Pipe(source, (tmp_path / "out.csv.gz", {"via": "files"}), schema=Row, executor=executor).run()
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()) == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_every_part_has_its_mark_and_a_joined_file_one(
    tmp_path: Path, source: Path, executor: Any, least: int, encoding: str
) -> None:
    out = {"encoding": encoding}
    Pipe(source, (f"{tmp_path}/out.csv/", out), schema=Row, executor=executor).run()
    got: list[Any] = []
    Pipe((f"{tmp_path}/out.csv/", out), got).run()
    assert got == [{"n": str(record["n"]), "text": record["text"]} for record in RECORDS]
    Pipe(source, (tmp_path / "joined.csv", {**out, "via": "files"}), schema=Row, executor=executor).run()
    assert (tmp_path / "joined.csv").read_text(encoding).count("n,text\n") == 1
    assert "\ufeff" not in (tmp_path / "joined.csv").read_text(encoding)


def test_rows_that_the_driver_decides_on_go_into_parts_too(tmp_path: Path, executor: Any, least: int) -> None:
    Pipe(
        RECORDS[:500], f"{tmp_path}/out.jsonl/", pre_validation_hooks=[get_hook("deduplicate")], executor=executor
    ).run()
    assert [record["n"] for record in read_back(tmp_path / "out.jsonl")] == list(range(500))


def test_records_without_a_schema_have_the_columns_of_the_first_in_every_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: Any, least: int
) -> None:
    monkeypatch.setattr(part_sink, "MOST", 1)
    records = [{"b": "1", "a": "2"}, *({"a": str(i), "b": ""} for i in range(5000))]
    Pipe(records, f"{tmp_path}/out.csv/", executor=executor).run()
    heads = {path.read_text().partition("\n")[0] for path in (tmp_path / "out.csv").iterdir()}
    assert heads == {"b,a"}
    assert read_back(tmp_path / "out.csv") == records


def test_bytes_go_through_the_system_on_demand(tmp_path: Path, source: Path) -> None:
    Pipe(source, (f"{tmp_path}/out.jsonl/", {"via": "system"}), schema=Row, executor="sync").run()
    assert names_in(tmp_path / "out.jsonl") == ["part-00000.jsonl"]


# --- errors, also as a folder ---


def test_an_error_sink_in_parts(tmp_path: Path, executor: Any, least: int) -> None:
    records = [{"n": i if i % 10 else "no number", "text": "x"} for i in range(2000)]
    errors = tmp_path / "errors.jsonl"
    report = Pipe(records, f"{tmp_path}/out.jsonl/", errors=f"{errors}/", schema=Row, executor=executor).run()
    assert (report.valid, report.failed) == (1800, 200)
    assert [record["position"] for record in read_back(errors)] == list(range(0, 2000, 10))
    assert len(read_back(tmp_path / "out.jsonl")) == 1800


# --- reading ---


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path: Path, executor: Any) -> None:
    out = tmp_path / "out.jsonl"
    out.mkdir()
    for number in (99_999, 100_000, 7):
        (out / f"part-{number:05}.jsonl").write_bytes(b'{"n":%d}\n' % number)
    (out / "part-00008.jsonl.gz").write_bytes(gzip.compress(b'{"n":8}\n'))
    for name in (".part-00001.jsonl.crc", "_SUCCESS", "notes.txt", "_part-00002.jsonl"):
        (out / name).write_text("no record")
    for target in (f"{out}/", out):
        got: list[Any] = []
        Pipe(target, got, executor=executor).run()
        assert [record["n"] for record in got] == [7, 8, 99_999, 100_000]


def test_a_folder_without_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="There is no file"):
        Pipe(f"{tmp_path}/out.jsonl/").run()
    (tmp_path / "out.jsonl").mkdir()
    with pytest.raises(SourceError, match=r"without any file that ends in \.jsonl"):
        Pipe(tmp_path / "out.jsonl").run()


def test_a_folder_is_not_its_own_target(tmp_path: Path) -> None:
    Pipe([{"n": 1}], f"{tmp_path}/out.jsonl/").run()
    with pytest.raises(SinkError, match="is the source"):
        Pipe(f"{tmp_path}/out.jsonl", f"{tmp_path}/out.jsonl/", mode="append").run()
