"""What a pipe writes, byte for byte, and when it is there."""

from __future__ import annotations

import collections
import csv
import dataclasses
import datetime as dt
import enum
import gzip
import io
import ipaddress
import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import lz4.frame
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
from pipe_core.kernel.errors import RunCancelledError, SinkError, SourceError, TargetExistsError, TooManyErrorsError
from pipe_core.records.entry import Entry


class Number(BaseModel):
    n: int


def numbers(count: int) -> list[dict[str, Any]]:
    return [{"n": i} for i in range(count)]


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


# --- borders never show -----------------------------------------------------------------------------------------------

COUNT = 5000


def content(i: int) -> dict[str, Any]:
    return {"n": i if i % 97 else f"bad {i}", "t": f'ü {i}\nline, "{"x" * (i % 40)}"'}


class Line(BaseModel):
    n: int
    t: str


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sources")
    records = [content(i) for i in range(COUNT)]
    text = io.StringIO()
    writer = csv.DictWriter(text, ["n", "t"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    made = {"csv": text.getvalue().encode(), "jsonl": b"".join(json.dumps(one).encode() + b"\n" for one in records)}
    paths = {}
    for suffix, data in made.items():
        assert len(data) > 3 * 64 * 1024  # several splits
        for name, packed in ((suffix, data), (f"{suffix}.gz", gzip.compress(data)), (f"{suffix}.lz4", _lz4(data))):
            paths[name] = folder / f"in.{name}"
            paths[name].write_bytes(packed)
    return paths


def _lz4(data: bytes) -> bytes:
    return lz4.frame.compress(data)  # type: ignore[no-any-return]  # lz4 has no annotations


GOOD = b"".join(
    json.dumps({"n": i, "t": content(i)["t"]}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    for i in range(COUNT)
    if i % 97
)
BAD = [i for i in range(COUNT) if not i % 97]


@pytest.mark.parametrize("source", ["csv", "jsonl", "csv.gz", "jsonl.gz", "csv.lz4", "jsonl.lz4"])
@pytest.mark.parametrize("chunk_size", [None, 997, 20_000])
def test_no_border_shows_in_what_is_written(
    source: str, chunk_size: int | None, sources: dict[str, Path], tmp_path: Path, executor: Any
) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    Pipe(sources[source], good, errors=bad, schema=Line, chunk_size=chunk_size, executor=executor).run()
    assert good.read_bytes() == GOOD
    assert [json.loads(line)["position"] for line in bad.read_text().splitlines()] == BAD


@pytest.mark.parametrize("split_bytes", [1, 100, 5000, 65_536, 100_000])
def test_no_border_of_a_split_shows(
    split_bytes: int, sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: Any
) -> None:
    from pipe_core.records import feed

    class Fixed(feed.Feed):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._bytes = split_bytes

        def learn(self, result: Any, piece: Any) -> None:
            """Sizes stay."""

    monkeypatch.setattr("pipe_core.records.run.Feed", Fixed)
    count = 3 * split_bytes + 40 if split_bytes < 5000 else COUNT
    expected = b"".join(GOOD.splitlines(keepends=True)[: count - len([i for i in BAD if i < count])])
    for source in ("csv", "jsonl"):
        good = tmp_path / f"good-{source}.jsonl"
        report = Pipe(sources[source], good, schema=Line, errors=[], limit=count, executor=executor).run()
        assert good.read_bytes() == expected
        assert report.read == count


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv"])
@pytest.mark.parametrize("chunk_size", [1, 7, 100, 101])
def test_no_border_of_a_chunk_shows(suffix: str, chunk_size: int, tmp_path: Path, executor: Any) -> None:
    records = [content(i) for i in range(210)]
    for name, size in (("one", None), ("two", chunk_size)):
        Pipe(
            iter(records), tmp_path / f"{name}.{suffix}", errors=[], schema=Line, chunk_size=size, executor=executor
        ).run()
    assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()


@pytest.mark.parametrize(("suffix", "unpack"), [("gz", gzip.decompress), ("lz4", lz4.frame.decompress)])
@pytest.mark.parametrize("chunk_size", [None, 7])
def test_compressed_output_holds_the_same_bytes(
    suffix: str, unpack: Callable[[bytes], bytes], chunk_size: int | None, tmp_path: Path, executor: Any
) -> None:
    for kind in ("jsonl", "json", "csv"):
        plain, packed = tmp_path / f"out.{kind}", tmp_path / f"out.{kind}.{suffix}"
        for target in (plain, packed):
            Pipe(numbers(200), target, schema=Number, chunk_size=chunk_size, executor=executor).run()
        assert unpack(packed.read_bytes()) == plain.read_bytes()
        out: list[Any] = []
        Pipe(packed, out, schema=Number).run()
        assert out == numbers(200)
        plain.unlink()
        packed.unlink()


# --- modes ------------------------------------------------------------------------------------------------------------


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ["sink", "errors"])
def test_an_existing_target_is_an_error_before_anything_runs(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("old\n")
    ran: list[Any] = []
    targets: dict[str, Any] = {"sink": [], "errors": [], kind: target}
    pipe = Pipe(numbers(3), **targets, pre_validation_hooks=[lambda entry, store: ran.append(1)])
    with pytest.raises(TargetExistsError, match="mode='overwrite'"):
        pipe.run()
    assert files(tmp_path) == {"out.jsonl": "old\n"}
    assert ran == []


def test_ignore_leaves_an_existing_target_and_writes_a_missing_one(tmp_path: Path) -> None:
    old, new = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    old.write_text("old\n")
    report = Pipe(numbers(1), old, mode="ignore").run()
    Pipe(numbers(1), new, mode="ignore").run()
    assert files(tmp_path) == {"old.jsonl": "old\n", "new.jsonl": '{"n":0}\n'}
    assert report.read == 0
    assert any("ignore" in note for note in report.notes)


def test_overwrite_replaces_what_was_there(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text("a long text that was there before\n" * 100)
    bad.write_text("old\n")
    Pipe(numbers(2), good, errors=bad, schema=Number, mode="overwrite").run()
    assert files(tmp_path) == {"good.jsonl": '{"n":0}\n{"n":1}\n', "bad.jsonl": ""}


@pytest.mark.parametrize(
    ("suffix", "first", "both"),
    [("jsonl", '{"n":0}\n', '{"n":0}\n{"n":0}\n{"n":1}\n'), ("csv", "n\n0\n", "n\n0\n0\n1\n")],
)
def test_append_writes_behind_what_is_there(suffix: str, first: str, both: str, tmp_path: Path) -> None:
    target = tmp_path / f"out.{suffix}"
    Pipe(numbers(1), target, schema=Number, mode="append").run()
    assert target.read_text() == first
    Pipe(numbers(2), target, schema=Number, mode="append").run()
    assert files(tmp_path) == {target.name: both}


def test_append_refuses_other_columns_and_what_cannot_be_appended_to(tmp_path: Path) -> None:
    table, array = tmp_path / "out.csv", tmp_path / "out.json"
    table.write_text("other\n1\n")
    array.write_text("[]")
    for target in (table, array):
        with pytest.raises(SinkError):
            Pipe(numbers(2), target, schema=Number, mode="append").run()
    assert files(tmp_path) == {"out.csv": "other\n1\n", "out.json": "[]"}


def test_append_to_a_compressed_file_adds_a_member(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl.gz"
    for _ in range(2):
        Pipe(numbers(1), target, mode="append").run()
    assert gzip.decompress(target.read_bytes()) == b'{"n":0}\n{"n":0}\n'


def test_an_unknown_mode_is_refused_and_touches_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mode"):
        Pipe(numbers(1), tmp_path / "out.jsonl", mode="replace").run()  # type: ignore[arg-type]  # wrong on purpose
    assert files(tmp_path) == {}


# --- whole or not at all ----------------------------------------------------------------------------------------------


def failing_source() -> Any:
    yield from numbers(250)
    raise OSError("cut")


def run_that(ends: str, good: Path, bad: Path, mode: Any) -> None:
    if ends == "well":
        Pipe([*numbers(3), {"n": "x"}], good, errors=bad, schema=Number, mode=mode).run()
    elif ends == "by its errors":
        with pytest.raises(TooManyErrorsError):
            Pipe([*numbers(300), {"n": "x"}], good, errors=bad, schema=Number, on_error="fail", mode=mode).run()
    elif ends == "by its source":
        with pytest.raises(SourceError):
            Pipe(failing_source(), good, errors=bad, schema=Number, mode=mode).run()
    elif ends == "aborted":
        pipe = Pipe(numbers(1000), good, errors=bad, mode=mode, chunk_size=1)
        stream = iter(pipe)
        for _ in range(3):
            next(stream)
        assert pipe.report is not None
        pipe.report.abort()
        with pytest.raises(RunCancelledError):
            list(stream)
    elif ends == "left":
        for _ in Pipe(numbers(1000), good, errors=bad, mode=mode, chunk_size=1):
            break


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [*((mode, "jsonl") for mode in ("error", "overwrite", "append")), ("overwrite", "json"), ("error", "csv.gz")],
)
@pytest.mark.parametrize("ends", ["well", "by its errors", "by its source", "aborted", "left"])
def test_targets_are_whole_or_as_they_were_and_nothing_is_left_over(
    ends: str, suffix: str, mode: Any, tmp_path: Path
) -> None:
    good, bad = tmp_path / f"good.{suffix}", tmp_path / f"bad.{suffix}"
    old = {good.name: b"old\n", bad.name: b"old\n"} if mode != "error" else {}
    for name, data in old.items():
        (tmp_path / name).write_bytes(data)
    run_that(ends, good, bad, mode)
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert not any(name.endswith(".part") or name.startswith(".") for name in left)
    partial = {f"{good.name}.partial", f"{bad.name}.partial"}
    if ends == "well":
        assert set(left) == {good.name, bad.name}
        assert all(left[name] != data for name, data in old.items())
    elif ends == "by its errors":  # the reasons are kept
        assert left.get(good.name) == old.get(good.name)
        assert set(left) == {bad.name, *old}
        assert left[bad.name] != b"old\n"
    elif ends == "by its source":  # what came before is kept beside the target
        assert {name: left.get(name) for name in old} == old
        assert set(left) - set(old) <= partial
        assert f"{good.name}.partial" in left
    else:
        assert left == old


def test_a_target_appears_at_the_end_only(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    seen: list[tuple[bool, bool]] = []

    def see(entry: Entry, store: HookStore) -> None:
        seen.append((good.exists(), bad.exists()))

    Pipe(numbers(500), good, errors=bad, pre_validation_hooks=[see], chunk_size=50).run()
    assert set(seen) == {(False, False)}
    assert good.exists()
    assert bad.exists()


def test_the_temporary_file_is_in_the_folder_of_the_target(tmp_path: Path) -> None:
    """Elsewhere a rename would be a copy."""
    names: set[str] = set()

    def see(entry: Entry, store: HookStore) -> None:
        names.update(path.name for path in tmp_path.iterdir())

    Pipe(numbers(3), tmp_path / "good.jsonl", pre_validation_hooks=[see]).run()
    assert names
    assert all(name.endswith(".part") for name in names)


# --- standard output --------------------------------------------------------------------------------------------------

SCRIPT = """
import sys
from pydantic import BaseModel
from pipe_core import Pipe
class Number(BaseModel):
    n: int
Pipe(sys.argv[1], sys.argv[2], errors=sys.argv[3], schema=Number).run()
"""


def run_script(*arguments: Any, stdin: bytes = b"") -> bytes:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=30, check=True)
    assert done.stderr == b""
    return done.stdout


def test_a_dash_is_standard_input_and_output_and_nothing_else_is_printed(tmp_path: Path) -> None:
    lines = b"".join(b'{"n":%d}\n' % i for i in range(3000))
    assert run_script("-", "-", tmp_path / "bad.jsonl", stdin=lines + b'{"n":"x"}\n') == lines
    assert json.loads((tmp_path / "bad.jsonl").read_text())["position"] == 3000


def test_rejected_records_can_go_to_standard_output(tmp_path: Path) -> None:
    out = run_script("-", tmp_path / "good.jsonl", "-", stdin=b'{"n":1}\n{"n":"x"}\n')
    assert (tmp_path / "good.jsonl").read_bytes() == b'{"n":1}\n'
    assert json.loads(out)["raw"] == {"n": "x"}
