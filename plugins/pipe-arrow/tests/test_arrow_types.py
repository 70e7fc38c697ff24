"""Values come back equal, and with equal types; columns get the type that holds all their values."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import struct
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from arrow_files import ARROW, FORMATS, begun, put, read, read_splits, write

from pipe_core import OptionsError, SinkError

PARIS = dt.timezone(dt.timedelta(hours=2))
VALUES: dict[str, list[Any]] = {
    "boolean": [True, None, False],
    "integer": [2**63 - 1, -(2**63), None],
    "number": [0.1, -0.0, 1e308],
    "text": ["zwölf € 🎈", "", None],
    "binary": [b"\x00\xff", b"", None],
    "day": [dt.date(1, 1, 1), dt.date(9999, 12, 31), None],
    "moment": [dt.datetime(1960, 5, 6, 7, 8, 9, 123456), dt.datetime(2200, 1, 1), None],
    "aware": [dt.datetime(2024, 7, 1, 12, tzinfo=PARIS), None, dt.datetime(2024, 7, 1, tzinfo=dt.UTC)],
    "money": [decimal.Decimal("12.50"), decimal.Decimal("-0.001"), None],
    "items": [[1, 2, None], [], None],
    "object": [{"a": 1, "b": {"c": ["x"]}}, {"a": None, "b": {"c": []}}, None],
    "objects": [[{"a": 1.5}, {"a": None}], [], [None]],
    "nothing": [None, None, None],
}


def rows(**columns: list[Any]) -> list[dict[str, Any]]:
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def skip_without_fastavro(format: str) -> None:
    if format == "avro":
        pytest.importorskip("fastavro")


@pytest.mark.parametrize("column", VALUES)
@pytest.mark.parametrize("format", FORMATS)
def test_values_come_back(tmp_path: Path, format: str, column: str) -> None:
    skip_without_fastavro(format)
    records = rows(n=[1, 2, 3], value=VALUES[column])
    write(format, tmp_path / "a", records)
    found = read(format, tmp_path / "a").records
    assert found == records
    assert [type(record["value"]) for record in found] == [type(record["value"]) for record in records]


@pytest.mark.parametrize("format", FORMATS)
def test_nan_and_the_sign_of_zero_come_back(tmp_path: Path, format: str) -> None:
    skip_without_fastavro(format)
    write(format, tmp_path / "a", rows(x=[math.nan, -0.0, math.inf]))
    nan, zero, infinite = (record["x"] for record in read(format, tmp_path / "a").records)
    assert math.isnan(nan)
    assert math.copysign(1, zero) == -1
    assert infinite == math.inf


@pytest.mark.parametrize("format", ["parquet", "feather"])
def test_times_and_durations_come_back(tmp_path: Path, format: str) -> None:
    records = rows(t=[dt.time(23, 59, 59, 999999), None], d=[dt.timedelta(days=-1, microseconds=1), None])
    write(format, tmp_path / "a", records)
    assert read(format, tmp_path / "a").records == records


class Colour(enum.Enum):
    RED = "red"


def test_values_without_a_type_of_their_own_are_written_as_what_they_stand_for(tmp_path: Path) -> None:
    name = uuid.uuid4()
    values = {
        "id": name,
        "colour": Colour.RED,
        "set": {3, 1, 2},
        "pair": (1, 2),
        "path": Path("a/b"),
        "s": bytearray(b"x"),
    }
    write("parquet", tmp_path / "a", [values])
    expected = {"id": str(name), "colour": "red", "set": [1, 2, 3], "pair": [1, 2], "path": "a/b", "s": b"x"}
    assert read("parquet", tmp_path / "a").records == [expected]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (2**63, "64 bits"),
        ("\ud800", "surrogates"),
        (decimal.Decimal("NaN"), "no number"),
        (decimal.Decimal("1E+100"), "76 digits"),
        ([1, "a"], "no common type"),
        ([2**60, 1.5], "no common type"),
        ({1: 2}, "no text"),
        (dt.time(1, tzinfo=dt.UTC), "time zone"),
        (dt.timedelta.max, "longer"),
        (object(), "object"),
    ],
)
def test_a_value_that_cannot_be_written_fails_its_own_record(tmp_path: Path, value: Any, reason: str) -> None:
    sink = begun("parquet", tmp_path / "a")
    with pytest.raises(ValueError, match=f"column 'value': .*{reason}"):
        put(sink, [{"value": value}])
    put(sink, [{"value": 1}])
    sink.commit()
    sink.close()
    assert read("parquet", tmp_path / "a").records == [{"value": 1}]


def test_a_deeply_nested_value_fails_its_own_record(tmp_path: Path) -> None:
    value: Any = 1
    for _ in range(40):
        value = [value]
    sink = begun("parquet", tmp_path / "a")
    with pytest.raises(ValueError, match="nested deeper than 32"):
        put(sink, [{"value": value}])
    sink.close()


@pytest.mark.parametrize(
    ("format", "value"),
    [("orc", dt.time(1)), ("orc", dt.timedelta(1)), ("avro", dt.timedelta(1)), ("orc", dt.datetime.min)],
)
def test_what_a_format_has_no_type_for_fails_its_own_record(tmp_path: Path, format: str, value: Any) -> None:
    skip_without_fastavro(format)
    sink = begun(format, tmp_path / "a")
    with pytest.raises(ValueError, match=r"ORC|Avro"):
        put(sink, [{"value": value}])
    sink.close()


def test_avro_names_are_identifiers(tmp_path: Path) -> None:
    pytest.importorskip("fastavro")
    sink = begun("avro", tmp_path / "a")
    with pytest.raises(ValueError, match="'first name' is no name in Avro"):
        put(sink, [{"first name": 1}])
    sink.close()


# --- types that show late ---

LATE = {
    "an integer behind nulls": ([None] * 5 + [7, None], [None] * 5 + [7, None]),
    "a float behind integers": ([1, 2, 3, 4, 5, 0.5], [1.0, 2.0, 3.0, 4.0, 5.0, 0.5]),
    "more digits": ([decimal.Decimal("1.5")] * 4 + [decimal.Decimal("12345.678")], None),
    "items behind empty lists": ([[], [], [], [], ["x"]], None),
    "a field that is new in an object": (
        [{"a": 1}] * 4 + [{"a": 2, "b": "x"}],
        [{"a": 1, "b": None}] * 4 + [{"a": 2, "b": "x"}],
    ),
    "floats in lists": ([[1], [2], [3], [4, 0.5]], None),
}


@pytest.mark.parametrize("case", LATE)
@pytest.mark.parametrize("format", FORMATS)
def test_a_type_may_show_late(tmp_path: Path, format: str, case: str) -> None:
    skip_without_fastavro(format)
    cells, expected = LATE[case]
    options = {} if format == "avro" else {"row_group_size": 2}
    outputs = set()
    for pieces in (1, 2, len(cells)):
        path = tmp_path / f"a{pieces}"
        write(format, path, rows(value=cells), pieces=pieces, **options)
        found = [record["value"] for record in read(format, path).records]
        assert found == (expected or cells)
        assert [type(value) for value in found] == [type(value) for value in expected or cells]
        outputs.add(path.read_bytes())
    assert len(outputs) == 1
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("format", FORMATS)
def test_a_column_may_come_late(tmp_path: Path, format: str) -> None:
    skip_without_fastavro(format)
    options = {} if format == "avro" else {"row_group_size": 2}
    write(format, tmp_path / "a", [{"a": 1}, {"a": 2}, {"a": 3}, {"b": "x"}], pieces=4, **options)
    found = read(format, tmp_path / "a").records
    assert found == [{"a": 1, "b": None}, {"a": 2, "b": None}, {"a": 3, "b": None}, {"a": None, "b": "x"}]


@pytest.mark.parametrize("pieces", [1, 3, 6])
def test_types_that_have_nothing_in_common_are_named(tmp_path: Path, pieces: int) -> None:
    sink = begun("parquet", tmp_path / "a", row_group_size=2)
    with pytest.raises(SinkError, match=r"Record 4 of the output .* 'x' is string, before it was int64"):
        put(sink, rows(x=[1, 2, None, 3, "four", 5]), pieces)
    sink.close()
    assert list(tmp_path.iterdir()) == []


def test_the_path_into_an_object_is_named(tmp_path: Path) -> None:
    sink = begun("parquet", tmp_path / "a")
    with pytest.raises(SinkError, match=r"Record 1 of the output .* 'x.y.z' is string, before it was int64"):
        put(sink, rows(x=[{"y": {"z": 1}}, {"y": {"z": "a"}}]))
    sink.close()


@pytest.mark.parametrize("cells", [[2**60 + 1, 2, 3, 0.5], [0.5, 1, 2, 2**60 + 1]])
@pytest.mark.parametrize("pieces", [1, 4])
def test_an_integer_that_is_no_float_is_not_made_one(tmp_path: Path, cells: list[Any], pieces: int) -> None:
    with pytest.raises(SinkError, match="'x'"):
        write("parquet", tmp_path / "a", rows(x=cells), pieces=pieces, row_group_size=2)
    assert list(tmp_path.iterdir()) == []


def test_objects_without_fields_have_no_place_in_parquet(tmp_path: Path) -> None:
    sink = begun("parquet", tmp_path / "a")
    put(sink, rows(x=[{}, {}]))
    with pytest.raises(SinkError, match="column 'x' has objects without any field"):
        sink.commit()
    sink.close()
    write("parquet", tmp_path / "b", rows(x=[{}, {"a": 1}]))
    assert read("parquet", tmp_path / "b").records == rows(x=[{"a": None}, {"a": 1}])


def test_names_used_as_values_end_the_run(tmp_path: Path) -> None:
    sink = begun("parquet", tmp_path / "a")
    with pytest.raises(SinkError, match="columns, more than 4,096"):
        put(sink, [{"x": {f"key {i}": 1}} for i in range(5000)], 50)
    sink.close()


# --- types that somebody gave ---


@pytest.mark.parametrize("format", ARROW)
def test_given_types_are_written(tmp_path: Path, format: str) -> None:
    write(format, tmp_path / "a", [{"x": 1, "y": 0.1}, {"x": None, "y": None}], types={"x": "int16", "y": "float32"})
    found = read(format, tmp_path / "a").records
    assert found[0]["x"] == 1
    assert found[0]["y"] == pytest.approx(0.1)
    assert found[0]["y"] != 0.1


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int16", 40_000),
        ("int64", 1.5),
        ("int64", True),
        ("string", 5),
        ("timestamp[ms]", dt.datetime(2020, 1, 1, 0, 0, 0, 1)),
        ("timestamp[us]", dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),
        (pa.timestamp("us", "UTC"), dt.datetime(2020, 1, 1)),
        ("date32", dt.datetime(2020, 1, 1, 5)),
        ("binary", "text"),
        ("float32", 1e300),
        (pa.decimal128(5, 2), decimal.Decimal("1234.56")),
        (pa.struct([("a", pa.int64())]), {"a": 1, "b": 2}),
    ],
)
def test_a_value_that_does_not_fit_a_given_type_fails_its_own_record(tmp_path: Path, kind: Any, value: Any) -> None:
    sink = begun("parquet", tmp_path / "a", types={"x": kind})
    with pytest.raises(ValueError, match=r"column 'x': .*type"):
        put(sink, [{"x": value}])
    sink.close()


def test_maps_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    records = [{"x": {"a": 1, "b": 2}}, {"x": {}}, {"x": None}, {"x": {"c": None}}]
    write("parquet", tmp_path / "a", records, types={"x": pa.map_(pa.string(), pa.int64())})
    assert read("parquet", tmp_path / "a").records == records
    assert pa.types.is_map(pq.read_schema(tmp_path / "a").field("x").type)


def test_a_type_that_arrow_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match=r"'integer'.*column 'x'"):
        begun("parquet", tmp_path / "a", types={"x": "integer"})


def test_a_given_column_is_there_without_records(tmp_path: Path) -> None:
    write("parquet", tmp_path / "a", [], fields=["id"], types={"x": "int32"})
    assert pq.read_schema(tmp_path / "a").names == ["id", "x"]


# --- files that others wrote ---

MOMENT = dt.datetime(2020, 5, 17, 12, 30)
FOREIGN: dict[str, tuple[pa.Array, list[Any]]] = {
    "dictionary": (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
    "large text": (pa.array(["a", None], pa.large_string()), ["a", None]),
    "unsigned": (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
    "half": (pa.Array.from_buffers(pa.float16(), 2, [None, pa.py_buffer(struct.pack("<ee", 0.5, 2))]), [0.5, 2.0]),
    "nanoseconds": (pa.array([MOMENT, None], pa.timestamp("ns")), [MOMENT, None]),
    "zone": (pa.array([MOMENT], pa.timestamp("us", "Europe/Paris")), [MOMENT.replace(tzinfo=dt.UTC)]),
    "offset": (pa.array([MOMENT], pa.timestamp("ms", "+02:00")), [MOMENT.replace(tzinfo=dt.UTC)]),
    "map": (
        pa.array([[("a", 1)], None, [], [("b", 2), ("c", None)]], pa.map_(pa.string(), pa.int32())),
        [{"a": 1}, None, {}, {"b": 2, "c": None}],
    ),
    "fixed list": (pa.array([[1, 2], [3, None]], pa.list_(pa.int64(), 2)), [[1, 2], [3, None]]),
    "list of dictionaries": (
        pa.ListArray.from_arrays([0, 2, 3], pa.array(["a", "b", "a"]).dictionary_encode()),
        [["a", "b"], ["a"]],
    ),
    "short times": (pa.array([dt.time(1, 2, 3)], pa.time32("s")), [dt.time(1, 2, 3)]),
    "long days": (pa.array([dt.date(2020, 1, 1)], pa.date64()), [dt.date(2020, 1, 1)]),
    "durations": (pa.array([dt.timedelta(1)], pa.duration("s")), [dt.timedelta(1)]),
    "fixed binary": (pa.array([b"abc"], pa.binary(3)), [b"abc"]),
    "long decimal": (pa.array([decimal.Decimal(10) ** 60], pa.decimal256(70, 2)), [decimal.Decimal(10) ** 60]),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_types_that_others_write_are_read(tmp_path: Path, case: str) -> None:
    array, expected = FOREIGN[case]
    pq.write_table(pa.table({"x": array}), tmp_path / "a.parquet")
    with pa.ipc.new_file(tmp_path / "a.feather", pa.schema([("x", array.type)])) as writer:
        writer.write_table(pa.table({"x": array}))
    for format in ("parquet", "feather"):
        path = tmp_path / f"a.{format}"
        for found in (read(format, path), read(format, path, chunk=1), read_splits(format, path, 1)):
            assert found.error is None
            assert [record["x"] for record in found.records] == expected
            assert [type(record["x"]) for record in found.records] == [type(value) for value in expected]


def test_fixed_lists_among_nulls_are_read(tmp_path: Path) -> None:
    table = pa.table({"x": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64(), 2))})
    with pa.ipc.new_file(tmp_path / "a", table.schema) as writer:
        writer.write_table(table)
    assert read("feather", tmp_path / "a").records == [{"x": [1, 2]}, {"x": None}, {"x": [3, 4]}]


def test_a_zone_keeps_its_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": pa.array([MOMENT], pa.timestamp("us", "Europe/Paris"))}), tmp_path / "a.parquet")
    (record,) = read("parquet", tmp_path / "a.parquet").records
    assert str(record["x"].tzinfo) == "Europe/Paris"
    assert record["x"].hour == 14


def test_nanoseconds_reject_their_record_or_are_cut_off(tmp_path: Path) -> None:
    stamps = pa.array([1_000, 1_001, None, -1_001], pa.int64())
    table = pa.table({"n": [1, 2, 3, 4], "x": stamps.cast(pa.timestamp("ns")), "y": [stamps.to_pylist()] * 4})
    pq.write_table(table.set_column(2, "y", pa.array([[v] for v in stamps.to_pylist()])), tmp_path / "a")
    found = read("parquet", tmp_path / "a")
    assert sorted(found.rejected) == [1, 3]
    assert found.rejected[1].type == "UnreadableValue"
    assert "Column 'x'" in found.rejected[1].message
    assert found.rejected[1].raw["n"] == 2
    assert [record and record["n"] for record in found.records] == [1, None, 3, None]
    cut = read("parquet", tmp_path / "a", nanoseconds="truncate")
    epoch = dt.datetime(1970, 1, 1)
    assert not cut.rejected
    assert [record["x"] for record in cut.records] == [
        epoch + dt.timedelta(microseconds=1),
        epoch + dt.timedelta(microseconds=1),
        None,
        epoch - dt.timedelta(microseconds=1),
    ]


def test_what_python_cannot_hold_rejects_its_record(tmp_path: Path) -> None:
    years = pa.array([0, 10**12, None], pa.int64()).cast(pa.timestamp("s"))
    twice = pa.array([[("k", 1)], [("k", 1), ("k", 2)], []], pa.map_(pa.string(), pa.int64()))
    for array in (years, twice):
        with pa.ipc.new_file(tmp_path / "a", pa.schema([("x", array.type)])) as writer:
            writer.write_table(pa.table({"x": array}))
        found = read("feather", tmp_path / "a")
        assert found.error is None
        assert list(found.rejected) == [1]
        assert sum(record is not None for record in found.records) == 2


def test_text_that_is_no_utf8_rejects_its_record(tmp_path: Path) -> None:
    ends = pa.array([0, 1, 2, 3], pa.int32()).buffers()[1]
    text = pa.Array.from_buffers(pa.string(), 3, [None, ends, pa.py_buffer(b"a\xffc")])
    pq.write_table(pa.table({"x": text}), tmp_path / "a")
    found = read("parquet", tmp_path / "a")
    assert found.records == [{"x": "a"}, None, {"x": "c"}]
    assert found.rejected[1].raw == {"x": "b'\\xff'"}


def test_a_column_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]), tmp_path / "a")
    found = read("parquet", tmp_path / "a")
    assert "more than one column called 'x'" in str(found.error)
