"""Chunks as frames: what a worker reads is what the driver would have read."""

from __future__ import annotations

import pickle
from collections import OrderedDict, UserDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from damaging import damages
from hypothesis import given, settings
from hypothesis import strategies as st

from pipe_core import get_codec, get_format
from pipe_core.codecs.samples import SAMPLES, TYPED_SAMPLES, Color, Customer, Money, difference
from pipe_core.formats.memory_source import RecordsChunk
from pipe_core.formats.rows_chunk import RowsChunk
from pipe_core.kernel import ctrl_c
from pipe_core.kernel.contracts import Batch, Chunk, Rejection
from pipe_core.kernel.errors import CodecError, SourceError
from pipe_core.records.transport.carrier import Carrier
from pipe_core.records.transport.types_of import classes_in

CSV = b'a,b\n1,x\n2\n"3,\n3",\xff\n4,n\0l\n\n5,"y"\n6,7,8\n7,\xc3\xa4\n'
JSONL = b'{"a":1}\n{"a":NaN}\nnonsense\n\n{"a":[1,{"b":null}]}\n{"a":1,"a":2}\n"text"\n{"a":"\xff"}\n{"a":1e999}\n'
JSON = b'[{"a":1},\n {"a":\n {"b":2}}, {"a":1,"a":2}, 7, {"a":1e999}, null]'
MEMORY = [{"a": 1}, "text", OrderedDict(a=2), None, {"a": {"b": [date(2024, 1, 1)]}}, UserDict(a=3), (1, 2)]


class Plain:
    """A codec that knows no classes."""

    def __init__(self) -> None:
        self._codec = get_codec("msgpack")

    def encode(self, value: Any, /) -> bytes:
        return self._codec.encode(value)

    def decode(self, data: bytes, /) -> Any:
        return self._codec.decode(data)


@dataclass
class Strange:
    """A chunk of a class that no source names."""

    chunk: Any
    failure: Exception | None = None

    def __len__(self) -> int:
        return len(self.chunk)

    def batches(self, size: int) -> Iterator[Batch]:
        yield from self.chunk.batches(size)
        if self.failure is not None:
            raise self.failure


class Opaque:
    """What no codec knows."""

    def __repr__(self) -> str:
        return "<opaque>"


CODECS = {
    "plain": Plain,
    "msgpack": lambda: get_codec("msgpack"),
    "lz4": lambda: get_codec("msgpack", compression="lz4"),
}


def sources(folder: Path) -> dict[str, Any]:
    for name, data in (("csv", CSV), ("jsonl", JSONL), ("json", JSON)):
        (folder / f"in.{name}").write_bytes(data)
    made = {name: get_format(name).source(folder / f"in.{name}") for name in ("csv", "jsonl", "json")}
    return {**made, "memory": get_format("memory").source(MEMORY)}


def pair(codec: Any, travels: tuple[type, ...] = (RecordsChunk,)) -> tuple[Carrier, Carrier]:
    """The carriers of a driver and of a worker."""
    carrier = Carrier(codec, None, travels)
    return carrier, pickle.loads(pickle.dumps(carrier))


def sent(records: list[Any], codec: Any = None) -> Chunk:
    """The chunk that a worker opens, when it has learned what there is to learn."""
    driver, worker = pair(codec or get_codec("msgpack"))
    data = driver.pack_chunk(RecordsChunk(records))
    worker.learn(driver.extra_types)
    return worker.open_chunk(data)


def content(chunk: Any, size: int = 1000) -> list[Any]:
    """All that a worker can see of a chunk."""
    return [
        (batch.records, [batch.raw(i) for i in range(len(batch.records))], dict(batch.rejected))
        for batch in chunk.batches(size)
    ]


def plain(value: Any) -> Any:
    return dict(value) if isinstance(value, (OrderedDict, UserDict)) else value


@pytest.mark.parametrize("size", [1, 2, 1000])
@pytest.mark.parametrize("name", ["csv", "jsonl", "json", "memory"])
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("strange", [False, True])
def test_an_opened_chunk_gives_the_batches_of_the_original(
    codec: str, name: str, size: int, strange: bool, tmp_path: Path
) -> None:
    source = sources(tmp_path)[name]
    source.open()
    (chunk,) = source.chunks(lambda: 100)
    source.close()
    driver, worker = pair(CODECS[codec](), source.travels)
    opened = worker.open_chunk(driver.pack_chunk(Strange(chunk) if strange else chunk))
    assert len(opened) == len(chunk)
    expected = [(records, list(map(plain, raws)), rejected) for records, raws, rejected in content(chunk, size)]
    assert content(opened, size) == expected
    assert isinstance(opened, type(chunk)) is not strange  # what the source names is not read on the driver


@pytest.mark.parametrize("name", SAMPLES)
def test_every_type_that_travels_is_in_a_record_what_it_was(name: str) -> None:
    records = [{"before": 1, "value": SAMPLES[name]}, {"before": 2, "value": SAMPLES[name]}]
    ((found, raws, rejected),) = content(sent(records))
    assert difference(records, found) is None
    assert difference(records, raws) is None
    assert rejected == {}


@pytest.mark.parametrize("name", TYPED_SAMPLES)
def test_a_class_that_records_hold_is_learned(name: str) -> None:
    records = [{"value": [TYPED_SAMPLES[name]]}, TYPED_SAMPLES[name]]
    ((found, _, rejected),) = content(sent(records))
    assert difference(records, found) is None
    assert rejected == {}


def test_a_worker_that_has_not_learned_a_class_says_so() -> None:
    driver, worker = pair(get_codec("msgpack"))
    data = driver.pack_chunk(RecordsChunk([{"a": Color.RED}]))
    assert driver.extra_types == (Color,)
    with pytest.raises(CodecError, match=r"needs 1 classes .* and 0 are there"):
        worker.open_chunk(data)
    worker.learn(driver.extra_types)
    assert content(worker.open_chunk(data))[0][0] == [{"a": Color.RED}]


def test_classes_only_get_more_behind_those_that_are_there() -> None:
    driver, worker = pair(get_codec("msgpack"))
    first = driver.pack_chunk(RecordsChunk([{"a": Customer(name="Ada")}]))
    met = driver.extra_types
    second = driver.pack_chunk(RecordsChunk([{"a": Money(Decimal(1), "EUR"), "b": Customer(name="Bob")}]))
    assert driver.extra_types[: len(met)] == met
    worker.learn(driver.extra_types)
    worker.learn(met)  # a call that was made before comes late
    assert content(worker.open_chunk(first))[0][0] == [{"a": Customer(name="Ada")}]
    assert content(worker.open_chunk(second))[0][0] == [{"a": Money(Decimal(1), "EUR"), "b": Customer(name="Bob")}]


@pytest.mark.parametrize("strange", [False, True])
def test_only_the_record_that_cannot_travel_is_rejected(strange: bool) -> None:
    when = datetime(2024, 1, 1, 12)
    records: list[Any] = [{"i": i, "when": when} for i in range(100)]
    records[37] = {"i": 37, "deep": {"x": [1, Opaque()]}, "when": when}
    records[99] = Opaque()
    driver, worker = pair(get_codec("msgpack"))
    chunk: Any = RecordsChunk(records)
    opened = worker.open_chunk(driver.pack_chunk(Strange(chunk) if strange else chunk))
    batches = list(opened.batches(10))
    assert [len(batch.records) for batch in batches] == [10] * 10
    found = [record for batch in batches for record in batch.records]
    assert [record for i, record in enumerate(found) if i not in (37, 99)] == [
        record for i, record in enumerate(records) if i not in (37, 99)
    ]
    assert {k: set(batch.rejected) for k, batch in enumerate(batches) if batch.rejected} == {3: {7}, 9: {9}}
    why = batches[3].rejected[7]
    assert why.type == "CodecError"
    assert why.message.startswith("Cannot encode $.deep.x[1]: ")
    assert why.raw == {"i": 37, "deep": {"x": [1, "<opaque>"]}, "when": "2024-01-01T12:00:00"}
    assert batches[3].raw(7) == why.raw
    assert batches[9].rejected[9].message.startswith("Cannot encode $: ")
    assert batches[0].raw(3) == records[3]


def test_a_chunk_of_nothing_but_records_that_cannot_travel_is_rejected_record_by_record() -> None:
    ((records, _, rejected),) = content(sent([{"a": Opaque()}] * 20))
    assert records == [None] * 20
    assert {why.type for why in rejected.values()} == {"CodecError"}
    assert sorted(rejected) == list(range(20))


class Hostile(UserDict[str, Any]):
    """A mapping that cannot be read."""

    def __getitem__(self, key: str) -> Any:
        raise OSError("gone")


@pytest.mark.parametrize(
    "mapping",
    [OrderedDict(b=1, a=2), defaultdict(list, b=[1]), UserDict(b=1), MappingProxyType({"b": date(2024, 1, 1)})],
    ids=lambda mapping: type(mapping).__name__,
)
def test_a_mapping_arrives_as_the_dict_that_it_stands_for(mapping: Any) -> None:
    for others in ([], [{"b": 2}], [Opaque()]):
        ((records, raws, _),) = content(sent([mapping, *others]))
        assert type(records[0]) is dict
        assert list(records[0].items()) == list(mapping.items())
        assert raws[0] == dict(mapping)


def test_a_mapping_that_cannot_be_read_is_rejected_on_the_worker_as_it_would_be_here() -> None:
    for chunk in (RecordsChunk([Hostile(a=1), {"b": 2}]), sent([Hostile(a=1), {"b": 2}])):
        (batch,) = chunk.batches(10)
        assert batch.records == [None, {"b": 2}]
        ((place, why),) = batch.rejected.items()
        assert (place, why.type, why.message) == (0, "OSError", "The record cannot be copied: gone")


@dataclass
class Sly:
    """What is looked into when its class is not known, and does something bad then."""

    kind: type[BaseException]

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __getattribute__(self, name: str) -> Any:
        value = object.__getattribute__(self, name)
        if name == "kind":
            raise value("no way")
        return value


class Rude(Plain):
    """A codec that runs code of what it encodes."""

    def __init__(self, kind: type[BaseException]) -> None:
        super().__init__()
        self._kind = kind

    def encode(self, value: Any, /) -> bytes:
        if Opaque in classes_in(value):
            raise self._kind("no way")
        return super().encode(value)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, ZeroDivisionError])
def test_whatever_is_raised_while_a_record_is_packed_rejects_that_record(kind: type[BaseException]) -> None:
    for culprit, codec in (({"a": Sly(kind)}, get_codec("msgpack")), ({"a": Opaque()}, Rude(kind))):
        ((found, _, rejected),) = content(sent([{"a": 1}, culprit, {"a": 3}], codec))
        assert found == [{"a": 1}, None, {"a": 3}]
        ((place, why),) = rejected.items()
        assert (place, why.type) == (1, "CodecError")
    assert why.message == f"It cannot travel: Cannot encode a value in it: {kind.__name__}: no way"


def test_the_user_s_ctrl_c_is_no_fault_of_a_record() -> None:
    for culprit, codec in (
        ({"a": Sly(KeyboardInterrupt)}, get_codec("msgpack")),
        ({"a": Opaque()}, Rude(KeyboardInterrupt)),
    ):
        ctrl_c.note(culprit)
        try:
            with pytest.raises(KeyboardInterrupt):
                sent([culprit], codec)
        finally:
            ctrl_c.forget(culprit)


def test_records_of_a_worker_can_be_changed_and_raw_stays_as_it_was_read() -> None:
    for records in ([{"a": 1, "b": [1]}, {"a": 2, "b": [2]}], [{"a": 1, "b": [1]}, {"x": Opaque()}]):
        (batch,) = sent(records).batches(10)
        batch.records[0]["a"] = "changed"
        batch.records[0]["b"].append("changed")
        assert batch.raw(0) == {"a": 1, "b": [1]}


def test_raw_that_differs_from_its_record_travels_beside_it() -> None:
    class Renamed(Strange):
        def batches(self, size: int) -> Iterator[Batch]:
            raws = [{"old": 1}, Opaque(), "line 3"]
            yield Batch([{"new": 1}, {"new": 2}, None], raws.__getitem__, {2: Rejection("Bad", "why", Opaque())})

    driver, worker = pair(get_codec("msgpack"))
    (batch,) = worker.open_chunk(driver.pack_chunk(Renamed([1, 2, 3]))).batches(10)
    assert batch.records == [{"new": 1}, {"new": 2}, None]  # what cannot travel of raw makes no record fail
    assert batch.raw(0) == {"old": 1}
    assert batch.raw(1) == "<opaque>"
    assert batch.rejected == {2: Rejection("Bad", "why", "<opaque>")}


def test_what_is_too_long_for_one_frame_goes_in_several() -> None:
    codec = get_codec("msgpack", max_frame_bytes=2000)
    records = [{"i": i, "text": "x" * 300} for i in range(50)]
    records[20] = {"i": 20, "text": "y" * 5000}
    ((found, _, rejected),) = content(sent(records, codec))
    assert [record for record in found if record is not None] == records[:20] + records[21:]
    assert list(rejected) == [20]
    assert "max_frame_bytes" in rejected[20].message
    assert len(rejected[20].raw) == 1000


def test_a_source_that_breaks_gives_what_it_had_and_then_its_error() -> None:
    failure = SourceError("The disk is gone.", source="x.csv", position=2)
    driver, worker = pair(get_codec("msgpack"))
    chunk = worker.open_chunk(driver.pack_chunk(Strange(RecordsChunk([{"a": 1}, {"a": 2}]), failure)))
    batches = chunk.batches(10)
    assert next(batches).records == [{"a": 1}, {"a": 2}]
    with pytest.raises(SourceError, match="The disk is gone") as caught:
        next(batches)
    assert (caught.value.source, caught.value.position) == ("x.csv", 2)


def test_rows_of_any_cells_travel() -> None:
    odd = RowsChunk(("a", "b"), [["x\0y", None], [date(2024, 1, 1), "z"], [], ["", "\udcff"]], {2: Rejection("R", "m")})
    driver, worker = pair(get_codec("msgpack"), (RowsChunk,))
    for chunk in (odd, RowsChunk(("a",), []), RowsChunk(("a",), [[]], {0: Rejection("R", "m", ["1", "2"])})):
        assert worker.open_chunk(driver.pack_chunk(chunk)) == chunk


def test_rows_that_do_not_fit_their_fields_are_not_shifted() -> None:
    driver, worker = pair(get_codec("msgpack"), (RowsChunk,))
    chunk = worker.open_chunk(driver.pack_chunk(RowsChunk(("a", "b"), [["1"], ["2", "3", "4"]])))
    with pytest.raises(ValueError, match="unpack"):  # as reading them here would do
        list(chunk.batches(10))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates() | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=3), VALUES, max_size=4) | VALUES, max_size=8), st.booleans())
def test_any_records_arrive_as_they_were(records: list[Any], loose: bool) -> None:
    driver, worker = pair(get_codec("msgpack"))
    chunk: Any = Strange(RecordsChunk(records)) if loose else RecordsChunk(records)
    batches = content(worker.open_chunk(driver.pack_chunk(chunk)))
    assert difference(records, [record for found, _, _ in batches for record in found]) is None
    assert difference(records, [raw for _, raws, _ in batches for raw in raws]) is None


def test_damaged_frames_are_always_codec_errors(tmp_path: Path) -> None:
    flips = 0
    for records in (MEMORY[:2] * 3, [{"a": Opaque()}, {"a": 1}]):
        for codec in ("msgpack", "lz4"):
            driver, worker = pair(CODECS[codec]())
            data = driver.pack_chunk(RecordsChunk(records))
            for damaged in damages(data):
                flips += 1
                with pytest.raises(CodecError):
                    worker.open_chunk(damaged)
    assert flips > 2000


def test_bytes_and_seconds_are_counted_on_both_sides() -> None:
    driver, worker = pair(get_codec("msgpack", compression="lz4"))
    records = [{"a": "same " * 20, "i": i} for i in range(500)]
    data = driver.pack_chunk(RecordsChunk(records))
    assert 0 < driver.frame_bytes <= len(data) < driver.raw_bytes
    assert driver.compress_seconds > 0
    worker.open_chunk(data)
    assert (worker.raw_bytes, worker.frame_bytes) == (driver.raw_bytes, driver.frame_bytes)
    before = driver.raw_bytes
    driver.pack_chunk(RecordsChunk([{"a": Color.RED}]))  # the table grows: what was counted stays
    assert driver.raw_bytes > before


def test_a_codec_without_counters_is_counted_by_its_frames() -> None:
    driver, _ = pair(Plain())
    data = driver.pack_chunk(RecordsChunk([{"a": 1}]))
    assert 0 < driver.raw_bytes == driver.frame_bytes < len(data)
    assert driver.compress_seconds == 0
