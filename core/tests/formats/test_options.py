"""Every option that is accepted does something."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from reading import make, read, read_splits

from pipe_core.formats.encodings import cuts_anywhere

TEXT = b"# made by hand\nid;name;note\n1; 'Ada' ;NA\n2;-; x \n"


def rows(tmp_path: Path, text: bytes, suffix: str = ".csv", **options: Any) -> list[Any]:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(text)
    found = read("csv", path, **options)
    assert (found.rejected, found.error) == ({}, None)
    return found.records


def test_layout_options(tmp_path: Path) -> None:
    found = rows(tmp_path, TEXT, skip_rows=1, delimiter=";", null_values=["NA", "-"], strip=True)
    assert found == [{"id": "1", "name": "'Ada'", "note": None}, {"id": "2", "name": None, "note": "x"}]


def test_cells_stay_text_without_options(tmp_path: Path) -> None:
    assert rows(tmp_path, b"a,b,c\n1,, x\n") == [{"a": "1", "b": "", "c": " x"}]


def test_quotes_and_escapes(tmp_path: Path) -> None:
    assert rows(tmp_path, b"a,b\n'x,y',1\n", quotechar="'") == [{"a": "x,y", "b": "1"}]
    assert rows(tmp_path, b'a,b\nx\\,y,"\\""\n', escapechar="\\") == [{"a": "x,y", "b": '"'}]
    assert rows(tmp_path, b'a,b\n"x,1\n', quotechar=None) == [{"a": '"x', "b": "1"}]


@pytest.mark.parametrize("suffix", [".tsv", ".TSV"])
def test_tsv_means_tabs_unless_said_otherwise(tmp_path: Path, suffix: str) -> None:
    assert rows(tmp_path, b"a\tb\n1,2\t3\n", suffix=suffix) == [{"a": "1,2", "b": "3"}]
    assert rows(tmp_path, b"a,b\n1,2\n", suffix=suffix, delimiter=",") == [{"a": "1", "b": "2"}]


def test_header_policies(tmp_path: Path) -> None:
    text = b"a,b\n1,2\n"
    assert rows(tmp_path, text, fieldnames=["x", "y"]) == [{"x": "a", "y": "b"}, {"x": "1", "y": "2"}]
    assert rows(tmp_path, text, fieldnames=["x", "y"], header="first") == [{"x": "1", "y": "2"}]
    assert rows(tmp_path, text, header="none")[0] == {"column_1": "a", "column_2": "b"}


def test_max_rows_reads_no_further(tmp_path: Path) -> None:
    text = b"a\n" + b"1\n" * 50
    for count in (0, 1, 7, 49, 50, 51):
        assert len(rows(tmp_path, text, max_rows=count)) == min(count, 50)


def test_fields_are_known_after_open(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,b\n1,2\n")
    source = make("csv").source(tmp_path / "a.csv")
    assert source.fields is None
    source.open()
    assert source.fields == ("a", "b")
    assert source.size == 4
    source.close()


@pytest.mark.parametrize(
    "options", [{"max_rows": 5}, {"escapechar": "\\"}, {"encoding": "utf-16"}, {"encoding": "gbk"}]
)
def test_what_cannot_be_split_is_not(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("a,b\n1,2\n".encode(options.get("encoding", "utf-8")))
    assert read_splits(make("csv", **options).source(path), 3) is None
    assert read("csv", path, **options).records == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize(
    ("encoding", "cuttable"),
    [("utf-8", True), ("cp1252", True), ("iso8859_15", True), ("koi8_r", True), ("cp437", True), ("ascii", True)]
    + [
        (name, False) for name in ("utf-16", "utf-32", "utf-7", "gbk", "shift_jis", "cp037", "iso2022_jp", "hz", "big5")
    ],
)
def test_only_encodings_of_single_bytes_are_cut(encoding: str, cuttable: bool) -> None:
    assert cuts_anywhere(encoding) is cuttable


def test_the_limit_of_the_csv_module_is_left_alone(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    (tmp_path / "a.csv").write_bytes(b"a\n" + b"x" * 200_000 + b"\n")
    assert read("csv", tmp_path / "a.csv").types == ["FieldTooLarge"]
    assert csv.field_size_limit() == before


def test_wide_tables(tmp_path: Path) -> None:
    for width in (1, 199, 201, 4096):
        names = [f"c{i}" for i in range(width)]
        text = ",".join(names) + "\n" + ",".join(map(str, range(width))) + "\n"
        assert rows(tmp_path, text.encode()) == [dict(zip(names, map(str, range(width)), strict=True))]


def test_hostile_names_are_only_names(tmp_path: Path) -> None:
    name = "x'): __import__('os').abort() #"
    assert rows(tmp_path, f'"{name}",__class__\n1,2\n'.encode()) == [{name: "1", "__class__": "2"}]
