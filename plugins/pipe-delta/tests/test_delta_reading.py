"""Reading tables: versions, columns, partitions and windows, also of tables that other programs have written."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake

from pipe_core import OptionsError, Pipe, SourceError, get_format
from pipe_delta.source import _MOST_ROWS

START = dt.datetime(2025, 1, 1, 22)


def records(path: Path, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    Pipe((str(path), {"format": "delta", **options}), found).run()
    return found


def by_splits(path: Path, size: int, **options: Any) -> list[dict[str, Any]]:
    source = get_format("delta", **options).source(path)
    source.open()
    splits = source.splits(lambda: size)
    assert splits is not None
    found = [record for split in splits for batch in split.batches(1000) for record in batch.records]
    source.close()
    return found


def ids(path: Path, **options: Any) -> list[int]:
    return [record["id"] for record in records(path, **options)]


def test_versions_and_moments(tmp_path: Path) -> None:
    path = tmp_path / "t"
    for i in range(3):
        write_deltalake(path, pa.table({"id": [i]}), mode="append")
    assert (ids(path), ids(path, version=0), ids(path, version=1)) == ([0, 1, 2], [0], [0, 1])
    log = path / "_delta_log"
    for i in range(3):
        entry = log / f"{i:020}.json"
        lines = [json.loads(line) for line in entry.read_text().splitlines()]
        for line in lines:
            line.get("commitInfo", {})["timestamp"] = 1_700_000_000_000 + i * 60_000
        entry.write_text("\n".join(map(json.dumps, lines)))
        os.utime(entry, (1_700_000_000 + i * 60,) * 2)
    moment = dt.datetime.fromtimestamp(1_700_000_090, dt.UTC)
    assert ids(path, timestamp=moment) == ids(path, timestamp=moment.replace(tzinfo=None).isoformat()) == [0, 1]
    with pytest.raises(SourceError, match=r"no version 9. Its newest one is 2"):
        ids(path, version=9)
    with pytest.raises(OptionsError, match="give one of them"):
        get_format("delta", version=1, timestamp="2025-01-01")


def test_a_version_that_was_vacuumed_says_so(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "t", pa.table({"id": [1]}))
    write_deltalake(tmp_path / "t", pa.table({"id": [2]}), mode="overwrite")
    DeltaTable(tmp_path / "t").vacuum(0, dry_run=False, enforce_retention_duration=False)
    assert ids(tmp_path / "t") == [2]
    with pytest.raises(SourceError, match="vacuum"):
        ids(tmp_path / "t", version=0)


def test_columns_partitions_and_windows_of_a_table_of_another_program(tmp_path: Path) -> None:
    texts = ["a b/c%20", "x=y", None, "ü"]
    days = [dt.date(2025, 1, 1 + i % 3) for i in range(12)]
    table = pa.table(
        {
            "id": range(12),
            "shop": [texts[i % 4] for i in range(12)],
            "day": days,
            "at": [START + dt.timedelta(hours=i) for i in range(12)],
            "utc": [(START + dt.timedelta(hours=i)).replace(tzinfo=dt.UTC) for i in range(12)],
            "text": [day.isoformat() for day in days],
        }
    )
    path = tmp_path / "t"
    write_deltalake(path, table, partition_by=["shop", "day"])
    expected = {row["id"]: row for row in table.to_pylist()}
    assert {row["id"]: row for row in records(path)} == expected
    assert {row["id"]: row for row in by_splits(path, 1 << 20)} == expected
    assert records(path, columns=["text", "shop"], partitions={"shop": "x=y", "day": ["2025-01-02"]}) == [
        {"text": "2025-01-02", "shop": "x=y"}
    ]
    assert sorted(ids(path, partitions={"shop": None})) == [2, 6, 10]
    for column in ("day", "at", "utc", "text"):
        window = {"column": column, "start": "2025-01-02", "before": dt.date(2025, 1, 3)}
        inside = [i for i, row in expected.items() if "2025-01-02" <= str(row[column]) < "2025-01-03"]
        assert sorted(ids(path, window=window)) == inside != []
        assert [list(row) for row in records(path, window=window, columns=["id"])] == [["id"]] * len(inside)
    for options in ({"columns": ["x"]}, {"partitions": {"id": 1}}, {"window": {**window, "column": "x"}}):
        with pytest.raises(OptionsError, match="The Delta table"):
            ids(path, **options)


def test_old_files_get_the_columns_of_the_table(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write_deltalake(path, pa.table({"id": [1], "deep": [{"a": 1}]}))
    second = pa.table({"id": [2], "deep": [{"a": 1, "b": "x"}], "new": [decimal.Decimal("1.5")]})
    write_deltalake(path, second, mode="append", schema_mode="merge")
    assert records(path) == [
        {"id": 1, "deep": {"a": 1, "b": None}, "new": None},
        {"id": 2, "deep": {"a": 1, "b": "x"}, "new": decimal.Decimal("1.5")},
    ]
    assert records(path, columns=["new"])[0] == {"new": None}


def test_large_files_are_cut_and_small_ones_go_together(tmp_path: Path) -> None:
    count = 2 * _MOST_ROWS + 5
    sink = get_format("delta", part_size=count).sink(tmp_path / "t")
    sink.open("error")
    sink.write_table(pa.table({"id": range(count)}))
    sink.commit()
    sink.close()
    for i in range(5):
        write_deltalake(tmp_path / "t", pa.table({"id": [count + i]}), mode="append")
    source = get_format("delta").source(tmp_path / "t")
    source.open()
    splits = list(source.splits(lambda: 1 << 30) or ())
    assert len(splits) == 3 + 1
    assert source.size == sum(split.bytes for split in splits)
    found = [record["id"] for split in splits for batch in split.batches(5000) for record in batch.records]
    assert found == list(range(count + 5)) == source.read_table().column("id").to_pylist()


@pytest.mark.parametrize("other", [3.5, float("nan"), float("inf")])
def test_statistics_leave_out_no_record(tmp_path: Path, other: float) -> None:
    moments = [dt.datetime(2025, 1, 1, 0, 0, 0, 1500 + i) for i in range(4)]
    values: dict[str, list[Any]] = {
        "i": [-5, None, 2**60, 0],
        "f": [1.0, other, -0.0, None],
        "s": ["a", "é" * 70, "\U0010ffff" * 64, None],
        "t": ["é" * 70, "é" * 69 + "x", "é" * 64, "e"],
        "b": [True, False, None, True],
        "by": [b"x", None, b"", b"y"],
        "d": [dt.date(1, 1, 1), None, dt.date(9999, 12, 31), dt.date(2025, 1, 1)],
        "at": moments,
        "utc": [moment.replace(tzinfo=dt.UTC) for moment in moments],
        "dec": [decimal.Decimal("0.1"), decimal.Decimal("12345678901234567890.5"), None, decimal.Decimal("-1")],
        "none": [None] * 4,
        "deep": [{"x": i} for i in range(4)],
    }
    rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    Pipe(rows, str(tmp_path / "t.delta")).run()
    table = DeltaTable(tmp_path / "t.delta")
    whole, dataset = table.to_pyarrow_table(), table.to_pyarrow_dataset()
    for name, column in values.items():
        for value in (value for value in column if name != "deep" and value is not None and value == value):
            for compare in (pc.equal, pc.greater_equal, pc.less_equal):
                field = compare(pc.field(name), pa.scalar(value, whole.schema.field(name).type))
                assert dataset.to_table(filter=field).num_rows == whole.filter(field).num_rows > 0, (name, value)
    (facts,) = pa.table(table.get_add_actions()).to_pylist()
    assert facts["num_records"] == 4
    if other == 3.5:
        assert {name: count for name, count in facts["null_count"].items() if count} == {
            "i": 1, "f": 1, "s": 1, "b": 1, "d": 1, "dec": 1, "none": 4,
        }  # fmt: skip
        assert (facts["min"]["i"], facts["max"]["i"], facts["max"]["f"]) == (-5, 2**60, 3.5)
        assert (facts["max"]["dec"], facts["min"]["t"]) == (decimal.Decimal("12345678901234567890.5"), "e")
        assert facts["max"]["t"] == "é" * 63 + "ê"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"delta.columnMapping.mode": "name"}, "columnMapping"),
        ({"delta.enableChangeDataFeed": "true"}, None),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, settings: dict[str, str | None], words: str | None) -> None:
    write_deltalake(tmp_path / "t", pa.table({"id": [1]}))
    entry = next((tmp_path / "t" / "_delta_log").glob("*.json"))
    lines = [json.loads(line) for line in entry.read_text().splitlines()]
    for line in lines:
        if "metaData" in line:
            line["metaData"]["configuration"] = settings
        if "protocol" in line and words:
            line["protocol"] = {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": ["columnMapping"],
                "writerFeatures": ["columnMapping"],
            }
    entry.write_text("\n".join(map(json.dumps, lines)))
    if words is None:
        assert ids(tmp_path / "t") == [1]
        return
    with pytest.raises(SourceError, match=words):
        ids(tmp_path / "t")
