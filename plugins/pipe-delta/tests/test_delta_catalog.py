"""Delta tables as data sets of projects."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pydantic import BaseModel

from pipe_core.project.catalog import Catalog, DatasetRecordError
from pipe_core.project.dates import DateWindow

SECOND = DateWindow("2025-01-02", "2025-01-02")


class Sale(BaseModel):
    day: date
    amount: int


def sales(folder: Path, **said: Any) -> Catalog:
    config = {"path": "sales.delta", "schema": Sale, "date_column": "day", "as": "records", **said}
    return Catalog({"sales": config}, folder=folder)


def rows(*days: int, amount: int = 1) -> list[Sale]:
    return [Sale(day=date(2025, 1, day), amount=amount) for day in days]


@pytest.mark.parametrize("partition_by", [[], ["day"]])
def test_a_window_is_replaced_in_one_entry_of_the_log(tmp_path: Path, partition_by: list[str]) -> None:
    data = sales(tmp_path, partition_by=partition_by)
    data.save("sales", rows(2), SECOND)
    data.save("sales", rows(1, 2, 2, 3))
    for number in (2, 3):
        data.save("sales", rows(2, amount=9), SECOND)
        found = [(row.day.day, row.amount) for row in data.load("sales")]
        assert sorted(found) == [(1, 1), (2, 9), (3, 1)]
        assert DeltaTable(tmp_path / "sales.delta").version() == number
    assert data.load("sales", SECOND) == rows(2, amount=9)
    data.save("sales", [], SECOND)
    assert sorted(row.day.day for row in data.load("sales")) == [1, 3]
    with pytest.raises(DatasetRecordError, match="'day'"):
        data.save("sales", rows(3), SECOND)
    assert DeltaTable(tmp_path / "sales.delta").metadata().partition_columns == partition_by
    assert os.listdir(tmp_path) == ["sales.delta"]


def test_a_staged_window_is_settled_once_by_a_later_catalog(tmp_path: Path) -> None:
    sales(tmp_path).save("sales", rows(1, 2, 3))
    with_data = sales(tmp_path)
    staged = with_data.stage("sales", rows(2, amount=9), SECOND)
    assert staged.delivery == "exactly-once"
    with_data.close()
    sales(tmp_path).save("sales", rows(4), DateWindow("2025-01-04", "2025-01-04"))  # does not sweep away what is staged
    for _ in range(2):
        sales(tmp_path).settle("sales", staged.state)
        found = [(row.day.day, row.amount) for row in sales(tmp_path).load("sales")]
        assert sorted(found) == [(1, 1), (2, 9), (3, 1), (4, 1)]
    assert os.listdir(tmp_path) == ["sales.delta"]


def test_a_staged_value_can_be_abandoned(tmp_path: Path) -> None:
    data = sales(tmp_path, mode="append")
    data.save("sales", rows(1))
    staged = data.stage("sales", rows(2))
    data.close()
    sales(tmp_path, mode="append").abandon("sales", staged.state)
    assert data.load("sales") == rows(1)
    assert os.listdir(tmp_path) == ["sales.delta"]


def test_tables_come_and_go_as_they_are(tmp_path: Path) -> None:
    data = Catalog({"t": {"path": "t.delta", "date_column": "day"}}, folder=tmp_path)
    table = pa.table({"day": [date(2025, 1, 1), date(2025, 1, 2)], "n": pa.array([1, 2], pa.int32())})
    data.save("t", table)
    assert data.load("t").equals(table)
    assert data.load("t", SECOND).equals(table.slice(1))
    data.save("t", table.slice(1).set_column(1, "n", pa.array([7], pa.int32())), SECOND)
    assert data.load("t").column("n").to_pylist() == [1, 7]
    modes = {mode: Catalog({"t": {"path": "t.delta", "mode": mode}}, folder=tmp_path) for mode in ("append", "ignore")}
    modes["append"].save("t", table)
    modes["ignore"].save("t", table)
    assert data.load("t").num_rows == 4
