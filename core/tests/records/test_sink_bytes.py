"""What a pipe writes, byte for byte: JSON lines as pydantic makes them, and columns of CSV."""

from __future__ import annotations

import collections
import csv
import dataclasses
import datetime as dt
import enum
import ipaddress
import json
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from pydantic import (
    Base64Bytes,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    Json,
    PlainSerializer,
    RootModel,
    SecretStr,
    SerializeAsAny,
    TypeAdapter,
    computed_field,
    field_serializer,
    model_serializer,
)
from pydantic.networks import HttpUrl
from typing_extensions import TypedDict

from pipe_core import BaseHook, HookStore, Pipe
from pipe_core.records.entry import Entry


def look(entry: Entry, store: HookStore) -> None:
    """Reads everything, changes nothing."""
    if isinstance(view := entry.validated_data, Mapping):
        assert len([view[key] for key in view]) == len(view)


class LookAtAll(BaseHook):
    def execute(self, entries: list[Entry], store: HookStore) -> None:
        for entry in entries:
            look(entry, store)


HOOKS: list[dict[str, Any]] = [
    {},
    {"pre_validation_hooks": [look]},
    {"post_validation_hooks": [look, LookAtAll()]},
]


# --- JSON lines are model_dump_json -----------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1


class Everything(BaseModel):
    text: str = 'ü\u2028"\\\x00/😀'
    number: int = -(10**30)
    real: float = -0.0
    small: float = 1e-7
    whole: float = 1.0
    odd: float = float("nan")
    endless: float = float("-inf")
    truth: bool = True
    nothing: None = None
    day: dt.date = dt.date(1, 1, 1)
    when: dt.datetime = dt.datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))
    naive: dt.datetime = dt.datetime.max
    at: dt.time = dt.time(1, 2, 3, tzinfo=dt.UTC)
    span: dt.timedelta = dt.timedelta(days=-1, microseconds=5)
    money: Decimal = Decimal("1.500")
    key: uuid.UUID = uuid.UUID(int=7)
    raw: bytes = b"text"
    coded: Base64Bytes = b"/w=="
    colour: Colour = Colour.BLUE
    level: Level = Level.LOW
    pair: tuple[int, str] = (1, "a")
    unique: set[int] = {1}
    frozen: frozenset[str] = frozenset({"a"})
    queue: collections.deque[int] = collections.deque([3, 1])
    keyed: dict[int, dict[dt.date, str]] = {1: {dt.date(2024, 1, 1): "x"}}
    home: ipaddress.IPv6Address = ipaddress.IPv6Address("::1")
    place: Path = Path("/a/b")
    link: HttpUrl = Field(default="http://example.com/a?b=c", validate_default=True)
    secret: SecretStr = SecretStr("hidden")
    size: ByteSize = ByteSize(2048)
    parsed: Json[list[int]] = [1, 2]
    anything: Any = {"a": [1, None, Colour.RED, dt.date.max]}
    choice: Literal["a", 1] = 1
    either: int | str = "1"

    model_config = ConfigDict(validate_default=False)


class Plain(BaseModel):
    a: int
    b: str = "b"


class Wide(Plain):
    c: int = 3


class Custom(BaseModel):
    a: int
    when: dt.datetime = dt.datetime(2024, 1, 1)
    hidden: int = Field(5, exclude=True)
    shouted: Annotated[str, PlainSerializer(str.upper)] = "loud"
    renamed: int = Field(7, serialization_alias="NAME")

    @field_serializer("when")
    def stamp(self, value: dt.datetime) -> int:
        return value.year

    @computed_field  # type: ignore[prop-decorator]  # as pydantic says
    @property
    def double(self) -> int:
        return 2 * self.a


class ByAlias(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True)
    a: int = Field(validation_alias="a", serialization_alias="A b")


class Whole(BaseModel):
    a: int

    @model_serializer
    def pair(self) -> list[int]:
        return [self.a, self.a + 1]


class Around(BaseModel):
    a: int

    @model_serializer(mode="wrap")
    def add(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {"first": 0, **handler(self)}


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Numbers(RootModel[list[int]]):
    pass


T = TypeVar("T")


class Box(BaseModel, Generic[T]):
    content: T
    whatever: SerializeAsAny[Plain] = Plain(a=1)


class Infinite(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="constants", ser_json_timedelta="float", ser_json_bytes="base64")
    real: float = float("inf")
    span: dt.timedelta = dt.timedelta(seconds=1.5)
    raw: bytes = b"\xff"


class Tree(BaseModel):
    n: int
    children: list[Tree] = []


@dataclasses.dataclass
class Point:
    x: int
    y: dt.date = dt.date(2024, 1, 1)


class Movie(TypedDict, total=False):
    title: str
    year: int


SCHEMAS: dict[str, tuple[Any, list[Any]]] = {
    "everything": (Everything, [{}, {"text": "plain", "parsed": "[3]"}, {"unique": []}]),
    "custom serializers": (Custom, [{"a": 1}, {"a": "2", "hidden": 3}]),
    "aliases": (ByAlias, [{"a": 1}]),
    "a serializer of the whole": (Whole, [{"a": 1}]),
    "a serializer around the whole": (Around, [{"a": 1}]),
    "extra fields": (Open, [{"a": 1, "z": [b"x", Decimal(1)]}, {"a": 2}]),
    "root model": (Numbers, [[1, 2], []]),
    "generic": (Box[dict[str, Plain]], [{"content": {"k": {"a": 1}}}, {"content": {}, "whatever": Wide(a=5)}]),
    "infinite": (Infinite, [{}]),
    "recursive": (Tree, [{"n": 1, "children": [{"n": 2}]}]),
    "dataclass": (Point, [{"x": 1}, {"x": 2, "y": "2024-05-05"}]),
    "TypedDict": (Movie, [{"title": "a"}, {}, {"year": 5}]),
    "list": (list[dt.date], [["2024-01-01"], []]),
    "int": (int, [1, "2"]),
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_json_lines_are_what_pydantic_writes(name: str, tmp_path: Path, executor: Any) -> None:
    schema, records = SCHEMAS[name]
    adapter = TypeAdapter(schema)
    lines = [adapter.dump_json(adapter.validate_python(record)) for record in records]
    for number, hooks in enumerate(HOOKS):
        for suffix, expected in (
            ("jsonl", b"".join(line + b"\n" for line in lines)),
            ("json", b"[\n" + b",\n".join(lines) + b"\n]\n"),
        ):
            target = tmp_path / f"{number}.{suffix}"
            Pipe(records, target, schema=schema, executor=executor, **hooks).run()
            assert target.read_bytes() == expected


def test_what_a_hook_changed_and_added_is_written_where_it_belongs(tmp_path: Path) -> None:
    def change(entry: Entry, store: HookStore) -> None:
        entry.validated_data["a"] += 1
        entry.validated_data["more"] = dt.date(2024, 1, 1)

    for schema, expected in (
        (Plain, b'{"a":2,"b":"b","more":"2024-01-01"}\n'),
        (Custom, b'{"a":2,"when":2024,"shouted":"LOUD","renamed":7,"double":4,"more":"2024-01-01"}\n'),
    ):
        target = tmp_path / f"{schema.__name__}.jsonl"
        Pipe([{"a": 1}], target, schema=schema, post_validation_hooks=[change]).run()
        assert target.read_bytes() == expected


# --- columns of CSV ---------------------------------------------------------------------------------------------------


class Table(BaseModel):
    id: int
    position: str = "here"
    status: str | None = None
    raw_data: str = "r"
    errors: int = 0
    phase: str = "p"

    @computed_field  # type: ignore[prop-decorator]  # as pydantic says
    @property
    def twice(self) -> int:
        return 2 * self.id


COLUMNS = ["id", "position", "status", "raw_data", "errors", "phase", "twice"]


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [*csv.reader(file)]


@pytest.mark.parametrize("hooks", HOOKS)
def test_columns_come_from_the_schema_whatever_they_are_called(hooks: dict[str, Any], tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    Pipe([{"id": 1}, {"position": 'a,"b"\n', "id": 2, "status": "done"}], target, schema=Table, **hooks).run()
    assert rows_of(target) == [
        COLUMNS,
        ["1", "here", "", "r", "0", "p", "2"],
        ["2", 'a,"b"\n', "done", "r", "0", "p", "4"],
    ]


@pytest.mark.parametrize("records", [[], [{"id": "x"}]])
def test_a_csv_without_a_valid_record_has_its_header(records: list[Any], tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    Pipe(records, target, schema=Table).run()
    assert rows_of(target) == [COLUMNS]


def test_columns_can_be_named_and_ordered(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    Pipe([{"id": 1}], (target, {"fieldnames": ["twice", "id"], "on_extra": "ignore"}), schema=Table).run()
    assert rows_of(target) == [["twice", "id"], ["2", "1"]]


@pytest.mark.parametrize("chunk_size", [1, 2, 100])
def test_a_key_without_a_column_fails_its_record_and_a_missing_one_is_empty(
    chunk_size: int, tmp_path: Path, executor: Any
) -> None:
    records = [{"a": 1, "b": 2}, {"a": 3}, {"a": 4, "c": 5}, {"b": 6, "a": 7}]
    bad: list[Any] = []
    target = tmp_path / "out.csv"
    source = (target, {"fieldnames": ["a", "b"]})
    Pipe(records, source, errors=bad, chunk_size=chunk_size, executor=executor).run()
    assert rows_of(target) == [["a", "b"], ["1", "2"], ["3", ""], ["7", "6"]]
    assert [(row["position"], row["phase"]) for row in bad] == [(2, "encode")]
    assert "'c'" in bad[0]["errors"][0]["message"]


def test_cells_of_every_type_can_be_read_back(tmp_path: Path) -> None:
    class Typed(BaseModel):
        day: dt.date
        money: Decimal
        real: float
        truth: bool
        raw: bytes
        colour: Colour
        inner: Plain
        many: list[int]

    record = {
        "day": dt.date(2024, 1, 1),
        "money": Decimal("1.50"),
        "real": 0.1,
        "truth": True,
        "raw": b"x",
        "colour": Colour.BLUE,
        "inner": {"a": 1},
        "many": [1, 2],
    }
    target = tmp_path / "out.csv"
    Pipe([record], target, schema=Typed).run()
    [header, row] = rows_of(target)
    assert header == list(Typed.model_fields)
    assert row[:3] == ["2024-01-01", "1.50", "0.1"]
    assert (json.loads(row[6]), json.loads(row[7])) == ({"a": 1, "b": "b"}, [1, 2])
