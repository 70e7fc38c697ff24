"""The table of types: every class that a schema names, found alike on driver and workers."""

from __future__ import annotations

import enum
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel
from typing_extensions import TypedDict

from pipe_core import get_codec
from pipe_core.formats.memory_source import RecordsChunk
from pipe_core.kernel.errors import CodecError
from pipe_core.records.program import Program
from pipe_core.records.schema import Schema
from pipe_core.records.transport.carrier import Carrier
from pipe_core.records.transport.types_of import classes_in, types_of
from pipe_core.records.worker import process
from pipe_core.runtime.wire import dumps

T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Point(NamedTuple):
    x: int
    color: Color


@dataclass
class Money:
    amount: int
    level: Level = Level.LOW


class Box(BaseModel, Generic[T]):
    content: T


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    mood: Color = Color.BLUE


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    owner: Money | None = None


class Tree(BaseModel):
    value: int
    children: list[Tree] = Field(default_factory=list)


class Names(RootModel[list[str]]):
    pass


class Late(BaseModel):
    model_config = ConfigDict(defer_build=True)
    point: Point


class Row(TypedDict):
    late: Late
    level: Level


class Chosen(BaseModel):
    color: Literal[Color.RED] = Color.RED
    anything: Any = Level.HIGH


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


class Everything(BaseModel):
    pet: Pet
    box: Box[Point]
    tree: Tree
    names: Names
    row: Row
    prices: dict[str, list[tuple[Money, ...]]] = Field(default_factory=dict)


CASES: list[tuple[Any, Any, set[type]]] = [
    (Color, "red", {Color}),
    (Level, 2, {Level}),
    (Point, (1, "red"), {Point, Color}),
    (Money, {"amount": 1, "level": 2}, {Money, Level}),
    (Box[int], {"content": 1}, {Box[int]}),
    (Box[Money], {"content": {"amount": 1}}, {Box[Money], Money, Level}),
    (Tree, {"value": 1, "children": [{"value": 2, "children": [{"value": 3}]}]}, {Tree}),
    (Names, ["a"], {Names}),
    (Late, {"point": (1, "red")}, {Late, Point, Color}),
    (Row, {"late": {"point": (1, "red")}, "level": 1}, {Late, Point, Color, Level}),
    (Chosen, {}, {Chosen, Color, Level}),
    (list[Pet], [{"kind": "cat", "mood": "red"}, {"kind": "dog"}], {Cat, Dog, Color, Money, Level}),
    (
        Everything,
        {
            "pet": {"kind": "dog", "owner": {"amount": 1}},
            "box": {"content": (1, "blue")},
            "tree": {"value": 1, "children": [{"value": 2}]},
            "names": ["x"],
            "row": {"late": {"point": (1, "red")}, "level": 2},
            "prices": {"a": [({"amount": 1},)]},
        },
        {Everything, Cat, Dog, Color, Money, Level, Box[Point], Point, Tree, Names, Late},
    ),
]


@pytest.mark.parametrize(("kind", "record", "expected"), CASES, ids=lambda value: getattr(value, "__name__", None))
def test_what_a_schema_makes_travels(kind: Any, record: Any, expected: set[type]) -> None:
    schema = Schema(kind)
    driver = Carrier(get_codec("msgpack"), schema)
    assert set(driver.types) - {Box} == expected
    worker = pickle.loads(pickle.dumps(driver))
    result = process(RecordsChunk([record]), Program("run", schema, wants_entries=True), 0)
    assert result.failures == []
    (before,) = result.entries or []
    (after,) = driver.open_result(worker.pack_result(result)).entries or []
    assert type(after._value) is type(before._value)
    assert after._value == before._value


def test_the_order_is_that_of_the_schema_and_always_the_same() -> None:
    assert types_of(Schema(Everything)) == types_of(Schema(Everything))
    assert [kind for kind in types_of(Schema(Money)) if kind in (Money, Level)] == [Money, Level]
    assert types_of(None) == ()


def test_classes_in_a_value_are_found_to_its_depth_and_in_loops() -> None:
    loop: list[Any] = [Box[Any](content=[Point(1, Color.RED)]), {Level.LOW: {"x": (Money(1),)}}, frozenset({date.min})]
    loop.append(loop)
    found = set(classes_in(loop))
    assert {Box[Any], Point, Color, Level, Money, date} <= found
    assert not found & {list, dict, str, int}


def test_other_classes_on_a_worker_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pickle.dumps(Carrier(get_codec("msgpack"), Schema(Money)))
    monkeypatch.setattr("pipe_core.records.transport.carrier.types_of", lambda schema: (Level, Money))
    with pytest.raises(CodecError, match=r"other classes on the worker .* pydantic"):
        pickle.loads(data).check(1)


def test_a_codec_can_be_made_again_on_the_worker() -> None:
    class Locked:
        """Cannot be pickled."""

        def __init__(self) -> None:
            self._codec = get_codec("msgpack")
            self.nothing: Callable[[], None] = lambda: None

        def encode(self, value: Any, /) -> bytes:
            return self._codec.encode(value)

        def decode(self, data: bytes, /) -> Any:
            return self._codec.decode(data)

    driver = Carrier(Locked(), None, (RecordsChunk,), remake=Remade())
    worker = pickle.loads(pickle.dumps(driver))
    assert worker.open_chunk(driver.pack_chunk(RecordsChunk([{"a": 1}]))).records == [{"a": 1}]


class Remade:
    """Makes a codec, and travels."""

    def __call__(self) -> Any:
        return get_codec("msgpack")


PROGRAM = """
import sys
from pipe_core.kernel.errors import CodecError
import cloudpickle

carrier, program, process, extra, frame = cloudpickle.loads(sys.stdin.buffer.read())
try:
    carrier.open_chunk(frame)
except CodecError:
    carrier.learn(cloudpickle.loads(extra))
sys.stdout.buffer.write(carrier.pack_result(process(carrier.open_chunk(frame), program, 0)))
"""


@dataclass
class Unnamed:
    """A class that only records hold."""

    level: Level
    money: Money = field(default_factory=lambda: Money(2, Level.HIGH))


class Holder(BaseModel, Generic[T]):
    point: T
    level: Level
    everything: Everything
    rest: Any


def test_classes_that_a_worker_cannot_import_come_back_as_they_were(tmp_path: Path) -> None:
    schema = Schema(Holder[Point])
    driver = Carrier(get_codec("msgpack", compression="lz4"), schema, (RecordsChunk,))
    record = {"point": (1, "red"), "level": 2, "everything": CASES[-1][1]}
    frame = driver.pack_chunk(RecordsChunk([{**record, "rest": Unnamed(Level.LOW)}, {**record, "rest": None}]))
    program = Program("run", schema, wants_entries=True)
    sent = dumps((driver, program, process, dumps(driver.extra_types), frame))
    command = [sys.executable, "-c", PROGRAM]
    run = subprocess.run(command, input=sent, capture_output=True, timeout=50, check=False, cwd=tmp_path)
    assert run.returncode == 0, run.stderr.decode()
    result = driver.open_result(run.stdout)
    assert result.failures == []
    one, two = [entry._value for entry in result.entries or ()]
    expected = {"point": Point(1, Color.RED), "level": Level.HIGH, "everything": CASES[-1][1]}
    assert one == Holder[Point](**expected, rest=Unnamed(Level.LOW))
    assert type(one) is Holder[Point]
    assert type(one.rest) is Unnamed
    assert two.rest is None
