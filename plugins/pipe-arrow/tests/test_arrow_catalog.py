"""Data sets of files of columns: tables go in and come out as tables, in two phases, by windows and in partitions."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import BaseModel, PositiveInt, field_validator

from pipe_core.project.catalog import Catalog, DatasetError, DatasetRecordError
from pipe_core.project.dates import DateWindow

SECOND = DateWindow("2025-01-02", "2025-01-02")
DAYS = [date(2025, 1, day) for day in (1, 2, 2, 3)]
TABLE = pa.table(
    {
        "id": pa.array([1, 2, 3, 4], pa.int32()),
        "day": pa.array(DAYS, pa.date32()),
        "name": pa.array(["a", None, "ü", ""]),
        "price": pa.array([Decimal("1.50"), None, Decimal("0.01"), Decimal("2.00")], pa.decimal128(10, 2)),
    }
)


class Row(BaseModel):
    id: int
    day: date
    name: str | None
    price: Decimal | None


class Capsule:
    """What another library gives: nothing but the interchange."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)


def one(folder: Path, path: str, **said: Any) -> Catalog:
    return Catalog({"data": {"path": path, **said}}, folder=folder)


@pytest.mark.parametrize("path", ["a.parquet", "a.feather", "a.parquet/", "a.feather/"])
@pytest.mark.parametrize("value", [TABLE, Capsule(TABLE), TABLE.to_batches()[0]], ids=["table", "stream", "batch"])
def test_a_table_comes_back_as_it_is(path: str, value: Any, tmp_path: Path) -> None:
    data = one(tmp_path, path)
    data.save("data", value)
    assert data.load("data").equals(TABLE)
    data.save("data", TABLE.slice(0, 0))
    assert data.load("data").schema == TABLE.schema


def test_orc_and_avro(tmp_path: Path) -> None:
    plain = TABLE.select(["id", "day", "name"])
    for path in ("a.orc", "a.avro", "b.avro/"):
        data = one(tmp_path, path)
        data.save("data", plain)
        loaded = data.load("data")
        assert isinstance(loaded, pa.Table)
        assert loaded.to_pylist() == plain.to_pylist()


def test_records_and_models_go_to_columns_and_back(tmp_path: Path) -> None:
    data = one(tmp_path, "a.parquet", schema=Row, **{"as": "records"})
    rows = [Row(**row) for row in TABLE.to_pylist()]
    for value in (rows, TABLE, iter(TABLE.to_pylist())):
        data.save("data", value)
        assert data.load("data") == rows


def test_a_table_goes_to_any_format(tmp_path: Path) -> None:
    for path, expected in (("a.csv", ["1", "2", "3", "4"]), ("a.jsonl", [1, 2, 3, 4]), ("a.json", [1, 2, 3, 4])):
        data = one(tmp_path, path, **{"as": "arrow"})
        data.save("data", Capsule(TABLE))
        assert data.load("data").column("id").to_pylist() == expected


@pytest.mark.skipif(importlib.util.find_spec("pandas") is not None, reason="pandas is installed")
def test_pandas_that_is_missing_is_named(tmp_path: Path) -> None:
    data = one(tmp_path, "a.parquet", **{"as": "pandas"})
    data.save("data", TABLE)
    with pytest.raises(ImportError, match=r"The data set 'data'.*pip install pandas"):
        data.load("data")


def test_a_row_that_is_not_as_the_schema_says(tmp_path: Path) -> None:
    bad = TABLE.set_column(0, "id", pa.array(["1", "2", "x", "4"]))
    data = one(tmp_path, "a.parquet", schema=Row)
    with pytest.raises(DatasetRecordError, match="position 2 is no Row: the field 'id' is 'x'"):
        data.save("data", bad)
    assert list(tmp_path.iterdir()) == []
    one(tmp_path, "a.parquet").save("data", bad)
    with pytest.raises(DatasetRecordError, match="position 2 is no Row: the field 'id' is 'x'"):
        data.load("data")


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(OSError, match="'a' twice"):
        one(tmp_path, "a.parquet").save("data", twice)


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.string()])
@pytest.mark.parametrize("path", ["a.parquet", "a.feather/"])
def test_a_window_is_replaced_in_its_place(path: str, kind: pa.DataType, tmp_path: Path) -> None:
    table = TABLE.set_column(1, "day", TABLE.column("day").cast(pa.timestamp("us")).cast(kind))
    data = one(tmp_path, path, date_column="day")
    data.save("data", table)
    assert data.load("data", SECOND).column("id").to_pylist() == [2, 3]
    new = table.slice(1, 1).set_column(0, "id", pa.array([9], pa.int32()))
    for _ in range(2):
        data.save("data", new, SECOND)
        assert data.load("data").column("id").to_pylist() == [1, 9, 4]
    assert data.load("data").schema.field("day").type == kind
    with pytest.raises(DatasetRecordError, match=r"position 0 has .* in 'day'"):
        data.save("data", table.slice(3), SECOND)


def test_undated_rows_stay(tmp_path: Path) -> None:
    moments = [None, datetime(2025, 1, 2, 12), datetime(2025, 1, 3)]
    data = one(tmp_path, "a.parquet", date_column="at")
    data.save("data", pa.table({"at": pa.array(moments, pa.timestamp("us"))}))
    data.save("data", [], SECOND)
    assert data.load("data").column("at").to_pylist() == [None, moments[2]]


class Dotted(BaseModel):
    id: int
    day: date

    @field_validator("day", mode="before")
    @classmethod
    def _turned(cls, value: Any) -> Any:
        return "-".join(reversed(value.split("."))) if isinstance(value, str) and "." in value else value


@pytest.mark.parametrize("form", ["arrow", "pandas", "records"])
def test_what_is_no_date_is_told_whatever_it_is_loaded_as(
    form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if form == "pandas":
        pytest.importorskip("pandas")
    days = ["2025-01-01", "2025-01-02", "02.01.2025", "2025-01-0x", "", None]
    one(tmp_path, "a.parquet").save("data", pa.table({"id": list(range(6)), "day": days}))

    def ids(schema: type | None) -> list[int]:
        said = {} if schema is None else {"schema": schema}
        data = one(tmp_path, "a.parquet", date_column="day", **{"as": form}, **said)
        found = data.load("data", SECOND)
        if form == "arrow":
            return found.column("id").to_pylist()
        return found["id"].tolist() if form == "pandas" else [dict(row)["id"] for row in found]

    assert ids(None) == [1]
    (told,) = caplog.messages
    assert "'day' is no date in 2 of the records, which are in no window (the first: record 2 has '02.01" in told
    with pytest.raises(DatasetRecordError, match=r"position 3 is no Dotted: the field 'day' is '2025-01-0x'") as caught:
        ids(Dotted)
    assert (caught.value.position, caught.value.field) == (3, "day")

    one(tmp_path, "a.parquet").save("data", pa.table({"id": [1, 2, 3, 4], "day": ["2025-01-09", *days[1:3], None]}))
    caplog.clear()
    assert ids(Dotted) == [2, 3]
    assert not caplog.messages


@pytest.mark.parametrize("form", ["arrow", "records"])
def test_a_partition_whose_day_is_no_date_is_told(form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = one(tmp_path, "a.parquet", partition_by=["day"], date_column="day", **{"as": form})
    data.save("data", pa.table({"id": [1, 2], "day": ["2025-01-02", "soon"]}))
    assert len(data.load("data", SECOND)) == 1
    assert "'day' is no date in 1 of the records" in caplog.text
    read = one(tmp_path, "a.parquet", partition_by=["day"], date_column="day", schema=Dotted, **{"as": form})
    with pytest.raises(DatasetRecordError, match="'soon'"):
        read.load("data", SECOND)


def test_positions_count_rows_that_are_in_no_window(tmp_path: Path) -> None:
    one(tmp_path, "a.parquet").save("data", pa.table({"id": [1, 2, -1], "day": DAYS[:2] + DAYS[1:2]}))

    class Positive(BaseModel):
        id: PositiveInt
        day: date

    data = one(tmp_path, "a.parquet", date_column="day", schema=Positive, **{"as": "arrow"})
    with pytest.raises(DatasetRecordError, match="position 2 is no Positive"):
        data.load("data", SECOND)


def test_partitions(tmp_path: Path) -> None:
    data = one(tmp_path, "a.parquet", partition_by=["day"], date_column="day", schema=Row, **{"as": "arrow"})
    data.save("data", TABLE)
    assert sorted(os.listdir(tmp_path / "a.parquet")) == [f"day=2025-01-0{day}" for day in (1, 2, 3)]
    assert data.load("data").select(TABLE.schema.names).equals(TABLE)
    data.save("data", TABLE.slice(1, 1), SECOND)
    assert data.load("data").column("id").to_pylist() == [1, 2, 4]
    assert data.load("data", SECOND).column("id").to_pylist() == [2]
    as_records = one(tmp_path, "a.parquet", partition_by=["day"], schema=Row, **{"as": "records"})
    assert [row.day for row in as_records.load("data")] == [DAYS[0], DAYS[1], DAYS[3]]


def test_a_partition_of_other_columns_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="partitioned by 'week'"):
        one(tmp_path, "a.parquet", partition_by=["week"]).save("data", TABLE)


@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed")
@pytest.mark.parametrize("path", ["a.parquet", "a.orc", "a.avro", "a.parquet/"])
def test_a_later_process_commits(path: str, tmp_path: Path) -> None:
    """The one that staged is killed."""
    code = f"""
import json, os, signal
import pyarrow as pa
from pipe_core.project.catalog import Catalog
data = Catalog({{"data": {{"path": {path!r}}}}}, folder={str(tmp_path)!r})
staged = data.stage("data", pa.table({{"n": [1, 2, 3]}}))
print(json.dumps(staged.state), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / path.strip("/")).exists()
    data = one(tmp_path, path)
    for _ in range(2):
        data.settle("data", json.loads(done.stdout))
        assert data.load("data").column("n").to_pylist() == [1, 2, 3]
    assert os.listdir(tmp_path) == [path.strip("/")]


def test_what_comes_into_a_window_takes_the_types_that_are_there(tmp_path: Path) -> None:
    data = one(tmp_path, "a.parquet", date_column="day")
    data.save("data", TABLE)
    other = pa.table(
        {
            "id": pa.array([9], pa.int64()),
            "day": pa.array([DAYS[1]], pa.date64()),
            "name": pa.array(["x"], getattr(pa, "string_view", pa.large_string)()),
            "price": pa.array([Decimal("3.5")], pa.decimal128(3, 1)),
        }
    )
    data.save("data", other, SECOND)
    loaded = data.load("data")
    assert loaded.column("id").to_pylist() == [1, 9, 4]
    assert loaded.schema.types[:3] == TABLE.schema.types[:3]
    assert loaded.column("price").to_pylist()[1] == Decimal("3.5")


def test_what_does_not_fit_the_types_that_are_there_is_refused(tmp_path: Path) -> None:
    data = one(tmp_path, "a.parquet", date_column="day")
    data.save("data", TABLE)
    before = (tmp_path / "a.parquet").read_bytes()
    for wrong in (pa.array([2**40]), pa.array(["x"])):
        with pytest.raises(OSError, match="the column 'id' is"):
            data.save("data", TABLE.slice(1, 1).set_column(0, "id", wrong), SECOND)
    assert (tmp_path / "a.parquet").read_bytes() == before
