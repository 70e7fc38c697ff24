"""Validation as pydantic alone does it, and the same through a pipe."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

from pydantic import (
    BaseModel,
    TypeAdapter,
    ValidationError,
)

from pipe_core import BaseHook, HookStore, Pipe
from pipe_core.records.entry import Entry


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


class Inner(BaseModel):
    a: int
    b: list[int] = []


def look(entry: Entry, store: HookStore) -> None:
    """A hook that only reads."""
    assert entry.status is not None


async def await_nothing(entry: Entry, store: HookStore) -> None:
    """As `look`, on a loop."""


class LookAtAll(BaseHook):
    def execute(self, entries: list[Entry], store: HookStore) -> None:
        assert all(entry["errors"] == [] for entry in entries)


HOOKS: dict[str, dict[str, Any]] = {
    "no hooks": {},
    "pre": {"pre_validation_hooks": [look]},
    "post": {"post_validation_hooks": [look]},
    "both, many at a time": {"pre_validation_hooks": [LookAtAll()], "post_validation_hooks": [LookAtAll(), look]},
    "async": {"pre_validation_hooks": [await_nothing]},
}


def one_by_one(schema: Any, records: Sequence[Any]) -> tuple[list[Any], list[tuple[int, list[Any]]]]:
    """What pydantic alone makes of the records: what is written of the good ones, and why the others are bad."""
    adapter = TypeAdapter(schema)
    good: list[Any] = []
    bad: list[tuple[int, list[Any]]] = []
    for position, record in enumerate(records):
        try:
            good.append(adapter.dump_python(adapter.validate_python(record)))
        except ValidationError as error:
            reasons = [{"loc": [*e["loc"]], "msg": _without_tag(e), "type": e["type"]} for e in error.errors()]
            bad.append((position, reasons))
    return good, bad


def _without_tag(reason: Any) -> str:
    """What pydantic says, without the value that it says it of."""
    message: str = reason["msg"]
    return message.replace(f" '{reason['ctx']['tag']}'", "", 1) if reason["type"] == "union_tag_invalid" else message


def piped(schema: Any, records: Sequence[Any], **options: Any) -> tuple[list[Any], list[tuple[int, list[Any]]]]:
    """The same through a pipe."""
    good: list[Any] = []
    bad: list[Any] = []
    report = Pipe(list(records), good, schema=schema, errors=bad, **options).run()
    assert (report.read, report.valid, report.failed) == (len(records), len(good), len(bad))
    assert {row["phase"] for row in bad} <= {"validation"}
    return good, [(row["position"], row["errors"]) for row in bad]


def assert_same(schema: Any, records: Sequence[Any], hooks: Any = None, **options: Any) -> None:
    expected = one_by_one(schema, records)
    for kept in [HOOKS[name] for name in hooks or HOOKS]:
        # Compared as text: NaN is not equal to itself, and 1, 1.0 and True are equal to each other.
        assert repr(piped(schema, records, **kept, **options)) == repr(expected)


# --- generated schemas ------------------------------------------------------------------------------------------------
