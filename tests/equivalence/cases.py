"""The corpus: what must come out the same wherever it runs."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import hooks
import schemas
from inputs import breaking, generated, generated_later, many, orders, piped, queued
from running import Case
from schemas import Order

from pipe_core.codecs.samples import SAMPLES, TYPED_SAMPLES


def small(folder: Path) -> Any:
    return orders()


def big(folder: Path) -> Any:
    return many()[:2_500]


def file(name: str, **options: Any) -> Any:
    """A source that reads the file, with *options* of its format."""
    return lambda folder: (folder / name, options) if options else folder / name


# --- hooks: side x unit x sync or async x what they do ---

# read, valid, failed, dropped, expanded: every thirteenth order is invalid, in 60 that are four (12, 25, 38, 51)
_ACTED = {
    ("pre", "change"): (60, 56, 4, 0, 0),
    ("post", "change"): (60, 56, 4, 0, 0),
    ("pre", "drop"): (60, 45, 3, 12, 0),
    ("post", "drop"): (60, 45, 4, 11, 0),
    ("pre", "fan-out"): (60, 74, 4, 0, 18),
    ("post", "fan-out"): (60, 74, 4, 0, 18),
    ("pre", "raise"): (60, 51, 9, 0, 0),
    ("post", "raise"): (60, 51, 9, 0, 0),
}
HOOKED = [
    Case(
        f"{side} {kind} hook, {action}",
        small,
        counts,
        schema=Order,
        pre=[hooks.KINDS[kind](hooks.ACTIONS[action](side))] if side == "pre" else [],
        post=[hooks.KINDS[kind](hooks.ACTIONS[action](side))] if side == "post" else [],
        basic=(side, action) == ("post", "raise") or (side, action, kind) == ("pre", "fan-out", "async chunk"),
        options={"chunk_size": 7, **({"compression": "lz4"} if action == "fan-out" else {})},
    )
    for (side, action), counts in _ACTED.items()
    for kind in hooks.KINDS
]

_PAIRS = list(zip(hooks.KINDS.values(), hooks.ACTIONS.values(), strict=True))
EVERYTHING = [make(action("pre")) for make, action in _PAIRS]
AFTERWARDS = [make(action("post")) for make, action in _PAIRS]
_CHANGED = {"schema": Order, "pre": EVERYTHING, "post": AFTERWARDS}

CHUNKED = [
    Case(
        f"all hooks, chunk_size={size}, {compression}",
        small,
        (60, 88, 10, 12, 50),
        **_CHANGED,  # type: ignore[arg-type]  # some parameters of a case
        basic=size in (7, None),
        options={"chunk_size": size, "compression": compression},
    )
    for size in (1, 7, 1000, None)
    for compression in (None, "lz4")
]

FRONTED = [
    Case(
        f"all hooks, {front}",
        small,
        (60, 88, 10, 12, 50),
        **_CHANGED,  # type: ignore[arg-type]  # some parameters of a case
        front=front,
        basic=front == "stream",
    )
    for front in ("start", "arun", "stream", "async stream")
]

MORE_HOOKS = [
    Case("ways to write a hook", small, (60, 56, 4, 0, 0), schema=schemas.OpenOrder, pre=hooks.WAYS, basic=True),
    Case("hook with a chunk_size", small, (60, 56, 4, 0, 0), schema=Order, pre=[hooks.Numbered]),
    Case("hook that cannot be repeated", small, (60, 44, 16, 0, 0), schema=Order, pre=[hooks.Once], basic=True),
    Case("hook that needs positions", small, (60, 56, 4, 0, 0), schema=Order, pre=[hooks.Positioned], basic=True),
    Case(
        "hook that needs positions in a file of many splits",
        file("many.csv"),
        (6000, 5994, 6, 0, 0),
        schema=Order,
        pre=[hooks.Positioned],
    ),
    Case("hook that adds keys", small, (60, 56, 4, 0, 0), schema=Order, post=[hooks.marking]),
    Case("hook that adds keys, list", small, (60, 56, 4, 0, 0), schema=Order, post=[hooks.marking], sink="list"),
    Case("hook that adds keys, streamed", small, (60, 56, 4, 0, 0), schema=Order, post=[hooks.marking], front="stream"),
    Case("hook that replaces", small, (60, 56, 4, 0, 0), schema=Order, post=[hooks.replacing]),
    Case("hook that leaves what nobody can write", small, (60, 54, 6, 0, 0), schema=Order, post=[hooks.unwritable]),
    Case("hook that raises anything", small, (60, 43, 17, 0, 0), schema=Order, pre=[hooks.raises_anything], basic=True),
    Case("async hook that raises anything", small, (60, 43, 17, 0, 0), schema=Order, pre=[hooks.raises_anything_later]),
    Case("run-scoped hook", small, (60, 31, 17, 12, 0), schema=Order, post=[hooks.RunningTotal], basic=True),
    Case(
        "run-scoped hook behind fan-out, streamed",
        small,
        (60, 36, 23, 19, 18),
        schema=Order,
        pre=[hooks.KINDS["entry"](hooks.expanding("pre"))],
        post=[hooks.RunningTotal],
        front="stream",
        options={"chunk_size": 7},
    ),
    Case(
        "deduplicate in many splits",
        file("many.csv"),
        (6000, 50, 6, 5944, 0),
        schema=schemas.OpenOrder,
        post=[("deduplicate", {"keys": ["key"]})],
        basic=True,
    ),
    Case(
        "deduplicate before validation, failing the later ones",
        small,
        (60, 10, 50, 0, 0),
        schema=Order,
        pre=[hooks.last_digit, ("deduplicate", {"keys": ["k"], "on_duplicate": "fail"})],
        options={"chunk_size": 7},
    ),
    Case("no schema, hooks only", small, (60, 45, 0, 15, 0), pre=[lambda e, s: [] if e.raw_data["id"] % 4 == 1 else e]),
]

BROKEN_HOOKS = [
    Case(
        name,
        small,
        counts,
        schema=Order,
        raises=raises,
        basic=basic,
        options={"chunk_size": 7},
        **{side: [hook]},  # type: ignore[arg-type]  # one of two parameters
    )
    for name, side, hook, raises, counts, basic in (
        ("reads a position", "pre", hooks.reads_position, "HookContractError", (21, 20, 1, 0, 0), True),
        ("returns a number", "pre", hooks.returns_a_number, "HookContractError", (21, 20, 1, 0, 0), False),
        ("returns it twice", "pre", hooks.returns_it_twice, "HookContractError", (21, 20, 1, 0, 0), False),
        ("setup fails", "pre", hooks.SetupFails, "RunError", (0, 0, 0, 0, 0), True),
        ("makes an entry up", "pre", hooks.makes_it_up, None, (60, 56, 5, 0, 1), False),
    )
]

# --- schemas ---

PETS = [
    {"kind": "cat", "lives": 9},
    {"kind": "dog", "legs": "4"},
    {"kind": "cow", "legs": 4},
    {"kind": "cat"},
    {},
    {"kind": "dog", "legs": "four"},
]
TREES: list[Any] = [{"name": "root", "children": [{"name": "leaf"}, {"name": "twig", "children": [{"name": "leaf"}]}]}]
TREES += [{"name": "root", "children": [{"name": "leaf", "children": [{"name": 5}]}]}, {"children": []}]
DEFERRED = [{"id": 1, "price": 2, "next": {"id": 2, "price": 3}}, {"id": 1, "price": 2, "next": {"id": 2}}]
VALUES = {
    "day": date(2024, 2, 29),
    "moment": datetime(2024, 10, 27, 2, 30, tzinfo=UTC),
    "hour": time(1, 2, 3, 4),
    "span": timedelta(days=-1, seconds=7),
    "amount": Decimal("1.10"),
    "key": UUID(int=7),
    "color": schemas.Color.GREEN,
    "pair": (1, "x"),
    "flags": frozenset({"a", "b", "c"}),
    "data": b"bytes",
    "big": 2**100,
    "number": -0.0,
}
_TYPED = [VALUES, {**VALUES, "number": math.inf, "nested": {"id": 1, "name": "n", "price": 2}}, {**VALUES, "key": "no"}]


def typed(folder: Path) -> Any:
    return _TYPED * 20


SCHEMAS = [
    Case("schema: dataclass", small, (60, 56, 4, 0, 0), schema=schemas.OrderData),
    Case("schema: TypedDict", small, (60, 56, 4, 0, 0), schema=schemas.OrderDict),
    Case("schema: RootModel", small, (60, 60, 0, 0, 0), schema=schemas.Row),
    Case("schema: generic", small, (60, 56, 4, 0, 0), schema=schemas.Box[float], basic=True),
    Case("schema: aliases", small, (60, 56, 4, 0, 0), schema=schemas.Aliased),
    Case("schema: computed fields, serializers", small, (60, 56, 4, 0, 0), schema=schemas.Computed),
    Case("schema: computed fields, csv", small, (60, 56, 4, 0, 0), schema=schemas.Computed, sink="good.csv"),
    Case("schema: model serializer", small, (60, 56, 4, 0, 0), schema=schemas.Wrapped),
    Case("schema: strict", small, (60, 56, 4, 0, 0), schema=schemas.Strict),
    Case("schema: strict, from text", file("many.csv"), (6000, 0, 6000, 0, 0), schema=schemas.Strict),
    Case("schema: deferred and recursive", lambda _: DEFERRED * 9, (18, 9, 9, 0, 0), schema=schemas.Deferred),
    Case("schema: recursive", lambda _: TREES * 9, (27, 9, 18, 0, 0), schema=schemas.Tree),
    Case("schema: union", lambda _: PETS * 9, (54, 18, 36, 0, 0), schema=schemas.Pet),
    Case("schema: validators", small, (60, 57, 3, 0, 0), schema=schemas.Checked, basic=True),
    Case("schema: validators, with hooks", small, (60, 57, 3, 0, 0), schema=schemas.Checked, post=[hooks.marking]),
    Case("schema: made in a function", small, (60, 41, 19, 0, 0), schema=schemas.local_schema, basic=True),
    Case("schema: made in a function, list", small, (60, 41, 19, 0, 0), schema=schemas.local_schema, sink="list"),
    *(
        Case(f"schema: all types, {sink}", typed, (60, 40, 20, 0, 0), schema=schemas.Everything, sink=sink, sets=True)
        for sink in ("good.jsonl", "list")
    ),
    Case(
        "schema: all types, streamed", typed, (60, 40, 20, 0, 0), schema=schemas.Everything, front="stream", sets=True
    ),
]

# --- types: what hooks and sinks of records in memory get ---

TYPES = [
    Case(
        f"types: {name}, {compression}",
        lambda _, values=values: [{"v": value, "k": [key]} for key, value in values.items()] * 3,
        (3 * len(values), 3 * len(values), 0, 0, 0),
        sink="list",
        pre=[lambda entry, store: entry.raw_data.update(twin=entry.raw_data["v"])] if name == "plain" else (),
        basic=compression is None,
        options={"compression": compression, "chunk_size": 20},
    )
    for name, values in (("plain", SAMPLES), ("classes", TYPED_SAMPLES))
    for compression in (None, "lz4")
]
TYPES += [
    Case(
        "types: as they were read, in the error sink",
        lambda _: [{"v": value} for value in (*SAMPLES.values(), *TYPED_SAMPLES.values())],
        (len(SAMPLES) + len(TYPED_SAMPLES), 0, len(SAMPLES) + len(TYPED_SAMPLES), 0, 0),
        schema=Order,
        errors="list",
    )
]

# --- sources ---

SOURCES = [
    Case("source: generator", lambda _: generated(), (60, 56, 4, 0, 0), schema=Order, basic=True),
    Case("source: async generator", lambda _: generated_later(), (60, 56, 4, 0, 0), schema=Order),
    Case("source: queue", lambda _: queued(), (60, 56, 4, 0, 0), schema=Order),
    Case("source: named pipe", piped, (60, 56, 4, 0, 0), schema=Order),
    Case("source: csv", file("many.csv"), (6000, 5994, 6, 0, 0), schema=Order, basic=True),
    Case("source: csv, lz4", file("many.csv"), (6000, 5994, 6, 0, 0), schema=Order, options={"compression": "lz4"}),
    Case("source: csv, chunk_size", file("many.csv"), (6000, 5994, 6, 0, 0), schema=Order, options={"chunk_size": 300}),
    Case("source: csv, no splits", file("many.csv", max_rows=700), (700, 700, 0, 0, 0), schema=Order),
    Case("source: csv with a mark", file("bom.csv"), (6000, 5994, 6, 0, 0), schema=Order),
    Case("source: csv.gz", file("many.csv.gz"), (6000, 5994, 6, 0, 0), schema=Order),
    Case("source: many csv", file("part-*.csv"), (2800, 2798, 2, 0, 0), schema=Order, basic=True),
    Case("source: many jsonl.gz", file("packed-*.jsonl.gz"), (200, 200, 0, 0, 0), schema=Order),
    Case("source: jsonl", file("many.jsonl"), (6000, 5994, 6, 0, 0), schema=Order, basic=True),
    Case("source: json", file("many.json", prefix="data.items"), (500, 500, 0, 0, 0), schema=Order),
    Case("source: ragged csv", file("ragged.csv"), (60, 57, 3, 0, 0), schema=Order),
    Case("source: ragged csv with hooks", file("ragged.csv"), (60, 57, 3, 0, 0), schema=Order, post=[hooks.marking]),
    Case("source: bad jsonl", file("bad.jsonl"), (59, 50, 9, 0, 0), schema=Order, basic=True),
    Case("source: bad jsonl in chunks", file("bad.jsonl"), (59, 50, 9, 0, 0), schema=Order, pre=[hooks.Positioned]),
    Case("source: bad jsonl without a schema", file("bad.jsonl"), (59, 55, 4, 0, 0)),
    Case("source: open quote", file("open-quote.csv"), (3, 2, 1, 0, 0), schema=Order),
    Case("source: no record", file("empty.csv"), (0, 0, 0, 0, 0), schema=Order, sink="good.csv", errors="bad.csv"),
    Case("source: no record in memory", lambda _: [], (0, 0, 0, 0, 0), schema=Order, sink="good.json"),
    Case(
        "source: generator that breaks",
        lambda _: breaking(33),
        (33, 31, 2, 0, 0),
        schema=Order,
        raises="SourceError",
        basic=True,
    ),
    Case("source: json cut off", file("cut.json"), (30, 28, 2, 0, 0), schema=Order, raises="SourceError"),
    Case("source: gzip cut off", file("cut.jsonl.gz"), (3015, 3012, 3, 0, 0), schema=Order, raises="SourceError"),
    Case("source: not there", file("missing.csv"), (0, 0, 0, 0, 0), schema=Order, raises="SourceNotFoundError"),
]

# --- sinks ---

SINKS = [
    Case(
        f"sink: {sink} and {errors}", small, (60, 54, 6, 0, 0), schema=Order, post=[hooks.unwritable],
        sink=sink, errors=errors, basic=sink == "good.csv",
    )
    for sink, errors in (
        ("good.csv", "bad.csv"),
        ("good.json", "bad.json"),
        ("good.jsonl", "bad.jsonl"),
        ("good.jsonl.gz", "bad.json.gz"),
        ("good.csv.lz4", None),
    )
]  # fmt: skip
SINKS += [
    Case(f"sink: {sink} twice", small, (60, 56, 4, 0, 0), schema=Order, post=[hooks.marking], sink=sink, errors=sink)
    for sink in ("list", "function", "async function", "queue", None)
]
SINKS += [
    Case("sink: list and hostile csv", small, (60, 56, 4, 0, 0), schema=Order, sink="list", errors="bad.csv"),
    Case("sink: error payload redacted", small, (60, 56, 4, 0, 0), schema=Order, options={"error_payload": "redacted"}),
    Case("sink: error payload hashed", small, (60, 56, 4, 0, 0), schema=Order, options={"error_payload": "hash"}),
]

# --- limits and order ---

LIMITS = [
    Case("limit", small, (23, 22, 1, 0, 0), schema=Order, options={"limit": 23, "chunk_size": 7}),
    Case("limit in splits", file("many.csv"), (3333, 3330, 3, 0, 0), schema=Order, options={"limit": 3333}, basic=True),
    Case("limit of a generator", lambda _: generated(10_000), (23, 22, 1, 0, 0), schema=Order, options={"limit": 23}),
    Case(
        "max_errors",
        small,
        (39, 36, 3, 0, 0),
        schema=Order,
        raises="TooManyErrorsError",
        options={"max_errors": 2, "chunk_size": 7},
        basic=True,
    ),
    Case(
        "max_errors in splits",
        file("many.csv"),
        (4000, 3996, 4, 0, 0),
        schema=Order,
        raises="TooManyErrorsError",
        options={"max_errors": 3},
    ),
    Case(
        "max_errors with fan-out behind deduplicate",
        small,
        (13, 16, 1, 0, 4),
        schema=Order,
        pre=[hooks.KINDS["chunk"](hooks.expanding("pre"))],
        post=["deduplicate"],
        raises="TooManyErrorsError",
        options={"max_errors": 0, "chunk_size": 7},
    ),
    Case(
        "max_error_rate",
        lambda _: orders(500),
        (100, 93, 7, 0, 0),
        schema=Order,
        raises="TooManyErrorsError",
        options={"max_error_rate": 0.05, "chunk_size": 7},
    ),
    Case(
        "on_error=fail",
        small,
        (13, 12, 1, 0, 0),
        schema=Order,
        raises="TooManyErrorsError",
        options={"on_error": "fail", "chunk_size": 7},
        basic=True,
    ),
    Case(
        "on_error=fail, streamed",
        small,
        (13, 12, 1, 0, 0),
        schema=Order,
        raises="TooManyErrorsError",
        front="stream",
        options={"on_error": "fail", "chunk_size": 7},
    ),
    Case(
        "without order",
        small,
        (60, 88, 10, 12, 50),
        **_CHANGED,  # type: ignore[arg-type]  # some parameters of a case
        unordered=True,
        basic=True,
        options={"ordered": False, "chunk_size": 7},
    ),
    Case(
        "without order, list",
        small,
        (60, 56, 4, 0, 0),
        schema=Order,
        sink="list",
        errors="list",
        unordered=True,
        options={"ordered": False, "chunk_size": 7},
    ),
    Case(
        "without order, splits",
        file("many.jsonl"),
        (6000, 5994, 6, 0, 0),
        schema=Order,
        unordered=True,
        options={"ordered": False},
    ),
    Case("a narrow window", big, (2500, 2498, 2, 0, 0), schema=Order, options={"max_inflight": 1, "chunk_size": 50}),
    Case("few bytes", big, (2500, 2498, 2, 0, 0), schema=Order, options={"max_bytes_inflight": 1}),
]

CASES = HOOKED + CHUNKED + FRONTED + MORE_HOOKS + BROKEN_HOOKS + SCHEMAS + TYPES + SOURCES + SINKS + LIMITS
