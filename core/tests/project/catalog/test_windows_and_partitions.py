"""Saving a window replaces exactly its records; partitions are folders that a later process can finish."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from pipe_core.kernel.errors import PipeError, TargetExistsError
from pipe_core.project.catalog import Catalog, DatasetError, DatasetNotFoundError, DatasetRecordError
from pipe_core.project.dates import DateWindow

SECOND = DateWindow("2025-01-02", "2025-01-02")


class Sale(BaseModel):
    day: date
    region: str | None
    amount: int


def sales(folder: Path, **said: Any) -> Catalog:
    return Catalog({"sales": {"path": "sales.csv/", **said}}, folder=folder)


def rows(*days: int, region: str | None = "north", amount: int = 1) -> list[dict[str, Any]]:
    return [{"day": f"2025-01-{day:02}", "region": region, "amount": amount} for day in days]


def found(catalog: Catalog, window: DateWindow | None = None) -> list[tuple[int, int]]:
    """The days and amounts."""
    loaded = [row if isinstance(row, dict) else row.model_dump() for row in catalog.load("sales", window)]
    return [(int(str(row["day"])[-2:]), int(row["amount"])) for row in loaded]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- windows ---


@pytest.mark.parametrize("schema", [None, Sale])
@pytest.mark.parametrize("path", ["sales.csv", "sales.jsonl.gz", "sales.json", "sales.jsonl/"])
def test_a_window_is_replaced_in_its_place(path: str, schema: Any, tmp_path: Path) -> None:
    data = sales(tmp_path, path=path, date_column="day", **({"schema": schema} if schema else {}))
    data.save("sales", rows(2), SECOND)
    data.save("sales", rows(1, 2, 2, 3))
    for _ in range(2):  # again gives the same
        data.save("sales", iter(rows(2, amount=9)), SECOND)
        assert found(data) == [(1, 1), (2, 9), (3, 1)]
    assert found(data, SECOND) == [(2, 9)]
    data.save("sales", [], SECOND)
    assert found(data) == [(1, 1), (3, 1)]
    assert found(data, SECOND) == []
    data.save("sales", rows(5))
    assert found(data) == [(5, 1)]


def test_a_record_outside_of_the_window_is_refused(tmp_path: Path) -> None:
    data = sales(tmp_path, path="sales.csv", date_column="day")
    data.save("sales", rows(1))
    with pytest.raises(DatasetRecordError, match=r"position 1 has '2025-01-03' in 'day'.*2025-01-02") as caught:
        data.save("sales", rows(2, 3), SECOND)
    assert caught.value.position == 1
    with pytest.raises(DatasetError, match="date_column 'day' is not in the records, which have: amount"):
        data.save("sales", [{"amount": 1}], SECOND)
    assert found(data) == [(1, 1)]


def test_times_and_what_is_no_date(tmp_path: Path) -> None:
    data = sales(tmp_path, path="sales.jsonl", date_column="at")
    times = ["2025-01-01T23:59:59", None, "2025-01-02T00:00:00", "2025-01-02T23:59:59.5", "2025-01-03T00:00:00", "?"]
    data.save("sales", [{"at": one} for one in times])
    assert [row["at"] for row in data.load("sales", SECOND)] == times[2:4]
    data.save("sales", [], SECOND)
    assert [row["at"] for row in data.load("sales")] == [times[0], None, "?", times[4]]


def test_what_is_no_date_is_in_no_window_and_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "sales.csv").write_text("day,region,amount\n2025-01-01,n,1\n2025-01-02,n,2\n2025-01-0x,n,3\n,n,4\n")
    plain = sales(tmp_path, path="sales.csv", date_column="day")
    assert found(plain, SECOND) == [(2, 2)]
    (told,) = caplog.messages
    assert told.endswith(
        "'day' is no date in 1 of the records, which are in no window (the first: record 2 has '2025-01-0x')"
    )

    checked = sales(tmp_path, path="sales.csv", date_column="day", schema=Sale)
    with pytest.raises(DatasetRecordError, match=r"position 2 is no Sale: the field 'day' is '2025-01-0x'") as caught:
        checked.load("sales", SECOND)
    assert (caught.value.position, caught.value.field) == (2, "day")


class Dotted(BaseModel):
    day: date
    amount: int

    @field_validator("day", mode="before")
    @classmethod
    def _turned(cls, value: Any) -> Any:
        return "-".join(reversed(value.split("."))) if isinstance(value, str) and "." in value else value


def test_dates_that_only_the_schema_can_read_are_in_their_window(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("day,amount\n01.01.2025,1\n02.01.2025,2\n2025-01-02,3\n")
    data = sales(tmp_path, path="sales.csv", date_column="day", schema=Dotted)
    assert found(data, SECOND) == [(2, 2), (2, 3)]


def test_positions_count_what_is_in_no_window(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("day,region,amount\n2025-01-01,n,1\n2025-01-02,n,2\n2025-01-02,n,many\n")
    with pytest.raises(DatasetRecordError, match="position 2 is no Sale: the field 'amount' is 'many'"):
        sales(tmp_path, path="sales.csv", date_column="day", schema=Sale).load("sales", SECOND)


def test_a_window_without_a_column_of_dates_is_all(tmp_path: Path) -> None:
    data = sales(tmp_path, path="sales.csv")
    data.save("sales", rows(1, 2, 3))
    assert len(found(data, SECOND)) == 3
    data.save("sales", rows(7), SECOND)
    assert found(data) == [(7, 1)]


def test_appending_replaces_no_window(tmp_path: Path) -> None:
    data = sales(tmp_path, path="sales.csv", date_column="day", mode="append")
    data.save("sales", rows(2))
    data.save("sales", rows(2), SECOND)
    assert found(data) == [(2, 1), (2, 1)]


# --- partitions ---


@pytest.mark.parametrize("path", ["sales.csv", "sales.jsonl/"])
def test_partitions_are_folders_and_come_back_with_their_columns(path: str, tmp_path: Path) -> None:
    data = sales(tmp_path, path=path, partition_by=["day", "region"], schema=Sale)
    days, regions = (1, 2), ("a/b", None, "ä")
    values = [Sale(day=date(2025, 1, day), region=region, amount=day) for day in days for region in regions]
    data.save("sales", values)
    assert sorted(data.load("sales"), key=repr) == sorted(values, key=repr)
    name = path.strip("/")
    ending = name.partition(".")[2]
    assert files(tmp_path)[:2] == [
        f"{name}/day=2025-01-01/region=%C3%A4/part-00000.{ending}",
        f"{name}/day=2025-01-01/region=__HIVE_DEFAULT_PARTITION__/part-00000.{ending}",
    ]
    assert data.exists("sales")
    data.save("sales", values[:1])
    assert data.load("sales") == values[:1]
    assert len(files(tmp_path)) == 1
    data.save("sales", [])
    assert data.load("sales") == []
    assert not data.exists("sales")


def test_a_window_replaces_the_partitions_of_its_days(tmp_path: Path) -> None:
    data = sales(tmp_path, partition_by="day", date_column="day")
    data.save("sales", rows(1, 2, 3))
    others = [tmp_path / f"sales.csv/day=2025-01-{day}/part-00000.csv" for day in ("01", "03")]
    before = [path.stat().st_ino for path in others]
    data.save("sales", rows(2, 2, amount=9), SECOND)
    assert found(data) == [(1, 1), (2, 9), (2, 9), (3, 1)]
    assert found(data, SECOND) == [(2, 9), (2, 9)]
    data.save("sales", [], SECOND)
    assert found(data) == [(1, 1), (3, 1)]
    assert [path.stat().st_ino for path in others] == before, "another partition was written again"


def test_a_window_of_partitions_by_something_else(tmp_path: Path) -> None:
    data = sales(tmp_path, partition_by="region", date_column="day")
    data.save("sales", rows(1, 2, 3) + rows(2, 4, region="south") + rows(2, region="west"))
    data.save("sales", rows(2, amount=9) + rows(2, amount=8, region="east"), SECOND)
    assert sorted(found(data)) == [(1, 1), (2, 8), (2, 9), (3, 1), (4, 1)]
    assert [name.split("/")[1] for name in files(tmp_path)] == ["region=east", "region=north", "region=south"]


def test_modes_of_partitions(tmp_path: Path) -> None:
    first = sales(tmp_path, partition_by="day", mode="append")
    first.save("sales", rows(1))
    first.save("sales", rows(1, 2))
    assert found(first) == [(1, 1), (1, 1), (2, 1)]
    with pytest.raises(TargetExistsError):
        sales(tmp_path, partition_by="day", mode="error").save("sales", rows(3))
    sales(tmp_path, partition_by="day", mode="ignore").save("sales", rows(3))
    assert len(found(first)) == 3


def test_a_later_process_finishes_partitions(tmp_path: Path) -> None:
    data = sales(tmp_path, partition_by="day")
    data.save("sales", rows(1, 2))
    state = json.loads(json.dumps((staged := data.stage("sales", rows(2, 3, amount=7))).state))
    staged.close()
    assert found(data) == [(1, 1), (2, 1)]
    half = {**state, "parts": state["parts"][:1], "removed": []}
    sales(tmp_path, partition_by="day").settle("sales", half)  # as if it had been killed in the middle
    for _ in range(2):
        sales(tmp_path, partition_by="day").settle("sales", state)
        assert found(data) == [(2, 7), (3, 7)]
    data.stage("sales", rows(1)).abort()
    assert found(data) == [(2, 7), (3, 7)]
    assert all("/." not in name for name in files(tmp_path))


def test_partitions_that_cannot_be_brought_to_their_places_tell_whose_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sales(tmp_path, partition_by="day")
    data.save("sales", rows(1, 2))
    there = str(tmp_path / "sales.csv" / "day=2025-01-01")
    unlink = os.unlink

    def refusing(path: Any, **how: Any) -> None:
        if str(path).startswith(there):
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, **how)

    staged = data.stage("sales", rows(2))
    monkeypatch.setattr(os, "unlink", refusing)
    refused = r"^The data set 'sales': what was saved cannot be brought to its place: .*Permission denied"
    with pytest.raises(DatasetError, match=refused) as caught:
        data.save("sales", rows(2, amount=7))
    assert caught.value.dataset == "sales"
    with pytest.raises(DatasetError, match=r"^The data set 'sales': "):
        staged.commit()
    monkeypatch.undo()
    data.save("sales", rows(2, amount=8))
    assert found(data) == [(2, 8)]

    (tmp_path / "sales.csv" / "day=2025-01-03").write_text("in the way")
    with pytest.raises(DatasetError, match=r"^The data set 'sales': its folder"):
        sales(tmp_path, partition_by=["day", "region"], mode="append").save("sales", rows(3))


def test_many_partitions_do_not_keep_many_files_open(tmp_path: Path) -> None:
    data = sales(tmp_path, partition_by="n")
    data.save("sales", [{"n": n, "x": n} for n in range(80)])
    assert sorted(int(row["x"]) for row in data.load("sales")) == list(range(80))


def test_what_cannot_be_a_partition(tmp_path: Path) -> None:
    data = sales(tmp_path, partition_by="day")
    with pytest.raises(DatasetNotFoundError, match=r"sales\.csv"):
        data.load("sales")
    with pytest.raises(DatasetRecordError, match=r"position 1 has 1\.5 in 'day'"):
        data.save("sales", [{"day": 1}, {"day": 1.5}])
    with pytest.raises(DatasetError, match="partitioned by 'day', which is not in the records: amount"):
        data.save("sales", [{"amount": 1}])
    with pytest.raises(DatasetError, match="partition_by makes folders"):
        sales(tmp_path, partition_by="day", path="sales.json").save("sales", rows(1))
    with pytest.raises(DatasetError, match="not compressed"):
        sales(tmp_path, partition_by="day", path="sales.csv.gz").save("sales", rows(1))
    data.save("sales", rows(1))
    (tmp_path / "sales.csv/day=2025-01-01/notes.txt").write_text("precious")
    with pytest.raises(PipeError, match=r"notes\.txt"):
        data.save("sales", rows(2))
    assert found(data) == [(1, 1)]
