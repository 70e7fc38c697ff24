"""Files that are not what their suffix says, or not all of it: a named error of the source behind what came before.

Records that Python cannot hold are rejected alone. Flipped bits are in `test_arrow_damage`.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest
from arrow_files import FORMATS, Found, read, read_splits, write

from pipe_core import FlowStatus, Pipe, SourceError

RECORDS = [{"id": i, "text": f"record {i} é", "x": i / 7, "n": [i] * (i % 3)} for i in range(150)]
GROUPS: dict[str, dict[str, Any]] = {
    "parquet": {"row_group_size": 50},
    "feather": {"row_group_size": 50},
    "orc": {},
    "avro": {},
}
OTHERS: dict[str, bytes] = {
    "nothing": b"",
    "one byte": b"P",
    "zeros": b"\0" * 3000,
    "CSV": b"id,text\n1,a\n" * 50,
    "JSON": b'[{"id":1}]',
    "gzip": gzip.compress(b"id,text\n1,a\n" * 50, mtime=0),
    "its marks alone": b"PAR1PAR1",
    "a footer of 4 GB": b"PAR1" + b"\xff" * 4 + b"PAR1",
    "marks of Arrow alone": b"ARROW1\0\0ARROW1",
    "a mark of Avro alone": b"Obj\x01",
    "a mark of ORC alone": b"ORC",
}
MARKS = {"parquet": b"PAR1", "feather": b"ARROW1", "orc": b"ORC", "avro": b"Obj\x01"}


@dataclass(frozen=True)
class Damage:
    """What makes a bad file of a good one of its format, given all good ones."""

    name: str
    format: str
    make: Callable[[dict[str, bytes]], bytes]

    @property
    def id(self) -> str:
        return f"{self.format}-{self.name.replace(' ', '_')}"


def _cut(format: str, part: float) -> Callable[[dict[str, bytes]], bytes]:
    return lambda good: good[format][: int(len(good[format]) * part)]


def _shorter(format: str, count: int) -> Callable[[dict[str, bytes]], bytes]:
    return lambda good: good[format][:-count]


def _lowered(mark: bytes, data: bytes) -> bytes:
    return data.replace(mark, mark.lower())


def _changed(format: str, change: Callable[[bytes], bytes]) -> Callable[[dict[str, bytes]], bytes]:
    return lambda good: change(good[format])


def _always(data: bytes) -> Callable[[dict[str, bytes]], bytes]:
    return lambda good: data


def _damages() -> list[Damage]:
    found = []
    for format in FORMATS:
        mark = MARKS[format]
        cuts = [(f"cut at {percent} %", _cut(format, percent / 100)) for percent in (2, 10, 25, 40, 60, 75, 90, 97)]
        cuts += [(f"{count} bytes cut", _shorter(format, count)) for count in (1, 4, 8, 20)]
        others = [(name, _always(data)) for name, data in OTHERS.items()]
        others += [(f"{other} inside", itemgetter(other)) for other in FORMATS if other != format]
        found += [Damage(name, format, make) for name, make in [*cuts, *others]]
        changes: dict[str, Callable[[bytes], bytes]] = {
            "garbage behind": lambda data: data + b"garbage",
            "zeros behind": lambda data: data + b"\0" * 64,
            "zeros before": lambda data: b"\0" * 64 + data,
            "a line before": lambda data: b"# a line\n" + data,
            "first half twice": lambda data: data[: len(data) // 2] + data,
            "a hole of zeros": lambda data: data[:200] + b"\0" * 200 + data[400:],
            "a piece missing": lambda data: data[:300] + data[330:],
            "line ends changed": lambda data: data.replace(b"\n", b"\r\n").replace(b"\x07", b"\x07\x07"),
            "read as text": lambda data: data.decode("utf-8", "replace").encode(),
        }
        if format != "orc":  # it has the mark at both ends and looks at the last one only
            changes["wrong mark"] = partial(_lowered, mark)
        found += [Damage(name, format, _changed(format, change)) for name, change in changes.items()]
    return found


DAMAGES = _damages()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of an undamaged file of each format."""
    pytest.importorskip("fastavro")
    folder = tmp_path_factory.mktemp("good")
    for format in FORMATS:
        write(format, folder / f"a.{format}", RECORDS, **GROUPS[format])
    return {format: (folder / f"a.{format}").read_bytes() for format in FORMATS}


def test_there_are_more_than_a_hundred_different_files(good: dict[str, bytes]) -> None:
    assert len({(damage.format, damage.make(good)) for damage in DAMAGES}) == len(DAMAGES) > 100
    assert len({damage.make(good) for damage in DAMAGES}) > 100


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.id)
def test_a_damaged_file_is_named_behind_what_came_before(
    damage: Damage, good: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / f"given.{damage.format}"
    path.write_bytes(damage.make(good))
    ways = [read(damage.format, path), read(damage.format, path, 1)]
    if damage.format != "avro":
        ways.append(read_splits(damage.format, path, 1))
    for found in ways:
        check(found.records, found.error, path)
        assert not found.rejected
    assert ways[0].records == ways[1].records

    records: list[Any] = []
    pipe = Pipe(path, records, executor="sync")
    with pytest.raises(SourceError) as caught:
        pipe.run()
    check(records, caught.value, path)
    report = pipe.report
    assert report is not None
    assert report.conserved
    assert report.status is FlowStatus.FAILED
    assert (report.read, report.valid, report.failed) == (len(records), len(records), 0)


def check(records: list[Any], error: SourceError | None, path: Path) -> None:
    assert type(error) is SourceError
    assert records == RECORDS[: len(records)]
    assert f"'{path}' cannot be read: " in str(error)
    assert "A damaged, cut off or protected file, or one of another format?" in str(error)
    assert len(str(error)) < 1000


# --- values that Python cannot hold -----------------------------------------------------------------------------------


def _text(*parts: bytes) -> pa.Array:
    """A column of text whose bytes nobody has looked at."""
    return pa.Array.from_buffers(pa.string(), len(parts), pa.array(parts, pa.binary()).buffers())


ODD: dict[str, tuple[pa.Array, list[Any], list[int]]] = {
    "no UTF-8": (_text(b"a", b"\xff", b"c"), ["a", None, "c"], [1]),
    "a surrogate": (_text(b"a", b"b", b"\xed\xa0\x80"), ["a", "b", None], [2]),
}


@pytest.mark.parametrize("format", ["parquet", "orc"])
@pytest.mark.parametrize("name", ODD)
def test_a_value_that_is_none_rejects_its_record_alone(tmp_path: Path, format: str, name: str) -> None:
    column, values, bad = ODD[name]
    table, path = pa.table({"a": column, "i": [0, 1, 2]}), tmp_path / f"given.{format}"
    (pq if format == "parquet" else orc).write_table(table, path)
    expected = [{"a": value, "i": i} for i, value in enumerate(values) if i not in bad]
    for found in (read(format, path), read(format, path, 1), read_splits(format, path, 1)):
        assert found.error is None
        assert sorted(found.rejected) == bad
        assert [record for record in found.records if record is not None] == expected
        assert all("Column 'a'" in why.message for why in found.rejected.values())


def test_text_that_is_none_is_not_read_from_feather(tmp_path: Path) -> None:
    table, path = pa.table({"a": ODD["no UTF-8"][0]}), tmp_path / "given.feather"
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(pa.table({"a": ["fine"]}))
        writer.write_table(table)
    found = read("feather", path)
    assert found.records == [{"a": "fine"}]
    assert found.error is not None
    assert "Invalid UTF8" in str(found.error)
    assert found.error.position == 1


def test_the_rejected_and_the_rest_go_through_a_pipe(tmp_path: Path) -> None:
    moments = pa.array([0, 10**6, 1, 2**62], pa.timestamp("ns"))
    maps = pa.array([[("k", 1)], [("k", 1), ("k", 2)], [], None], pa.map_(pa.string(), pa.int64()))
    pq.write_table(pa.table({"when": moments, "map": maps, "i": range(4)}), tmp_path / "given.parquet")
    good: list[Any] = []
    bad: list[Any] = []
    report = Pipe(tmp_path / "given.parquet", good, errors=bad, executor="sync").run()
    assert report.conserved
    assert [record["i"] for record in good] == [0]
    assert [row["position"] for row in bad] == [1, 2, 3]
    assert {row["errors"][0]["type"] for row in bad} == {"UnreadableValue"}


def test_two_columns_with_one_name_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "given.parquet")
    found = read("parquet", tmp_path / "given.parquet")
    assert found == Found(error=found.error)
    assert "more than one column called 'a'" in str(found.error)


# --- Avro that is nested without end ----------------------------------------------------------------------------------


def nested(*depths: int) -> bytes:
    """An Avro file with a chain of so many links for each record."""
    fastavro = pytest.importorskip("fastavro")
    schema = {"type": "record", "name": "link", "fields": [{"name": "next", "type": ["null", "link"]}]}
    file = io.BytesIO()
    fastavro.writer(file, schema, [{"next": None}])
    data = file.getvalue()
    mark = data[-16:]
    block = b"".join(b"\x02" * depth + b"\0" for depth in depths)
    return data[: data.index(mark) + 16] + _long(len(depths)) + _long(len(block)) + block + mark


def _long(number: int) -> bytes:
    number, found = 2 * number, b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


@pytest.mark.parametrize("depth", [1000, 10_000, 1_000_000])
def test_a_record_that_is_nested_without_end_does_not_end_the_process(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "given.avro"
    path.write_bytes(nested(0, 3, depth, 0))
    found = read("avro", path, 1)
    assert found.records == [{"next": None}, {"next": {"next": {"next": {"next": None}}}}]
    assert found.error is not None
    assert "nested deeper than Python can follow" in str(found.error)
    assert found.error.position == 2


def test_chains_and_trees_are_read(tmp_path: Path) -> None:
    path = tmp_path / "given.avro"
    path.write_bytes(nested(*range(60)))
    found = read("avro", path)
    assert found.error is None
    for depth, record in enumerate(found.records):
        for _ in range(depth):
            record = record["next"]
        assert record == {"next": None}
    assert len(found.records) == 60


def test_a_type_that_is_used_twice_is_not_one_that_holds_itself() -> None:
    pytest.importorskip("fastavro")
    from pipe_arrow.avro_depth import is_recursive

    point = {"type": "record", "name": "a.point", "fields": [{"name": "x", "type": "int"}]}
    fields = [{"name": "from", "type": point}, {"name": "to", "type": ["null", "a.point"]}]
    assert not is_recursive({"type": "record", "name": "line", "fields": fields})
    for kind in ("line", {"type": "array", "items": "line"}, {"type": "map", "values": ["null", "b.line"]}):
        more = [*fields, {"name": "more", "type": kind}]
        assert is_recursive({"type": "record", "name": "b.line", "fields": more})
