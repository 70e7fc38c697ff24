"""Writing tables: what becomes of their columns, partitions and windows, and what is refused."""

from __future__ import annotations

import datetime as dt
import decimal
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pydantic import BaseModel

from pipe_core import OptionsError, Pipe, SinkError, TargetExistsError, get_format
from pipe_delta import transaction
from pipe_delta.data_files import _MOST_OPEN
from pipe_delta.sink import DeltaSink

DAY = dt.date(2025, 1, 1)
WINDOW = {"column": "day", "start": "2025-01-02", "before": "2025-01-03"}


class Sale(BaseModel):
    id: int
    day: dt.date


def sales(first: int, *days: int) -> list[dict[str, Any]]:
    return [{"id": first + i, "day": dt.date(2025, 1, day)} for i, day in enumerate(days)]


def write(path: Path, rows: list[Any], mode: Any = "error", schema: Any = None, **options: Any) -> list[dict[str, Any]]:
    """Write records; those that failed are returned."""
    bad: list[dict[str, Any]] = []
    Pipe(rows, (str(path), {"format": "delta", **options}), schema=schema, mode=mode, errors=bad).run()
    return bad


def read(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    Pipe((str(path), {"format": "delta"}), found).run()
    return found


def opened(path: Path, mode: Any, **options: Any) -> DeltaSink:
    sink: DeltaSink = get_format("delta", **options).sink(path)
    sink.open(mode)
    return sink


def commit(sink: DeltaSink, rows: list[dict[str, Any]]) -> None:
    sink.write_table(pa.Table.from_pylist(rows))
    sink.commit()
    sink.close()


# --- columns ---


def test_columns_have_the_types_that_hold_all_values(tmp_path: Path) -> None:
    naive, moment = dt.datetime(2025, 1, 1, 12), dt.datetime(2025, 1, 1, 12, tzinfo=dt.UTC)
    rows = [
        {"a": None, "n": 1, "d": decimal.Decimal("1.5"), "at": naive, "utc": moment, "deep": [{"x": None}], "no": None},
        {
            "a": "x",
            "n": 1.5,
            "d": decimal.Decimal("100.25"),
            "at": naive,
            "utc": moment,
            "deep": [{"x": 1}],
            "no": None,
        },
    ]
    assert write(tmp_path / "t", rows) == []
    assert read(tmp_path / "t") == rows
    bad = write(tmp_path / "t", [{"n": dt.time(1)}, {"n": 2**70}, {"n": "text"}, {"z": 1}], "append")
    assert [row["phase"] for row in bad] == ["encode"] * 4
    assert "no column 'z'" in bad[3]["errors"][0]["message"]
    assert write(tmp_path / "t", [{"n": 3, "no": "text"}], "append") == []
    assert read(tmp_path / "t")[2] == {**dict.fromkeys(rows[0]), "n": 3.0, "no": "text"}


def test_records_fit_the_types_of_a_table_of_another_program(tmp_path: Path) -> None:
    schema = pa.schema(
        [
            pa.field("small", pa.int16(), nullable=False),
            ("short", pa.float32()),
            ("price", pa.decimal128(6, 2)),
            ("tags", pa.map_(pa.string(), pa.int32())),
        ]
    )
    write_deltalake(tmp_path / "t", schema.empty_table())
    good = {"small": 7, "short": 0.1, "price": decimal.Decimal("1.5"), "tags": {"a": 1}}
    wrong = [{**good, "small": 1 << 20}, {**good, "price": decimal.Decimal("1.234")}, {**good, "small": None}]
    assert [row["phase"] for row in write(tmp_path / "t", [good, *wrong], "append")] == ["encode"] * 3
    (found,) = read(tmp_path / "t")
    assert {**found, "short": round(found["short"], 5)} == {**good, "short": 0.1}
    assert pa.schema(DeltaTable(tmp_path / "t").schema().to_arrow()).equals(schema)


def test_columns_change_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write(path, sales(1, 1), schema=Sale)

    class Sold(Sale):
        shop: str

    sold = [{"id": 2, "day": "2025-01-02", "shop": "Bern"}]
    with pytest.raises(SinkError, match=r"no column 'shop'.*schema_mode='merge'"):
        write(path, sold, "append", schema=Sold)
    write(path, sold, "append", schema=Sold, schema_mode="merge")
    assert [row["shop"] for row in read(path)] == [None, "Bern"]
    write(path, [{"other": 1}], "overwrite", schema_mode="overwrite")
    assert read(path) == [{"other": 1}]
    write(path, [{"other": 2, "more": "x"}], "overwrite", schema_mode="merge")
    assert read(path) == [{"other": 2, "more": "x"}]
    with pytest.raises(OptionsError, match="window"):
        get_format("delta", window=WINDOW, schema_mode="overwrite")


def test_tables_of_arrow_get_types_of_delta(tmp_path: Path) -> None:
    sink = opened(tmp_path / "t", "error")
    sink.write_table(
        pa.table(
            {
                "u": pa.array([1], pa.uint8()),
                "big": pa.array(["x"], pa.large_string()),
                "kind": pa.array(["a"]).dictionary_encode(),
                "ns": pa.array([1_000_000], pa.timestamp("ns", "Europe/Berlin")),
                "many": pa.array([[1]], pa.large_list(pa.int8())),
            }
        )
    )
    sink.commit()
    moment = dt.datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=dt.UTC)
    assert read(tmp_path / "t") == [{"u": 1, "big": "x", "kind": "a", "ns": moment, "many": [1]}]
    for table, words in (
        ({"u": [1 << 20]}, "not in range"),
        ({"u": pa.array([1], pa.duration("s"))}, "cast"),
        ({"z": [1]}, "no column 'z'"),
        ({"ns": pa.array([1], pa.timestamp("ns"))}, "lose data"),
    ):
        sink = opened(tmp_path / "t", "append")
        with pytest.raises(SinkError, match=words):
            sink.write_table(pa.table(table))
        sink.close()
    sink = opened(tmp_path / "new", "error")
    with pytest.raises(SinkError, match=r"'u' is duration\[s\], for which Delta has no type"):
        sink.write_table(pa.table({"u": pa.array([1], pa.duration("s"))}))
    sink.close()
    assert os.listdir(tmp_path) == ["t"]


def test_what_cannot_be_a_table_is_refused(tmp_path: Path) -> None:
    for columns, options, words in (
        ({"a": [1], "A": [2]}, {}, "one and the same"),
        ({"a": [1]}, {"partition_by": ["b"]}, "no such field"),
        ({"a": [1]}, {"partition_by": ["a"]}, "nothing is left"),
        ({"a": [dt.time(1)]}, {"types": {"a": "time64[us]"}}, "cannot be a Delta table"),
    ):
        sink = opened(tmp_path / "t", "error", **options)
        sink.write_table(pa.table(columns))
        with pytest.raises(SinkError, match=words):
            sink.commit()
        sink.close()
    assert os.listdir(tmp_path) == []
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "notes.txt").write_text("mine")
    with pytest.raises(SinkError, match="something else in it"):
        opened(tmp_path / "t", "overwrite")


def test_tables_that_ask_for_more_are_refused(tmp_path: Path) -> None:
    table = pa.table({"id": [1]})
    write_deltalake(tmp_path / "checked", table)
    DeltaTable(tmp_path / "checked").alter.add_constraint({"positive": "id > 0"})
    write_deltalake(tmp_path / "fed", table, configuration={"delta.enableChangeDataFeed": "true"})
    write_deltalake(tmp_path / "kept", table, configuration={"delta.appendOnly": "true"})
    for name, mode, words in (
        ("checked", "append", "delta.constraints"),
        ("fed", "append", "enableChangeDataFeed"),
        ("kept", "overwrite", "appendOnly"),
    ):
        with pytest.raises(SinkError, match=words):
            opened(tmp_path / name, mode)
    write(tmp_path / "kept", [{"id": 2}], "append")
    assert [row["id"] for row in read(tmp_path / "kept")] == [1, 2]


# --- partitions ---


def test_partitions(tmp_path: Path) -> None:
    shops = ["x=y/z", "ü", None]
    rows = [{"id": i, "shop": shops[i % 3], "day": DAY + dt.timedelta(i % 2), "on": i % 2 == 0} for i in range(12)]
    path = tmp_path / "t"
    bad = write(path, [*rows, {**rows[0], "shop": ""}, {**rows[0], "shop": 1.5}], partition_by=["shop", "day", "on"])
    assert [row["phase"] for row in bad] == ["encode"] * 2
    assert sorted(read(path), key=lambda row: row["id"]) == rows
    table = DeltaTable(path)
    assert len(table.file_uris()) == 6
    assert sorted(table.to_pyarrow_table().to_pylist(), key=lambda row: row["id"]) == rows
    assert write(path, rows, "append") == []
    with pytest.raises(SinkError, match="Only a new table can be partitioned otherwise"):
        opened(path, "overwrite", partition_by=["day"])


def test_many_partitions_keep_their_order(tmp_path: Path) -> None:
    rows = [{"id": i, "group": (i * 7) % (_MOST_OPEN + 20)} for i in range(2000)]
    write(tmp_path / "t", rows, partition_by=["group"], part_size=10)
    found = read(tmp_path / "t")
    assert sorted(found, key=lambda row: row["id"]) == rows
    for group in range(_MOST_OPEN + 20):
        ids = [row["id"] for row in found if row["group"] == group]
        assert ids == sorted(ids)


# --- windows ---


@pytest.mark.parametrize("partition_by", [[], ["day"]])
@pytest.mark.parametrize("by_us", [True, False])
def test_a_window_is_replaced_alone(tmp_path: Path, partition_by: list[str], by_us: bool) -> None:
    path = tmp_path / "t"
    for first, days in ((0, (1, 2, 3, 2, 1)), (10, (1, 1)), (20, (2, 2)), (30, (3, 4))):
        rows = sales(first, *days)
        if by_us:
            write(path, rows, "append", schema=Sale, partition_by=partition_by)
        else:
            write_deltalake(path, pa.Table.from_pylist(rows), mode="append", partition_by=partition_by or None)
    before, version = read(path), DeltaTable(path).version()
    untouched = set(DeltaTable(path).file_uris())
    bad = write(path, sales(100, 2, 3), "overwrite", window=WINDOW)
    assert [row["raw"]["id"] for row in bad] == [101]
    kept = [row for row in before if row["day"] != dt.date(2025, 1, 2)]
    assert read(path) == [*kept, *sales(100, 2)]
    assert DeltaTable(path).version() == version + 1
    assert len(untouched & set(DeltaTable(path).file_uris())) >= 2
    write(path, [], "overwrite", schema=Sale, window=WINDOW)
    assert read(path) == kept


def test_of_two_that_replace_a_window_at_once_the_later_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t"
    write(path, sales(1, 1, 3))
    slow = opened(path, "overwrite", window=WINDOW)
    fast = opened(path, "overwrite", window=WINDOW)
    real = transaction.replaced
    seen = []

    def replaced(*args: Any) -> Any:
        result = real(*args)
        seen.append(len(result[0]))
        if len(seen) == 1:  # the table was looked at, and nothing is in the log yet
            commit(fast, sales(10, 2))
        return result

    monkeypatch.setattr(transaction, "replaced", replaced)
    commit(slow, sales(20, 2))
    assert [row["id"] for row in read(path)] == [1, 2, 20]
    assert seen == [0, 0, 1]  # the slow one, the fast one, and the slow one again
    assert os.listdir(tmp_path) == ["t"]


# --- commits ---


def test_a_table_that_came_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    late = opened(tmp_path / "t", "error")
    commit(opened(tmp_path / "t", "error"), [{"id": 1}])
    late.write_table(pa.table({"id": [2]}))
    with pytest.raises(TargetExistsError, match="already"):
        late.commit()
    late.close()
    assert read(tmp_path / "t") == [{"id": 1}]
    assert os.listdir(tmp_path) == ["t"]


def test_two_that_append_make_one_table(tmp_path: Path) -> None:
    one, other = opened(tmp_path / "t", "append"), opened(tmp_path / "t", "append")
    commit(one, [{"id": 1}])
    commit(other, [{"id": 2}])
    other = opened(tmp_path / "t", "append")
    write_deltalake(tmp_path / "t", pa.table({"id": [3], "x": [1]}), mode="append", schema_mode="merge")
    commit(other, [{"id": 4}])
    assert [row["id"] for row in read(tmp_path / "t")] == [1, 2, 3, 4]


def test_a_commit_that_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "t", [{"id": 1}])
    sink = opened(tmp_path / "t", "append")

    def failing(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", failing)
    sink.write_table(pa.table({"id": [2]}))
    with pytest.raises(SinkError, match="No space left"):
        sink.commit()
    sink.abort()
    sink.close()
    monkeypatch.undo()
    assert read(tmp_path / "t") == [{"id": 1}]
    assert len(list((tmp_path / "t").glob("*.parquet"))) == 1
    assert os.listdir(tmp_path) == ["t"]


def test_a_commit_of_which_nobody_heard_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "t", [{"id": 1}])
    sink = opened(tmp_path / "t", "append")
    real = DeltaTable.create_write_transaction

    def silent(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        raise OSError("the connection broke")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", silent)
    commit(sink, [{"id": 2}])
    assert [row["id"] for row in read(tmp_path / "t")] == [1, 2]


def test_with_append_each_commit_is_an_entry(tmp_path: Path) -> None:
    sink = opened(tmp_path / "t", "append")
    for i in range(3):
        sink.write_table(pa.table({"id": [i]}))
        sink.commit()
        sink.commit()
        assert [row["id"] for row in read(tmp_path / "t")] == list(range(i + 1))
    sink.write_table(pa.table({"id": [9]}))
    sink.abort()
    sink.close()
    assert DeltaTable(tmp_path / "t").version() == 2
    assert os.listdir(tmp_path) == ["t"]


def test_transactions_grow_old_where_the_table_says_so(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write_deltalake(
        path, pa.table({"id": [0]}), configuration={"delta.setTransactionRetentionDuration": "interval 30 days"}
    )
    sink = opened(path, "append")
    app = sink.checkpoint()["app"]
    commit(sink, [{"id": 1}])
    assert DeltaTable(path).transaction_version(app) == 1
    for entry in (path / "_delta_log").glob("*1.json"):
        entry.write_text(entry.read_text().replace('"lastUpdated":', '"lastUpdated":1,"was":'))
    assert DeltaTable(path).transaction_version(app) is None


APPENDING = """
import sys
from pipe_core import get_format
import pyarrow as pa
first = int(sys.argv[2])
for i in range(8):
    sink = get_format("delta").sink(sys.argv[1])
    sink.open("append")
    sink.write_table(pa.table({"id": [first + i]}))
    if i == 0:
        print("ready", flush=True)
        sys.stdin.readline()
    sink.commit()
    sink.close()
"""


def test_two_processes_append_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", APPENDING, str(tmp_path / "t")]
    both = [
        subprocess.Popen([*command, str(first)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for first in (0, 100)
    ]
    try:
        for process in both:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in both:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in both:
            process.communicate(timeout=40)
            assert process.returncode == 0
    finally:
        for process in both:
            process.kill()
            process.wait()
    found = [row["id"] for row in read(tmp_path / "t")]
    assert sorted(found) == [*range(8), *range(100, 108)]
    assert [one for one in found if one < 100] == list(range(8))
    assert os.listdir(tmp_path) == ["t"]


def test_an_aborted_output_is_kept_as_parquet(tmp_path: Path) -> None:
    sink = opened(tmp_path / "t", "error", partition_by=["day"])
    sink.write_table(pa.Table.from_pylist(sales(1, 1, 2)))
    place = sink.abort(keep=True)
    sink.close()
    assert place == str(tmp_path / "t.partial")
    assert len(os.listdir(place)) == 2
    assert sorted(os.listdir(tmp_path)) == ["t.partial"]


@pytest.fixture
def far(tmp_path: Path) -> str:
    (tmp_path / "wait").mkdir()
    return str(tmp_path / "wait")


def test_records_can_wait_elsewhere(tmp_path: Path, far: str) -> None:
    sink = opened(tmp_path / "t", "error", staging=far)
    sink.write_table(pa.table({"id": [1]}))
    assert (len(os.listdir(far)), sorted(os.listdir(tmp_path))) == (1, ["wait"])
    sink.commit()
    sink.close()
    assert os.listdir(far) == []
    assert read(tmp_path / "t") == [{"id": 1}]
