"""Wherever a file is cut, into blocks or into splits, the records are those of reading it as a whole."""

from __future__ import annotations

import csv
import io
import json
import time
from itertools import pairwise
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reading import make, read_chunks, read_splits

from pipe_core.formats import json_cursor, line_feed

SETTINGS = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

csv_texts = st.lists(
    st.sampled_from(["a", "bc", ",", ",", '"', '""', '"x"', "\n", "\n", "\r\n", "\r", "é€", "\u2028", " ", '5" pipe']),
    max_size=60,
).map("".join)
blocks = st.integers(3, 40)
sizes = st.integers(1, 50)


def model(text: str) -> list[list[str] | None]:
    """Every record of *text*, one by one, each read from its own beginning. None: an open quote, one line given up."""
    lines = list(io.StringIO(text, newline=""))
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += "\n"
    found: list[list[str] | None] = []
    i = 0
    while i < len(lines):
        reader = csv.reader([*lines[i:], "\x1f\n"])
        row = next(reader)
        is_open = i + reader.line_num > len(lines)
        if is_open or row:
            found.append(None if is_open else row)
        i += 1 if is_open else reader.line_num
    return found


@SETTINGS
@given(text=csv_texts, block=blocks, split=sizes)
def test_any_csv_is_read_as_the_csv_module_reads_it(tmp_path: Path, text: str, block: int, split: int) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes(b"x,y\n" + text.encode())
    expected = model(text)
    good = [dict(zip("xy", row, strict=True)) for row in expected if row and len(row) == 2]
    types = ["OpenQuote" if row is None else "RaggedRow" for row in expected if row is None or len(row) != 2]
    with mock.patch.object(line_feed, "BLOCK", block):
        whole = read_chunks(make("csv").source(path))
        assert (whole.records, whole.types) == (good, types)
        assert read_splits(make("csv").source(path), split) == whole


@SETTINGS
@given(
    rows=st.lists(st.lists(st.text(st.sampled_from('ab ,"\n\ré€\u2028;')), min_size=3, max_size=3), max_size=20),
    ending=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-be", "cp1252", "iso8859_15"]),
    block=blocks,
    split=sizes,
)
def test_well_formed_csv_is_read_as_dict_reader_reads_it(
    tmp_path: Path, rows: list[list[str]], ending: str, encoding: str, block: int, split: int
) -> None:
    path = tmp_path / "well.csv"
    with path.open("w", newline="", encoding=encoding, errors="replace") as file:
        csv.writer(file, lineterminator=ending, quoting=csv.QUOTE_ALL).writerows([["x", "y\n1", "é"], *rows])
    with path.open(newline="", encoding=encoding) as file:
        expected = list(csv.DictReader(file))
    source = make("csv", encoding=encoding)
    with mock.patch.object(line_feed, "BLOCK", block):
        whole = read_chunks(source.source(path))
        assert (whole.records, whole.rejected, whole.error) == (expected, {}, None)
        in_splits = read_splits(source.source(path), split)
    assert in_splits == (None if encoding.startswith(("utf-16", "utf-32")) else whole)


@SETTINGS
@given(text=csv_texts, limit=st.integers(4, 30), split=sizes)
def test_limits_do_not_depend_on_where_a_file_is_cut(tmp_path: Path, text: str, limit: int, split: int) -> None:
    path = tmp_path / "limits.csv"
    path.write_bytes(b"x,y\n" + text.encode())
    source = make("csv", max_record_bytes=limit)
    whole = read_chunks(source.source(path))
    assert read_splits(source.source(path), split) == whole
    with mock.patch.object(line_feed, "BLOCK", 5):
        assert read_chunks(source.source(path), chunk=1) == whole
    longest = max((len(line.encode()) for line in io.StringIO(text, newline="")), default=0)
    assert longest <= limit or "RecordTooLarge" in whole.types or "OpenQuote" in whole.types


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('a"\\{}[],: \u2028é\n')),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.sampled_from('k":\\{'), max_size=3), inner),
    max_leaves=8,
)
spaces = st.sampled_from(["", " ", "\t", "\r"])


@SETTINGS
@given(
    values=st.lists(json_values, max_size=12), ending=st.sampled_from(["\n", "\r\n", "\n\n"]), block=blocks, split=sizes
)
def test_json_lines_are_the_same_however_they_are_cut(
    tmp_path: Path, values: list[object], ending: str, block: int, split: int
) -> None:
    path = tmp_path / "any.jsonl"
    path.write_bytes(ending.join(json.dumps(value, ensure_ascii=False) for value in values).encode())
    with mock.patch.object(line_feed, "BLOCK", block):
        whole = read_chunks(make("jsonl").source(path))
        assert (whole.records, whole.rejected, whole.error) == (values, {}, None)
        assert read_splits(make("jsonl").source(path), split) == whole


@SETTINGS
@given(
    values=st.lists(json_values, max_size=12),
    space=spaces,
    block=blocks,
    names=st.lists(st.sampled_from("ab"), max_size=2),
)
def test_json_arrays_are_the_same_however_they_are_cut(
    tmp_path: Path, values: list[object], space: str, block: int, names: list[str]
) -> None:
    inner: object = values
    for name in reversed(names):
        inner = {"before": values, name: inner, "behind": "]}"}
    text = json.dumps(inner, ensure_ascii=False, separators=(f"{space},{space}", f"{space}:"))
    path = tmp_path / "any.json"
    path.write_bytes(f"{space}{text}{space}\n".encode())
    options = {"prefix": ".".join(names)} if names else {}
    with mock.patch.object(json_cursor, "BLOCK", block):
        whole = read_chunks(make("json", **options).source(path))
    assert (whole.records, whole.rejected, whole.error) == (values, {}, None)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_large_file_has_the_same_records_in_splits(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "large.csv"
    cells = ["plain", 'quote "', "two\nlines", "two\r\nlines", "zwölf €", "\u2028"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator=ending, quoting=csv.QUOTE_ALL)
        writer.writerow(["id", "text"])
        writer.writerows([i, cells[i % 6] * (i % 20)] for i in range(20_000))
    with path.open(newline="", encoding="utf-8") as file:
        expected = list(csv.DictReader(file))
    for split in (30_000, 100_001, 1 << 22):
        found = read_splits(make("csv").source(path), split, size=100)
        assert found is not None
        assert found.rejected == {}
        assert found.records == expected


def test_splits_begin_well_although_most_cells_hold_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "note", "size"])
        writer.writerows([i, f"first line\nand, perhaps, a second\n\nof {i}", i * 2] for i in range(5000))
    source = make("csv").source(path)
    source.open()
    splits = source.splits(lambda: 10_001)
    source.close()
    assert splits is not None
    extents = []
    for split in splits:
        assert not any(batch.rejected for batch in split.batches(100))
        extents.append(split.extent)
    assert all(one.end == other.begin for one, other in pairwise(extents))


def test_many_open_quotes_cost_no_more_than_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "hostile.csv"
    path.write_bytes(b"x,y\n" + b'x","\n' * 20_000 + b"1,2\n")  # each leaves a quote open, also inside the one before
    began = time.perf_counter()
    found = read_chunks(make("csv").source(path))
    assert found.types == ["OpenQuote"] * 20_000
    assert found.records == [{"x": "1", "y": "2"}]
    assert time.perf_counter() - began < 15  # it took minutes when every one was read to the end of the file
