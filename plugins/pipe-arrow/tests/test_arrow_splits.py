"""Workers read row groups by themselves, and all of them together read everything once."""

from __future__ import annotations

from pathlib import Path

import cloudpickle
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from arrow_files import ARROW, read, read_splits, splits, write

from pipe_arrow import table_source
from pipe_arrow.group_cutter import GroupCutter, weight_of
from pipe_core import OptionsError, SourceError, get_format

RECORDS = [{"id": i, "text": f"record {i} " * (i % 5)} for i in range(1000)]


@pytest.mark.parametrize("size", [1, 500, 5_000, 1 << 30])
@pytest.mark.parametrize("format", ARROW)
def test_splits_meet(tmp_path: Path, format: str, size: int) -> None:
    write(format, tmp_path / "a", RECORDS, row_group_size=64)
    assert read_splits(format, tmp_path / "a", size).records == RECORDS


@pytest.mark.parametrize("format", ["parquet", "feather"])
def test_small_row_groups_are_joined_up_to_the_size(tmp_path: Path, format: str) -> None:
    write(format, tmp_path / "a", RECORDS, row_group_size=10)
    assert len(splits(format, tmp_path / "a", 1)) == 100
    assert len(splits(format, tmp_path / "a", 1 << 30)) == 1
    some = splits(format, tmp_path / "a", 4_000)
    assert 1 < len(some) < 100
    assert max(split.bytes for split in some) <= 4_000


def test_the_bytes_of_a_split_are_those_of_its_columns(tmp_path: Path) -> None:
    write("parquet", tmp_path / "a", RECORDS)
    group = pq.ParquetFile(tmp_path / "a").metadata.row_group(0)
    (whole,) = splits("parquet", tmp_path / "a", 1 << 30)
    assert whole.bytes == sum(group.column(i).total_compressed_size for i in range(2))
    (one,) = splits("parquet", tmp_path / "a", 1 << 30, columns=["id"])
    assert one.bytes == group.column(0).total_compressed_size


def test_a_large_row_group_is_cut_into_ranges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("parquet", tmp_path / "a", RECORDS)
    monkeypatch.setattr(table_source, "_MOST_ROWS", 300)
    found = splits("parquet", tmp_path / "a", 1 << 30)
    assert [(split.begin, split.end) for split in found] == [(0, 250), (250, 500), (500, 750), (750, 1000)]
    assert read_splits("parquet", tmp_path / "a", 1 << 30).records == RECORDS
    source = get_format("parquet").source(tmp_path / "a")
    source.open()
    assert source.size == sum(split.bytes for split in found)


@pytest.mark.parametrize("format", ARROW)
def test_a_split_is_small_whatever_the_file(tmp_path: Path, format: str) -> None:
    wide = [{f"column {i}": i for i in range(2_000)}]
    write(format, tmp_path / "a", wide)
    (split,) = splits(format, tmp_path / "a", 1 << 20)
    assert len(cloudpickle.dumps(split)) < 1_000
    assert read_splits(format, tmp_path / "a", 1).records == wide


@pytest.mark.parametrize("format", ARROW)
def test_columns_are_chosen_and_ordered(tmp_path: Path, format: str) -> None:
    write(format, tmp_path / "a", [{"a": 1, "b": {"c": 2}, "d.e": 3}])
    for columns, expected in (
        (["d.e", "a"], {"d.e": 3, "a": 1}),
        (["b"], {"b": {"c": 2}}),
    ):
        found = read(format, tmp_path / "a", columns=columns).records
        assert found == [expected]
        assert list(found[0]) == columns
    with pytest.raises(OptionsError, match=r"no column 'x'.*'a', 'b', 'd\.e'"):
        read(format, tmp_path / "a", columns=["x"])


@pytest.mark.parametrize("format", ARROW)
def test_a_file_without_records_has_its_columns(tmp_path: Path, format: str) -> None:
    write(format, tmp_path / "a", [], fields=["id", "name"])
    source = get_format(format).source(tmp_path / "a")
    source.open()
    assert source.fields == ("id", "name")
    assert read(format, tmp_path / "a").records == []
    assert read_splits(format, tmp_path / "a", 10).records == []


def test_the_first_version_of_feather_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.feather").write_bytes(b"FEA1" + bytes(100))
    assert "version 1" in str(read("feather", tmp_path / "a.feather").error)


def test_a_file_of_another_format_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("id,name\n1,x\n")
    for format in ARROW:
        error = read(format, tmp_path / "a").error
        assert isinstance(error, SourceError)
        assert error.source == str(tmp_path / "a")


# --- row groups ---


def test_row_groups_do_not_depend_on_how_records_arrive() -> None:
    table = pa.table({"x": list(range(100)), "text": ["a" * (i % 17) for i in range(100)]})
    found = set()
    for step in (1, 3, 10, 100):
        cutter = GroupCutter(30, weight=300)
        groups = [group for start in range(0, 100, step) for group in cutter.add(table.slice(start, step))]
        lengths = [sum(map(len, group)) for group in groups]
        found.add((tuple(lengths), cutter.waiting))
    assert len(found) == 1
    ((lengths, waiting),) = found
    assert sum(lengths) + waiting == 100
    assert max(lengths) < 30


def test_a_group_of_heavy_records_is_closed_early() -> None:
    table = pa.table({"text": ["x" * 1000] * 10})
    groups = list(GroupCutter(1000, weight=2500).add(table))
    assert [sum(part.num_rows for part in group) for group in groups] == [3, 3, 3]


def test_weight_is_that_of_the_values_not_of_their_types() -> None:
    assert weight_of(pa.table({"x": pa.array([1, 2], pa.int64())})) == weight_of(pa.table({"x": [1.0, 2.0]}))
    assert weight_of(pa.table({"x": [None, None]})) == 0
    maps = pa.array([[("key", 1)], None, []], pa.map_(pa.string(), pa.int64()))
    assert weight_of(pa.table({"x": maps})) == weight_of(pa.table({"x": ["key"], "y": [1]}))
    nested = pa.table({"x": [[{"a": "text", "b": 1}], None, []]})
    assert weight_of(nested.slice(1)) < weight_of(nested)
