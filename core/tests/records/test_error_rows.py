"""The error sink: one row for each rejected record, with its reasons and what it was, whatever it holds."""

from __future__ import annotations

import collections
import csv
import datetime as dt
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numbered import Number, numbers
from pydantic import BaseModel, field_serializer, model_validator

from pipe_core import BaseHook, HookStore, Pipe
from pipe_core.kernel.errors import OptionsError
from pipe_core.records.entry import Entry

FIELDS = ["position", "phase", "errors", "raw", "data", "hook", "attempt"]


class Unwritable(BaseModel):
    n: int

    @field_serializer("n")
    def refuse(self, value: int) -> int:
        if value == 2:
            raise ValueError("cannot be written")
        return value


def refuse_two(entry: Entry, store: HookStore) -> None:
    data = entry.validated_data or entry.raw_data
    if data["n"] == 2:
        data["n"] = -2
        raise ValueError("no two")


class AllAtOnce(BaseHook):
    def execute(self, entries: list[Entry], store: HookStore) -> None:
        for entry in entries:
            refuse_two(entry, store)


class Decide(BaseHook):
    scope = "run"
    may_fail = True
    refusal = "it is two"

    def value(self, entry: Entry, store: HookStore) -> Any:
        return (entry.validated_data or entry.raw_data)["n"]

    def decide(self, value: Any, position: int) -> Any:
        return "fail" if value == 2 else "keep"


def look(entry: Entry, store: HookStore) -> None:
    """Changes nothing."""


# --- fields -----------------------------------------------------------------------------------------------------------

PHASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "pre": (
        {"pre_validation_hooks": [refuse_two]},
        {"hook": "refuse_two", "errors": [{"type": "HookError", "message": "refuse_two: no two"}], "data": {"n": -2}},
    ),
    "post": (
        {"post_validation_hooks": [refuse_two], "schema": Number},
        {"hook": "refuse_two", "errors": [{"type": "HookError", "message": "refuse_two: no two"}], "data": {"n": -2}},
    ),
    "post, many at a time": (
        {"post_validation_hooks": [AllAtOnce()], "schema": Number},
        {"hook": "AllAtOnce", "errors": [{"type": "HookError", "message": "AllAtOnce: no two"}], "data": {"n": -2}},
    ),
    "pre, decided at the commit": (
        {"pre_validation_hooks": [Decide()]},
        {"hook": "Decide", "errors": [{"type": "HookError", "message": "Decide: it is two"}], "data": {"n": 2}},
    ),
    "validation": (
        {"schema": dict[str, bool]},
        {
            "hook": None,
            "errors": [
                {
                    "loc": ["n"],
                    "msg": "Input should be a valid boolean, unable to interpret input",
                    "type": "bool_parsing",
                }
            ],
            "data": {"n": 2},
        },
    ),
    "encode": (
        {"schema": Unwritable},
        {"hook": None, "data": {"n": 2}},
    ),
    "encode, behind a hook": (
        {"schema": Unwritable, "post_validation_hooks": [look]},
        {"hook": None, "data": {"n": 2}},
    ),
}


@pytest.mark.parametrize("name", PHASES)
@pytest.mark.parametrize("chunk_size", [None, 1, 3])
def test_a_row_says_where_why_and_what(name: str, chunk_size: int | None, tmp_path: Path, executor: Any) -> None:
    options, expected = PHASES[name]
    bad = tmp_path / "bad.jsonl"
    report = Pipe(
        [{"n": 0}, {"n": 1}, {"n": 2}],
        tmp_path / "good.jsonl",
        errors=bad,
        executor=executor,
        chunk_size=chunk_size,
        **options,
    ).run()
    [row] = map(json.loads, bad.read_text().splitlines())
    assert list(row) == FIELDS
    assert row == row | expected | {"position": 2, "phase": name.partition(",")[0], "raw": {"n": 2}, "attempt": 1}
    if "encode" in name:
        [reason] = row["errors"]
        assert reason["type"] == "PydanticSerializationError"
        assert "cannot be written" in reason["message"]
    assert report.valid == 2
    assert [(one["position"], one["phase"]) for one in report.first_failures] == [(2, row["phase"])]


def test_a_record_that_cannot_be_read_has_its_text_as_raw(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_bytes(b"n,m\n1,2\n3\n\xff,4\n5,6\n")
    bad: list[Any] = []
    Pipe(source, [], errors=bad).run()
    assert [(row["position"], row["phase"], row["raw"], row["data"], row["hook"]) for row in bad] == [
        (1, "source", ["3"], None, None),
        (2, "source", ["\\xff", "4"], None, None),
    ]
    assert [row["errors"][0]["type"] for row in bad] == ["RaggedRow", "BadEncoding"]
    assert all(set(row["errors"][0]) == {"type", "message"} for row in bad)


def test_all_reasons_of_a_record_are_in_one_row() -> None:
    class Two(BaseModel):
        a: int
        b: dict[str, list[int]]

    bad: list[Any] = []
    Pipe([{"a": "x", "b": {"k": [1, "y"]}}, {}], errors=bad, schema=Two).run()
    assert [[tuple(one["loc"]) for one in row["errors"]] for row in bad] == [
        [("a",), ("b", "k", 1)],
        [("a",), ("b",)],
    ]
    assert all(sorted(one) == ["loc", "msg", "type"] for row in bad for one in row["errors"])


@pytest.mark.parametrize("hooks", [False, True])
def test_raw_is_what_was_read_and_data_what_it_had_become(hooks: bool) -> None:
    class Spoils(BaseModel):
        n: int

        @model_validator(mode="before")
        @classmethod
        def spoil(cls, value: Any) -> Any:
            value["extra"] = value.pop("n")
            return value

    def rename(entry: Entry, store: HookStore) -> None:
        entry.raw_data["n"] = entry.raw_data.pop("number")
        entry.raw_data = dict(entry.raw_data, replaced=True)

    bad: list[Any] = []
    if hooks:
        Pipe([{"number": 1}], errors=bad, schema=Spoils, pre_validation_hooks=[rename]).run()
        assert bad[0]["raw"] == {"number": 1}
        assert bad[0]["data"] == {"extra": 1, "replaced": True}
    else:
        Pipe([{"n": 1}], errors=bad, schema=Spoils).run()
        assert bad[0]["raw"] == {"n": 1}
        assert bad[0]["data"] == {"extra": 1}


def test_data_after_validation_is_the_validated_value_with_what_hooks_added() -> None:
    def add(entry: Entry, store: HookStore) -> None:
        entry.validated_data["more"] = [1]
        raise ValueError("no")

    bad: list[Any] = []
    Pipe([{"n": "5"}], errors=bad, schema=Number, post_validation_hooks=[add]).run()
    assert (bad[0]["raw"], bad[0]["data"]) == ({"n": "5"}, {"n": 5, "more": [1]})


def test_a_copy_that_fails_has_the_position_of_the_record_it_was_made_of() -> None:
    def double(entry: Entry, store: HookStore) -> list[Entry]:
        twin = entry.copy()
        twin.raw_data["n"] = "bad"
        return [entry, twin]

    bad: list[Any] = []
    report = Pipe(numbers(3), errors=bad, schema=Number, pre_validation_hooks=[double]).run()
    assert [(row["position"], row["raw"], row["data"]) for row in bad] == [
        (i, {"n": i}, {"n": "bad"}) for i in range(3)
    ]
    assert (report.read, report.expanded, report.valid, report.failed) == (3, 3, 3, 3)


# --- positions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize("chunk_size", [None, 10, 5000])
def test_positions_count_every_record_in_splits_and_behind_rejected_ones(
    suffix: str, chunk_size: int | None, tmp_path: Path, executor: Any
) -> None:
    count = 12_000  # more than one split of 64 KiB
    source = tmp_path / f"in{suffix}"
    lines, expected = [], []
    for i in range(count):
        if i % 1000 == 500:  # cannot be read
            lines.append("1,2,3" if suffix == ".csv" else "{")
            expected.append((i, "source"))
        elif i % 1000 == 501:  # is not valid
            lines.append(f"x,{i}" if suffix == ".csv" else json.dumps({"n": "x", "i": i}))
            expected.append((i, "validation"))
        else:
            lines.append(f"{i},{i}" if suffix == ".csv" else json.dumps({"n": i, "i": i}))
    source.write_text(("n,i\n" if suffix == ".csv" else "") + "\n".join(lines) + "\n")
    assert source.stat().st_size > 100_000
    bad: list[Any] = []
    report = Pipe(source, [], errors=bad, schema=Number, chunk_size=chunk_size, executor=executor).run()
    assert report.read == count
    assert [(row["position"], row["phase"]) for row in bad] == expected
    assert all(int(row["raw"]["i"]) == row["position"] for row in bad if row["phase"] == "validation")


# --- what may be shown ------------------------------------------------------------------------------------------------


def test_a_redacted_row_shows_field_names_only(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    Pipe([{"n": "secret", "in": {"deep": "secret"}}], errors=bad, schema=Number, error_payload="redacted").run()
    assert "secret" not in bad.read_text()
    row = json.loads(bad.read_text())
    assert row["raw"] == row["data"] == {"n": "…", "in": "…"}
    assert row["errors"][0]["loc"] == ["n"]


def test_a_hashed_row_tells_equal_records_from_different_ones(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    records = [{"n": "secret"}, {"n": "other"}, {"n": "secret"}]
    Pipe(records, errors=bad, schema=Number, error_payload="hash").run()
    assert "secret" not in bad.read_text()
    one, two, three = (json.loads(line)["raw"] for line in bad.read_text().splitlines())
    assert one == three != two
    assert len(one) == 2 * hashlib.blake2b(digest_size=16).digest_size


@pytest.mark.parametrize("payload", ["redacted", "hash"])
def test_records_that_could_not_be_read_are_not_shown_either(payload: Any, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_bytes(b"n,m\nsecret\nsecret,\xff\n")
    bad = tmp_path / "bad.jsonl"
    Pipe(source, errors=bad, error_payload=payload).run()
    assert len(bad.read_text().splitlines()) == 2
    assert "secret" not in bad.read_text()


def test_an_unknown_payload_is_refused() -> None:
    with pytest.raises(OptionsError, match="error_payload"):
        Pipe([], error_payload="all").run()  # type: ignore[arg-type]  # wrong on purpose


# --- odd values -------------------------------------------------------------------------------------------------------


class NoText:
    def __repr__(self) -> str:
        raise RuntimeError("no text")

    __str__ = __repr__


def circle() -> Any:
    record: dict[str, Any] = {"n": "x"}
    record["self"] = [record]
    return record


def deep(n: Any) -> Any:
    value: Any = 1
    for _ in range(5000):
        value = {"d": value}
    return {"n": n, "d": value}


ODD: dict[str, Callable[[], Any]] = {
    "NaN": lambda: {"n": math.nan, "m": [math.inf, -math.inf]},
    "bytes": lambda: {"n": b"\xff", b"\xff": 1},
    "bytearray": lambda: {"n": bytearray(b"\xff")},
    "surrogate": lambda: {"n": "\ud800", "\udfff": 1},
    "surrogate alone": lambda: "\ud800",
    "surrogate beside an object": lambda: {"n": "\ud800", "m": object()},
    "surrogate in a dict of another class": lambda: collections.OrderedDict(n="\ud800"),
    "surrogate in a path": lambda: {"n": Path("\udcff")},
    "surrogate in an exception": lambda: {"n": ValueError("\ud800")},
    "object": lambda: {"n": object(), "m": [lambda: 0, int, json]},
    "object without a text": lambda: {"n": NoText()},
    "keys": lambda: {"n": "x", (1, 2): 1, None: 2, math.nan: 3, 5: 4, b"k": 5},
    "objects as keys": lambda: {"n": "x", object(): 1},
    "set": lambda: {"n": {b"\xff", 1, None}},
    "deque of bytes": lambda: {"n": collections.deque([b"\xff"])},
    "generator": lambda: {"n": (i for i in range(3))},
    "5,000 digits": lambda: {"n": "x", "m": 10**5000},
    "circle": circle,
    "5,000 deep": lambda: deep("x"),
    "5,000 deep, with bytes": lambda: deep(b"\xff"),
    "no dict": lambda: [1, {"a": b"\xff"}],
    "None": lambda: None,
    "long span": lambda: {"n": "x", "m": dt.timedelta.max, "k": dt.datetime.max},
}


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "list"])
@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_whatever_a_record_holds_its_row_is_written_and_its_neighbours_are_unharmed(
    make: Callable[[], Any], kind: str, tmp_path: Path
) -> None:
    path = tmp_path / f"bad.{kind}"
    for hooks in ([], [look]) if kind == "jsonl" else ([],):
        bad: Any = [] if kind == "list" else path
        good: list[Any] = []
        source = [{"n": 1}, make(), {"n": 2}, {"n": "plain"}]
        pipe = Pipe(source, good, errors=bad, schema=Number, pre_validation_hooks=hooks, mode="overwrite")
        report = pipe.run()
        assert good == [{"n": 1}, {"n": 2}]
        assert report.failed == 2
        rows = bad if kind == "list" else _read(path)
        assert [int(row["position"]) for row in rows] == [1, 3]
        json.loads(report.to_json().encode("utf-8", "backslashreplace"))


@pytest.mark.parametrize("payload", ["redacted", "hash"])
@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_whatever_a_record_holds_what_may_be_shown_of_it_is_written(make: Callable[[], Any], payload: Any) -> None:
    good: list[Any] = []
    bad: list[Any] = []
    source = [{"n": 1}, make(), {"n": 2}]
    report = Pipe(source, good, errors=bad, schema=Number, error_payload=payload).run()
    assert good == [{"n": 1}, {"n": 2}]
    assert report.failed == 1
    [row] = bad
    shown = row["raw"]
    assert shown is None or isinstance(shown, str) or set(shown.values()) == {"…"}


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_a_redacted_row_shows_names_that_have_no_text_as_their_class(error: type[BaseException]) -> None:
    class Key:
        def __str__(self) -> str:
            raise error("secret")

    bad: list[Any] = []
    Pipe([{"n": "x", Key(): "secret"}], errors=bad, schema=Number, error_payload="redacted").run()
    assert bad[0]["raw"] == {"n": "…", "<Key>": "…"}


def test_a_redacted_row_shows_nothing_of_what_has_no_names() -> None:
    class Unreadable(dict[str, Any]):
        def __iter__(self) -> Any:
            raise SystemExit("secret")

    def spoil(entry: Entry, store: HookStore) -> None:
        entry.validated_data = Unreadable(n="secret")
        raise ValueError("no")

    bad: list[Any] = []
    Pipe([{"n": 1}], errors=bad, post_validation_hooks=[spoil], error_payload="redacted").run()
    assert (bad[0]["raw"], bad[0]["data"]) == ({"n": "…"}, "…")


def _read(path: Path) -> list[Any]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".csv":
        before = csv.field_size_limit(10**9)
        try:
            return [*csv.DictReader(text.splitlines())]
        finally:
            csv.field_size_limit(before)
    if path.suffix == ".json":
        found: list[Any] = json.loads(text, parse_int=str)  # Python reads no integer of 5,000 digits
        return found
    return [json.loads(line, parse_int=str) for line in text.splitlines()]


@pytest.mark.parametrize("payload", ["full", "redacted", "hash"])
def test_odd_values_that_a_hook_made_are_written_too(payload: Any, tmp_path: Path) -> None:
    def spoil(entry: Entry, store: HookStore) -> None:
        entry.validated_data["bytes"] = b"\xff"
        entry.validated_data["object"] = object()
        entry.validated_data["nan"] = math.nan
        raise ValueError("\ud800")

    bad = tmp_path / "bad.jsonl"
    Pipe([{"n": 1}], errors=bad, schema=Number, post_validation_hooks=[spoil], error_payload=payload).run()
    row = json.loads(bad.read_text(encoding="utf-8"))
    assert row["errors"] == [{"type": "HookError", "message": "spoil: \\ud800"}]
    if payload == "full":
        assert row["data"]["bytes"] == "\\xff"
        assert row["data"]["nan"] == "NaN"


# --- formats ----------------------------------------------------------------------------------------------------------


def test_each_format_says_the_same(tmp_path: Path) -> None:
    records = [{"n": "x", "t": 'a,b\n"c"'}, {"n": 1}, {"n": None}]
    listed: list[Any] = []
    for errors in (tmp_path / "bad.jsonl", tmp_path / "bad.json", tmp_path / "bad.csv", listed):
        Pipe(records, errors=errors, schema=Number).run()
    for row in (lines := [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]):
        assert list(row) == FIELDS
    assert json.loads((tmp_path / "bad.json").read_text()) == lines == listed
    with (tmp_path / "bad.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [*rows[0]] == FIELDS
    for row, line in zip(rows, lines, strict=True):
        read = {key: json.loads(row[key]) for key in ("position", "errors", "raw", "data", "attempt")}
        assert read == {key: line[key] for key in read}
        assert (row["phase"], row["hook"]) == ("validation", "")


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv"])
def test_an_error_sink_without_errors_is_there_and_empty(suffix: str, tmp_path: Path) -> None:
    bad = tmp_path / f"bad.{suffix}"
    Pipe(numbers(3), errors=bad, schema=Number).run()
    assert bad.read_text() == {"jsonl": "", "json": "[]\n", "csv": ",".join(FIELDS) + "\n"}[suffix]


HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"]


def _cells(path: Path, column: str) -> list[str]:
    with path.open(newline="") as file:
        return [row[column] for row in csv.DictReader(file)]


@pytest.mark.parametrize("formula", HOSTILE)
def test_a_spreadsheet_does_not_run_what_an_error_row_shows(formula: str, tmp_path: Path) -> None:
    # Raw data that is one text, so that its cell begins with it.
    bad = tmp_path / "bad.csv"
    Pipe([formula], errors=bad, schema=Number).run()
    assert _cells(bad, "raw") == _cells(bad, "data") == ["'" + formula]


@pytest.mark.parametrize("formula", HOSTILE)
def test_formulas_stay_when_the_error_sink_is_told_so(formula: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    Pipe([formula], errors=(bad, {"formula": "raw"}), schema=Number).run()
    assert _cells(bad, "raw") == [formula]


def test_a_sink_for_good_data_leaves_formulas_alone(tmp_path: Path) -> None:
    good = tmp_path / "good.csv"
    Pipe([{"t": formula} for formula in HOSTILE], good).run()
    assert _cells(good, "t") == HOSTILE


def test_a_hook_with_a_hostile_name_is_escaped_too(tmp_path: Path) -> None:
    def fail(entry: Entry, store: HookStore) -> None:
        raise ValueError("no")

    fail.__name__ = "=cmd()"
    bad = tmp_path / "bad.csv"
    Pipe([{"n": 1}], errors=bad, pre_validation_hooks=[fail]).run()
    assert _cells(bad, "hook") == ["'=cmd()"]


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "jsonl.gz"])
@pytest.mark.parametrize("chunk_size", [1, 1000])
def test_rows_do_not_show_where_chunks_were_cut(suffix: str, chunk_size: int, tmp_path: Path, executor: Any) -> None:
    records = [{"n": i if i % 4 else "x"} for i in range(60)]
    for name, size in (("one", None), ("two", chunk_size)):
        Pipe(records, errors=tmp_path / f"{name}.{suffix}", schema=Number, chunk_size=size, executor=executor).run()
    assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()
