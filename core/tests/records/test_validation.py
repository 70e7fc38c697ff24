"""Validation in a pipe is what `TypeAdapter.validate_python` does with one record after the other, and nothing else."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NotRequired, Required, TypeVar

import pytest
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    Tag,
    ValidationError,
    computed_field,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict
from validating import HOOKS, Colour, Inner, assert_same

from pipe_core import Pipe
from pipe_core.kernel.errors import SchemaError

# --- every kind of schema ---------------------------------------------------------------------------------------------

T = TypeVar("T")


class Ordered(BaseModel):
    low: int
    high: int

    @model_validator(mode="before")
    @classmethod
    def from_pair(cls, value: Any) -> Any:
        return {"low": value[0], "high": value[1]} if isinstance(value, list) and len(value) == 2 else value

    @model_validator(mode="after")
    def check(self) -> Ordered:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    good: bool = True


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


def tag_of(value: Any) -> str | None:
    return value.get("k") if isinstance(value, dict) else None


Tagged = Annotated[Annotated[Cat, Tag("c")] | Annotated[Dog, Tag("d")], Discriminator(tag_of)]


class Owner(BaseModel):
    name: str
    pets: list[Pet] = Field(default_factory=list)


class Box(BaseModel, Generic[T]):
    content: T
    more: list[T] = []


class Numbers(RootModel[list[int]]):
    pass


class Aliased(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    first: int = Field(alias="FIRST")
    second: int = Field(0, validation_alias=AliasChoices("two", AliasPath("deep", 0, "two")), serialization_alias="2")


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


@pydantic_dataclass
class Checked:
    x: int

    @field_validator("x")
    @classmethod
    def positive(cls, value: int) -> int:
        if value <= 0:
            raise ValueError("not positive")
        return value


class Movie(TypedDict, total=False):
    title: Required[str]
    year: NotRequired[int]


class Deferred(BaseModel):
    model_config = ConfigDict(defer_build=True)
    later: int


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    day: dt.date
    n: int = 1


class Default(BaseModel):
    n: int = 5
    when: dt.date = dt.date(2020, 1, 1)
    unchecked: int = "not a number"  # type: ignore[assignment]  # pydantic does not look at defaults


class Computed(BaseModel):
    n: int

    @computed_field  # type: ignore[prop-decorator]  # as pydantic says
    @property
    def double(self) -> int:
        return 2 * self.n


class Private(BaseModel):
    model_config = ConfigDict(extra="allow")
    n: int
    _seen: bool = False

    def model_post_init(self, context: Any) -> None:
        self._seen = True


EVERY_KIND: dict[str, tuple[Any, list[Any]]] = {
    "model validators": (Ordered, [{"low": 1, "high": 2}, [1, 2], {"low": 3, "high": 2}, [2, 1], [1], {}]),
    "discriminated union": (Pet, [{"kind": "cat", "lives": 9}, {"kind": "dog"}, {"kind": "cow"}, {"kind": "cat"}, {}]),
    "callable discriminator": (Tagged, [{"k": "c", "kind": "cat", "lives": "7"}, {"k": "x"}, {"k": "d"}, 5]),
    "unions inside": (Owner, [{"name": "a", "pets": [{"kind": "dog"}, {"kind": "rat"}]}, {"name": 1}, {"name": "b"}]),
    "generic": (Box[int], [{"content": "1"}, {"content": "x", "more": [1, "y"]}, {"more": []}]),
    "generic of a model": (Box[Point], [{"content": {"x": 1}}, {"content": {"y": 1}}]),
    "root model": (Numbers, [[1, "2"], [1, "x"], [], {"a": 1}]),
    "aliases": (Aliased, [{"FIRST": 1, "two": 2}, {"first": 1}, {"FIRST": 1, "deep": [{"two": "z"}]}, {"two": "x"}]),
    "recursive": (Tree, [{"value": 1, "children": [{"value": 2, "children": [{"value": "x"}]}]}, {"value": 1}]),
    "dataclass": (Point, [{"x": 1}, {"x": "a", "y": "b"}, {"x": 1, "z": 1}, {}]),
    "pydantic dataclass": (Checked, [{"x": 1}, {"x": -1}, {"x": None}]),
    "TypedDict": (Movie, [{"title": "a"}, {"year": 1}, {"title": "a", "year": "x"}, {"title": "a", "z": 1}]),
    "defer_build": (Deferred, [{"later": 1}, {"later": "x"}]),
    "strict": (Strict, [{"day": dt.date(2024, 1, 1)}, {"day": "2024-01-01"}, {"day": dt.date.min, "n": "1"}]),
    "defaults": (Default, [{}, {"n": "x"}, {"when": "2021-01-01"}, {"unchecked": "x"}]),
    "computed field": (Computed, [{"n": 1}, {"n": "x"}, {"n": 1, "double": 5}]),
    "private attributes and extra": (Private, [{"n": 1, "other": [1]}, {"n": "x", "other": 1}]),
    "list": (list[int], [[1], ["x", 2, "y"], 5]),
    "annotated": (Annotated[dict[str, int], Field(min_length=1)], [{"a": 1}, {}, {"a": "x"}]),
    "union": (int | dict[str, int], [1, {"a": 1}, {"a": "x"}, "y"]),
}


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_kind_of_schema_is_exact(kind: str, executor: Any) -> None:
    schema, records = EVERY_KIND[kind]
    if executor == "sync":
        assert_same(schema, records * 3)
    else:
        assert_same(schema, records * 3, ["no hooks", "both, many at a time"], chunk_size=2, executor=executor)


def test_values_stay_instances_for_whoever_streams_them() -> None:
    point, model, number = (
        next(iter(Pipe([record], schema=schema))).validated_data
        for schema, record in ((Point, {"x": "1"}), (Ordered, {"low": "1", "high": 2}), (Movie, {"title": "a"}))
    )
    assert (point["x"], model["low"], number["title"]) == (1, 1, "a")


@pytest.mark.parametrize("schema", ["text", 5, len, json, Inner(a=1)])
def test_what_is_no_type_is_refused_before_anything_runs(schema: Any) -> None:
    out: list[Any] = []
    with pytest.raises(SchemaError, match=r"no schema|cannot make"):
        Pipe([{"n": 1}], out, schema=schema).run()
    assert out == []


# --- how often validators run -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("hooks", HOOKS)
@pytest.mark.parametrize("chunk_size", [None, 1, 7, 1000])
def test_a_validator_runs_exactly_once_for_each_record(hooks: str, chunk_size: int | None) -> None:
    calls: Counter[int] = Counter()

    class Counted(BaseModel):
        n: int

        @model_validator(mode="before")
        @classmethod
        def count(cls, value: Any) -> Any:
            calls[value["n"]] += 1
            return value

        @field_validator("n")
        @classmethod
        def refuse(cls, value: int) -> int:
            if value % 3 == 0:
                raise ValueError("a multiple of three")
            return value

    good: list[Any] = []
    Pipe([{"n": n} for n in range(250)], good, schema=Counted, chunk_size=chunk_size, **HOOKS[hooks]).run()
    assert [row["n"] for row in good] == [n for n in range(250) if n % 3]
    assert calls == Counter(range(250))


@pytest.mark.parametrize("bad_every", [1, 2, 10, 10_000])
def test_the_number_of_calls_does_not_depend_on_how_many_records_are_bad(bad_every: int, executor: Any) -> None:
    calls: list[int] = []

    class Counted(BaseModel):
        n: int

        @field_validator("n", mode="before")
        @classmethod
        def refuse(cls, value: int) -> int:
            calls.append(value)
            if value % bad_every == 0:
                raise ValueError("bad")
            return value

    report = Pipe([{"n": n} for n in range(3000)], schema=Counted, executor=executor, chunk_size=1000).run()
    assert report.failed == len(range(0, 3000, bad_every))
    assert sorted(calls) == list(range(3000))


# --- validators that misbehave ----------------------------------------------------------------------------------------


class Pops(BaseModel):
    """Changes what it was given, and then fails."""

    n: int

    @model_validator(mode="before")
    @classmethod
    def take(cls, value: Any) -> Any:
        value["n"] = value.pop("number")
        value.setdefault("seen", []).append(1)
        return value


@pytest.mark.parametrize("hooks", HOOKS)
@pytest.mark.parametrize("chunk_size", [None, 1, 2])
def test_a_validator_that_changes_its_input_changes_no_other_record_and_not_the_source(
    hooks: str, chunk_size: int | None
) -> None:
    records: list[Any] = [{"number": 1}, {"number": "x"}, {"number": 3}, {"other": 4}, {"number": 5}]
    before = json.dumps(records)
    good: list[Any] = []
    bad: list[Any] = []
    Pipe(records, good, schema=Pops, errors=bad, chunk_size=chunk_size, **HOOKS[hooks]).run()
    assert [row["n"] for row in good] == [1, 3, 5]
    assert [(row["position"], row["errors"][0]["type"]) for row in bad] == [(1, "int_parsing"), (3, "KeyError")]
    assert [row["raw"] for row in bad] == [{"number": "x"}, {"other": 4}]
    assert bad[0]["data"] == {"n": "x", "seen": [1]}
    assert json.dumps(records) == before


class Odd(BaseException):
    def __str__(self) -> str:
        raise RuntimeError("cannot even say what it is")


RAISED: dict[str, tuple[Callable[[], BaseException], str, str]] = {
    "KeyError": (lambda: KeyError("key"), "KeyError", "'key'"),
    "SystemExit": (lambda: SystemExit(3), "SystemExit", "3"),
    "RecursionError": (lambda: RecursionError("too deep"), "RecursionError", "too deep"),
    "KeyboardInterrupt": (KeyboardInterrupt, "KeyboardInterrupt", "KeyboardInterrupt"),
    "GeneratorExit": (GeneratorExit, "GeneratorExit", "GeneratorExit"),
    "StopIteration": (StopIteration, "StopIteration", "StopIteration"),
    "MemoryError": (MemoryError, "MemoryError", "MemoryError"),
    "an odd one": (Odd, "Odd", "Odd"),
}


@pytest.mark.parametrize("name", RAISED)
@pytest.mark.parametrize("hooks", ["no hooks", "post"])
def test_a_validator_may_raise_anything_and_only_its_record_fails(name: str, hooks: str, executor: Any) -> None:
    make, kind, message = RAISED[name]

    class Model(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def fail(cls, value: int) -> int:
            if value in (0, 2, 3, 5):
                raise make()
            return value

    good: list[Any] = []
    bad: list[Any] = []
    records = [{"n": n} for n in range(6)]
    report = Pipe(records, good, schema=Model, errors=bad, executor=executor, **HOOKS[hooks]).run()
    assert [row["n"] for row in good] == [1, 4]
    reasons = [{"loc": [], "msg": message, "type": kind}]
    assert [(row["position"], row["phase"], row["errors"]) for row in bad] == [
        (n, "validation", reasons) for n in (0, 2, 3, 5)
    ]
    assert [(one.type, one.count) for one in report.histogram] == [(kind, 4)]


def test_a_record_that_holds_itself_fails_alone() -> None:
    loop: dict[str, Any] = {"value": 1}
    loop["children"] = [loop]
    good: list[Any] = []
    report = Pipe([{"value": 0}, loop, {"value": 2}], good, schema=Tree).run()
    assert [row["value"] for row in good] == [0, 2]
    assert report.histogram[0].type == "recursion_loop"


# --- JSON -------------------------------------------------------------------------------------------------------------

JSON_LINES = [
    '{"day": "2024-02-29", "n": 1}',
    '{"day": "2024-02-30", "n": 1}',
    '{"day": 5, "n": 1}',
    '{"day": "2024-01-01", "n": "1"}',
    '{"day": "2024-01-01", "n": 1.0}',
    '{"day": "2024-01-01", "n": ' + "9" * 400 + "}",
    '{"day": "2024-01-01", "n": 1e2}',
    '{"n": 1}',
    "[1, 2]",
    '"text"',
    "null",
    '{"day": "2024-01-01", "n": NaN}',
    '{"day": "\\ud800"}',
    '{"day": "2024-01-01", "day": "2024-01-02"}',
    '{"day": "2024-01-01"',
]


class Lenient(BaseModel):
    day: dt.date
    n: int | float = 1


class Wide(BaseModel):
    model_config = ConfigDict(strict=True)
    day: dt.date | None = None
    when: dt.datetime | None = None
    at: dt.time | None = None
    span: dt.timedelta | None = None
    key: uuid.UUID | None = None
    price: Decimal | None = None
    pair: tuple[int, int] | None = None
    tags: set[str] | None = None
    raw: bytes | None = None
    colour: Colour | None = None


WIDE_LINES = [
    *('{"day": "2024-01-01"}', '{"when": "2024-01-01T01:02:03Z"}', '{"at": "01:02"}', '{"span": "PT1S"}'),
    *('{"key": "00000000-0000-0000-0000-000000000007"}', '{"price": "1.50"}', '{"pair": [1, 2]}', '{"tags": ["a"]}'),
    *('{"raw": "bytes"}', '{"colour": "red"}', '{"day": 1}', '{"pair": ["1", 2]}', '{"price": 1}', '{"key": 5}'),
]


def outcome(source: Path, schema: Any, **options: Any) -> tuple[list[str], list[Any]]:
    good: list[Any] = []
    bad: list[Any] = []
    report = Pipe(source, good, schema=schema, errors=bad, **options).run()
    assert report.conserved
    return [repr(row) for row in good], [(row["position"], row["phase"], row["errors"], row["raw"]) for row in bad]


@pytest.mark.parametrize("schema", [Lenient, Strict, Wide, dict[str, Any]])
@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_a_hook_never_changes_which_json_is_valid(schema: Any, suffix: str, tmp_path: Path, executor: Any) -> None:
    source = tmp_path / f"in{suffix}"
    lines = [*JSON_LINES, *WIDE_LINES]
    if suffix == ".json":
        lines = [line for line in lines if not line.endswith('-01"')]  # one half object would end an array
    source.write_text("\n".join(lines) + "\n" if suffix == ".jsonl" else "[" + ",\n".join(lines) + "]")
    plain = outcome(source, schema)
    assert plain[1], "nothing was rejected, so nothing is compared"
    for hooks in HOOKS.values():
        assert outcome(source, schema, **hooks) == plain
    assert outcome(source, schema, chunk_size=2, executor=executor) == plain


def test_a_strict_schema_takes_of_json_what_one_rule_says(tmp_path: Path) -> None:
    """The rule: JSON is read into Python values and validated as such, or as JSON; either way for every field alike."""
    source = tmp_path / "in.jsonl"
    source.write_text("\n".join(WIDE_LINES) + "\n")
    bad = {position for position, *_ in outcome(source, Wide)[1]}
    as_json = {n for n, line in enumerate(WIDE_LINES) if not _is_valid(Wide.model_validate_json, line)}
    as_python = {n for n, line in enumerate(WIDE_LINES) if not _is_valid(Wide.model_validate, json.loads(line))}
    assert as_json != as_python
    assert bad in (as_json, as_python)


def _is_valid(validate: Callable[[Any], Any], value: Any) -> bool:
    try:
        validate(value)
    except ValidationError:
        return False
    return True


def test_threads_share_one_schema(two_threads: ThreadPoolExecutor) -> None:
    records = [{"low": n, "high": 500 if n % 5 else -1} for n in range(1000)]
    assert_same(Ordered, records, executor=two_threads, chunk_size=50)
