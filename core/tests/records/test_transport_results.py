"""Results as frames: the driver sees what it would have seen had it done the work itself."""

from __future__ import annotations

import pickle
import random
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any, NotRequired

import pytest
from damaging import damages
from pydantic import BaseModel, ConfigDict, RootModel
from typing_extensions import TypedDict

from pipe_core import BaseHook, get_codec
from pipe_core.codecs.codec import MsgpackCodec
from pipe_core.codecs.samples import SAMPLES, TYPED_SAMPLES, difference
from pipe_core.formats.csv_encoder import CsvEncoder, CsvStyle
from pipe_core.formats.jsonl_rows import JsonlEncoder
from pipe_core.formats.memory_sink import PlainEncoder
from pipe_core.formats.memory_source import RecordsChunk
from pipe_core.kernel.contracts import Encoder, Extent
from pipe_core.kernel.errors import CodecError, HookContractError, RunError, SourceError
from pipe_core.records.entry import Entry, EntryStatus
from pipe_core.records.hooks import bind_hooks
from pipe_core.records.program import Program
from pipe_core.records.result import Failure, Pending, Result
from pipe_core.records.schema import Schema
from pipe_core.records.transport import border
from pipe_core.records.transport.carrier import Carrier, Untravelable
from pipe_core.records.views import is_view_of
from pipe_core.records.worker import process


class Model(BaseModel):
    a: int
    day: date = date(2024, 1, 1)

    @cached_property
    def slow(self) -> int:
        return self.a * 2


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Root(RootModel[Model]):
    pass


@dataclass
class Data:
    a: int


@dataclass(slots=True)
class Slotted:
    a: int


class Typed(TypedDict):
    a: int
    b: NotRequired[int]


class Opaque:
    def __repr__(self) -> str:
        return "<opaque>"


STYLE = CsvStyle("utf-8", ",", '"', None, "ignore", "raw")
ENCODERS: dict[str, Encoder] = {
    "jsonl": JsonlEncoder(),
    "csv": CsvEncoder(STYLE, None),
    "csv with names": CsvEncoder(STYLE, ("a", "b")),
    "memory": PlainEncoder(),
}
RECORDS: list[Any] = [{"a": 1}, {"a": "x"}, {"a": 3, "b": 4}, "text", {"a": 5}]


def pair(schema: Any = None, compression: str | None = None) -> tuple[Carrier, Carrier]:
    """The carriers of a driver and of a worker."""
    carrier = Carrier(get_codec("msgpack", compression=compression), Schema(schema) if schema else None)
    return carrier, pickle.loads(pickle.dumps(carrier))


def sent(result: Result, schema: Any = None) -> Result:
    """The result that a driver opens."""
    driver, worker = pair(schema)
    return driver.open_result(worker.pack_result(result))


def facts(entry: Entry) -> list[Any]:
    """Everything that a reader of an entry can see."""
    view = entry.validated_data
    shown = dict(view) if hasattr(view, "keys") else view
    names = ("raw_data", "status", "part", "_index", "_value", "errors", "metadata")
    return [*(getattr(entry, name) for name in names), shown, type(view), is_view_of(entry._value, view)]


def test_every_field_comes_back() -> None:
    result = Result(
        read=10,
        valid=7,
        dropped=1,
        expanded=2,
        payload=b"lines\n" * 1000,
        failures=[
            Failure(3, "validation", [{"loc": ["a", 0], "msg": "m", "type": "t"}, {"type": "x"}], b"row", None, 0),
            Failure(4, "post", [{"type": "HookError", "message": "h: m"}], {"raw": (1, 2)}, "h", 2),
            Failure(5, "source", [], None),
        ],
        seconds={"read": 0.25, "validation": 1.5},
        extent=Extent(10, 200, "some.csv"),
    )
    assert sent(result) == result
    assert sent(Result()) == Result()


@pytest.mark.parametrize("errors", ENCODERS)
@pytest.mark.parametrize("sink", ENCODERS)
@pytest.mark.parametrize("schema", [Model, Typed, None])
def test_results_of_real_work_come_back(schema: Any, sink: str, errors: str) -> None:
    program = Program("run", Schema(schema) if schema else None, encoder=ENCODERS[sink], error_encoder=ENCODERS[errors])
    result = process(RecordsChunk(RECORDS), program, 0)
    assert result.read == 5
    assert sent(result, schema) == result


@pytest.mark.parametrize("schema", [Model, Open, Root, Data, Slotted, Typed, None])
@pytest.mark.parametrize("changed", [False, True])
def test_entries_show_the_same(schema: Any, changed: bool) -> None:
    result = process(
        RecordsChunk([{"a": 1}, {"a": 3, "b": 4}]),
        Program("run", Schema(schema) if schema else None, wants_entries=True),
        0,
    )
    entries = result.entries or []
    if changed:
        entries[0].validated_data["added"] = {1, 2}
        entries[0].metadata["note"] = (1, None)
        entries[1].errors.append({"type": "T", "message": "m"})
        entries[1].part = 2
        entries[1].status = EntryStatus.FAILED
    found = sent(result, schema).entries or []
    assert list(map(facts, found)) == list(map(facts, entries))
    assert found[0].status is EntryStatus.VALIDATED
    for entry in found:  # a view it is, not a copy
        entry.validated_data["a"] = 77
        value = entry._value.root if isinstance(entry._value, Root) else entry._value
        assert (value["a"] if isinstance(value, dict) else value.a) == 77


def test_an_entry_whose_data_were_replaced_shows_the_replacement() -> None:
    entry = Entry({"a": 1}, 4)
    entry._set_value(Model(a=1))
    entry.validated_data = {"other": [1, 2]}
    pending = Entry({"a": 2}, 5)
    foreign = Entry({"a": 3}, 6)
    foreign._set_value(Slotted(a=3))
    other = Entry(None)
    other._set_value(Slotted(a=9))
    foreign.validated_data = other.validated_data
    one, two, three = sent(Result(entries=[entry, pending, foreign]), list[Model | Slotted]).entries or []
    assert (one.validated_data, one._value) == ({"other": [1, 2]}, Model(a=1))
    assert (two.validated_data, two.status, two._index) == (None, EntryStatus.PENDING, 5)
    assert (dict(three.validated_data), three._value) == ({"a": 9}, Slotted(a=3))


def test_what_a_class_computes_and_keeps_does_not_travel() -> None:
    entry = Entry({"a": 1}, 0)
    entry._set_value(Model(a=1))
    assert entry._value.slow == 2
    (found,) = sent(Result(entries=[entry]), Model).entries or []
    assert "slow" not in found.validated_data
    assert found._value.slow == 2


def test_undecided_entries_come_back() -> None:
    entry = Entry({"a": 1}, 1)
    pending = [
        Pending(0, 0, (), None, Failure(0, "pre", [{"type": "T", "message": "m"}], b"row", "h", 1)),
        Pending(1, 0, (((1, "key"), b"refused"), (None, None)), b"line", None, entry),
        Pending(1, 2, ((date(2024, 1, 1), None),), b"line", None, None),
    ]
    found = sent(Result(read=2, pending=pending)).pending or []
    assert [(one.index, one.part, one.verdicts, one.row, one.failure) for one in found] == [
        (one.index, one.part, one.verdicts, one.row, one.failure) for one in pending
    ]
    assert [one.entry and one.entry.raw_data for one in found] == [None, {"a": 1}, None]
    assert sent(Result(pending=[])).pending == []


@pytest.mark.parametrize(
    "error",
    [
        SourceError("gone", source="x.csv", position=7),
        HookContractError("it did", hook="h"),
        RunError("the hook h failed in setup"),
        KeyError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_ends_the_run_keeps_its_class_and_facts(error: Exception) -> None:
    found = sent(Result(read=3, fatal=error)).fatal
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert {k: v for k, v in vars(found).items() if k != "__notes__"} == vars(error)


@pytest.mark.parametrize("name", [*SAMPLES, *TYPED_SAMPLES])
def test_every_type_that_travels_is_in_a_row_what_it_was(name: str) -> None:
    value = {**SAMPLES, **TYPED_SAMPLES}[name]
    driver, worker = pair()
    driver.pack_chunk(RecordsChunk([TYPED_SAMPLES]))
    worker.learn(driver.extra_types)
    rows = [{"value": value}, {"value": value}]
    entry = Entry({"raw": value}, 0)
    entry._set_value({"valid": value})
    data = worker.pack_result(Result(payload=rows, entries=[entry]))
    found = driver.open_result(data)
    assert difference(rows, found.payload) is None
    (back,) = found.entries or []
    assert difference([entry.raw_data, entry.validated_data], [back.raw_data, back.validated_data]) is None


def test_a_row_that_cannot_travel_is_told_apart() -> None:
    _, worker = pair()
    rows = [{"a": 1}, {"a": {"b": Opaque()}}, {"a": 3}]
    with pytest.raises(Untravelable, match="Opaque"):
        worker.pack_result(Result(payload=rows))
    worker.check(rows[0])
    with pytest.raises(CodecError, match=r"^Cannot encode \$\.a\.b: .*Opaque") as caught:
        worker.check(rows[1])
    assert caught.value.path == "$.a.b"
    assert [worker.can_travel(row) for row in rows] == [True, False, True]


@pytest.mark.parametrize("part", ["raw_data", "metadata", "errors", "_value", "validated_data"])
def test_an_entry_that_cannot_travel_is_told_apart(part: str) -> None:
    _, worker = pair()
    entry = Entry({"a": 1}, 0)
    assert worker.can_travel(entry)
    if part == "metadata":
        entry.metadata["x"] = Opaque()
    elif part == "errors":
        entry.errors.append({"x": Opaque()})
    else:
        setattr(entry, part, {"x": Opaque()})
    assert not worker.can_travel(entry)
    with pytest.raises(Untravelable):
        worker.pack_result(Result(entries=[entry]))
    with pytest.raises(Untravelable):
        worker.pack_result(Result(pending=[Pending(0, 0, (), None, None, entry)]))


def test_a_verdict_that_cannot_travel_is_told_apart() -> None:
    _, worker = pair()
    with pytest.raises(Untravelable):
        worker.pack_result(Result(pending=[Pending(0, 0, ((Opaque(), None),))]))


def test_what_passes_the_check_travels_however_deep_it_is() -> None:
    driver, worker = pair()
    refused = 0
    for depth in range(40, 70):
        row: Any = "bottom"
        for _ in range(depth):
            row = {"x": row}
        for shaped in (row, [row, row]):
            entry = Entry(shaped, 0)
            if worker.can_travel(shaped):
                result = Result(payload=[shaped] * 2, pending=[Pending(0, 0, ((shaped, None),), shaped)])
                assert driver.open_result(worker.pack_result(result)) == result
            else:
                refused += 1
            if worker.can_travel(entry):
                pending = [Pending(0, 0, (), None, None, entry)]
                worker.pack_result(Result(entries=[entry, entry], pending=pending))
    assert 10 < refused < 40


def test_a_result_that_is_too_long_for_one_frame_goes_in_several() -> None:
    codec = get_codec("msgpack", max_frame_bytes=2000)
    driver = Carrier(codec)
    worker = pickle.loads(pickle.dumps(driver))
    entries = [Entry({"a": i, "text": "e" * 100}, i) for i in range(100)]
    failures = [Failure(i, "pre", [{"type": "T", "message": "m" * 100}], b"r" * 100, "h", 1) for i in range(100)]
    pending = [Pending(i, 0, ((i, b"no" * 50), (None, None)), ("text", b"p" * 100), None, None) for i in range(100)]
    rows = [{"a": i, "text": "x" * 300} for i in range(100)]
    for payload in (rows, tuple(rows), (("a", "b"), b"line\n" * 5000), [(("a",), rows)], b"line\n" * 5000):
        result = Result(100, 50, 1, 2, payload, failures, None, None, {"read": 0.5}, Extent(1, 2, "x"))
        data = worker.pack_result(result)
        assert driver.open_result(data) == result
    long = driver.open_result(worker.pack_result(Result(pending=pending, entries=entries)))
    assert long.pending == pending
    assert [facts(entry) for entry in long.entries or []] == [facts(entry) for entry in entries]


def test_compressed_lines_that_are_too_long_go_in_several_frames() -> None:
    driver = Carrier(get_codec("msgpack", compression="lz4", max_frame_bytes=2000))
    worker = pickle.loads(pickle.dumps(driver))
    result = Result(1, 1, payload=random.Random(1).randbytes(10_000))
    assert driver.open_result(worker.pack_result(result)) == result


def test_one_row_that_is_too_long_for_a_frame_is_told_apart() -> None:
    worker = Carrier(get_codec("msgpack", max_frame_bytes=2000))
    rows = [{"a": "x" * size} for size in (300, 300, 5000, 300)] * 5
    with pytest.raises(Untravelable, match="max_frame_bytes"):
        worker.pack_result(Result(payload=rows))
    assert [worker.can_travel(row) for row in rows[:4]] == [True, True, False, True]
    with pytest.raises(CodecError, match=r"It cannot travel: The frame has 5,\d+ bytes, more than max_frame_bytes"):
        worker.check(rows[2])
    assert worker.can_travel(b"x" * 5000), "bytes go in several frames"


@pytest.mark.parametrize("size", range(1880, 2010, 3))
def test_what_passes_the_check_travels_however_long_it_is(size: int) -> None:
    driver = Carrier(get_codec("msgpack", max_frame_bytes=2000))
    row = {"a": "x" * size}
    entry = Entry(row, 0)
    for result, part in ((Result(payload=[row] * 3), row), (Result(entries=[entry] * 3), entry)):
        if driver.can_travel(part):
            found = driver.open_result(driver.pack_result(result))
            assert found.payload == result.payload
        else:
            with pytest.raises(Untravelable):
                driver.pack_result(result)


def test_what_holds_itself_never_ends_anything() -> None:
    _, worker = pair()
    one: list[Any] = []
    one.append(one)
    two: list[Any] = []
    two += [two, two]
    for value in (one, two, [1, one], (two,)):
        assert not worker.can_travel(value)
        with pytest.raises(Untravelable, match="contains itself"):
            worker.pack_result(Result(payload=[value]))


def test_a_long_result_that_is_damaged_is_a_codec_error() -> None:
    driver = Carrier(get_codec("msgpack", max_frame_bytes=300))
    data = driver.pack_result(Result(payload=[{"a": "x" * 100}] * 10))
    for damaged in (data[:-1], data + b"\0", data[:40] + b"?" + data[41:]):
        with pytest.raises(CodecError):
            driver.open_result(damaged)
    encode = get_codec("msgpack").encode
    for steps in ([], [[1, None]], [[0, [1]], [0, [2]]], [[7, None]], [[0, 1], [0, b""], [1, None]], [3], [[0, 5]]):
        with pytest.raises(CodecError, match="malformed"):
            driver.open_result(border.join(border.LONG_RESULT, 0, 0.0, [encode(step) for step in steps]))


@pytest.mark.parametrize("where", ["raw", "data", "both", "errors"])
def test_a_failed_record_that_is_too_long_is_shown_in_brief(where: str) -> None:
    driver = Carrier(get_codec("msgpack", max_frame_bytes=4000))
    long = {"a": "x" * (3000 if where == "both" else 9000)}
    row = {"phase": "pre", "raw": {"n": 1}, "data": {"n": 2}, "hook": None}
    errors = [{"type": "T", "message": "m" * 9000 if where == "errors" else "m"}]
    if where != "errors":
        row |= dict.fromkeys(("raw", "data") if where == "both" else (where,), long)
    (found,) = driver.open_result(driver.pack_result(Result(1, failures=[Failure(0, "pre", errors, row)]))).failures
    assert set(found.row) == set(row)
    for name, value in row.items():
        assert found.row[name] == (str(value)[:1000] if value is long else value)
    assert found.errors == [{"type": "T", "message": errors[0]["message"][:1000]}]


def test_the_verdicts_of_a_failed_record_travel_up_to_the_first_that_cannot() -> None:
    _, worker = pair()

    class Seen(BaseHook):
        scope = "run"

        def __init__(self, bad: int) -> None:
            self._bad = bad

        def value(self, entry: Any, store: Any) -> Any:
            return Opaque() if entry.raw_data["a"] == self._bad else entry.raw_data["a"]

        def decide(self, value: Any, position: int) -> str:
            return "keep"

    def fails(entry: Any, store: Any) -> None:
        if entry.raw_data["a"] == 3:
            raise ValueError("no")

    program = Program("run", None, pre=bind_hooks((), (Seen(0), Seen(3), fails), ()), encoder=PlainEncoder())
    chunk = RecordsChunk([{"a": i} for i in range(5)])
    result = process(chunk, program, 0, check=worker.check)
    found = {one.index: one for one in sent(result).pending or []}
    assert {index: [value for value, _ in one.verdicts] for index, one in found.items()} == {
        0: [],
        1: [1, 1],
        2: [2, 2],
        3: [3],
        4: [4, 4],
    }
    errors = {index: one.failure.errors[0]["type"] for index, one in found.items() if one.failure}
    assert errors == {0: "CodecError", 3: "HookError"}


def test_a_failed_record_travels_with_the_legible_form_of_what_cannot() -> None:
    row = {"phase": "pre", "raw": {"x": Opaque()}, "data": {"day": date(2024, 1, 1)}}
    failures = [Failure(0, "pre", [{"type": "T", "message": Opaque()}], row), Failure(1, "pre", [{"type": "T"}], row)]
    pending = [Pending(0, 0, (("value", row),), None, failures[0])]
    found = sent(Result(failures=failures, pending=pending))
    expected = {"phase": "pre", "raw": {"x": "<opaque>"}, "data": {"day": date(2024, 1, 1)}}
    assert [failure.row for failure in found.failures] == [expected, expected]
    assert found.failures[0].errors == [{"type": "T", "message": "<opaque>"}]
    assert found.pending is not None
    assert found.pending[0].verdicts == (("value", expected),)
    assert found.pending[0].failure == found.failures[0]
    assert row["raw"]["x"].__class__ is Opaque  # the worker's own result is as it was


@pytest.mark.parametrize("compression", [None, "lz4"])
def test_damaged_frames_are_always_codec_errors(compression: str | None) -> None:
    driver, worker = pair(Model, compression)
    entry = Entry({"a": 1}, 0)
    entry._set_value(Model(a=1))
    failure = Failure(1, "pre", [{"type": "T", "message": "m"}], {"raw": {"a": Decimal(1)}})
    data = worker.pack_result(Result(1, 1, payload=b"x" * 100, failures=[failure], entries=[entry], seconds={"r": 1.0}))
    flips = 0
    for damaged in damages(data):
        flips += 1
        with pytest.raises(CodecError):
            driver.open_result(damaged)
    assert flips > 1000


def test_a_whole_frame_of_something_else_is_a_codec_error() -> None:
    driver, worker = pair()
    chunk, result = driver.pack_chunk(RecordsChunk([{"a": 1}])), worker.pack_result(Result())
    with pytest.raises(CodecError, match="no result"):
        driver.open_result(chunk)
    with pytest.raises(CodecError, match="no chunk"):
        worker.open_chunk(result)


def counted(carrier: Carrier) -> float:
    """The seconds of its own codec, which is that of MessagePack."""
    codec = carrier._codecs[0]
    assert isinstance(codec, MsgpackCodec)
    return codec.compress_seconds


def test_the_driver_knows_bytes_and_seconds_of_both_directions() -> None:
    driver, worker = pair(compression="lz4")
    data = driver.pack_chunk(RecordsChunk([{"a": "same " * 50} for _ in range(1000)]))
    out_raw, out_frame, out_seconds = driver.raw_bytes, driver.frame_bytes, driver.compress_seconds
    worker.open_chunk(data)
    answer = worker.pack_result(Result(payload=b"same " * 50_000))
    driver.open_result(answer)
    assert driver.raw_bytes - out_raw > 250_000 > driver.frame_bytes - out_frame > 0
    own = counted(driver)
    assert own > out_seconds
    told = counted(worker)
    assert driver.compress_seconds == pytest.approx(own + told)
    driver.open_result(worker.pack_result(Result()))
    assert driver.compress_seconds < 2 * (own + told) + 1  # told once, not again with every result
    assert driver._heard == pytest.approx(counted(worker))


def test_a_codec_that_changes_what_results_are_made_of_is_refused() -> None:
    class Lists:
        """Makes lists of tuples, as JSON does."""

        def __init__(self) -> None:
            self._codec = get_codec("msgpack")

        def encode(self, value: Any, /) -> bytes:
            return self._codec.encode([list(part) if isinstance(part, tuple) else part for part in value])

        def decode(self, data: bytes, /) -> Any:
            return self._codec.decode(data)

    with pytest.raises(CodecError, match=r"Lists cannot carry .* tuple .* codec msgpack"):
        Carrier(Lists())
    with pytest.raises(CodecError, match="Model cannot travel as it is"):
        Carrier(get_codec("msgpack"), None, (Model,))
