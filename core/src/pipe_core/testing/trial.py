"""A trial: one hook over some records, and what became of each of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pipe_core.records.entry import Entry
from pipe_core.records.pipe import Pipe
from pipe_core.records.report import FlowReport

Side: TypeAlias = Literal["pre", "post"]


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one record: the entries that it became, and the errors that it got. Neither: it was dropped."""

    entries: tuple[Mapping[str, Any], ...] = ()
    errors: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of all records, in their order, and the report of the run."""

    fates: list[Fate]
    report: FlowReport

    @property
    def failures(self) -> dict[int, tuple[Mapping[str, Any], ...]]:
        """The errors of the records that failed, by position."""
        return {position: fate.errors for position, fate in enumerate(self.fates) if fate.errors}


def try_hook(
    hook: Any, records: Sequence[Any], *, side: Side, schema: Any, size: int, volatile: Sequence[str] = ()
) -> Outcome:
    """Run *hook* alone over fresh copies of *records* on the executor ``sync``.

    Args:
        hook: In any form that `Pipe` takes.
        records: What is read.
        side: On which side of validation it runs.
        schema: What validates the records, or None.
        size: Records in a chunk.
        volatile: Fields that are left out of the outcome.
    """
    rejected: list[dict[str, Any]] = []
    pipe = Pipe(
        copy.deepcopy([dict(record) for record in records]),
        errors=rejected,
        schema=schema,
        pre_validation_hooks=[hook] if side == "pre" else [],
        post_validation_hooks=[hook] if side == "post" else [],
        executor="sync",
        chunk_size=size,
        error_payload="full",
        on_error="collect",
        observers=(),
    )
    kept = [(entry.position, _seen(entry, volatile)) for entry in pipe]
    assert pipe.report is not None  # it ran
    return Outcome([_fate(i, kept, rejected) for i in range(len(records))], pipe.report)


def validated_entries(records: Sequence[Mapping[str, Any]], schema: Any) -> list[Entry]:
    """Fresh entries of those of *records* that are valid."""
    return list(Pipe(copy.deepcopy([dict(record) for record in records]), schema=schema, executor="sync", observers=()))


def _fate(position: int, kept: Sequence[tuple[int, Mapping[str, Any]]], rejected: Sequence[Mapping[str, Any]]) -> Fate:
    entries = tuple(seen for place, seen in kept if place == position)
    errors = tuple(error for row in rejected if row["position"] == position for error in row["errors"])
    return Fate(entries, errors)


def _seen(entry: Entry, volatile: Sequence[str]) -> Mapping[str, Any]:
    """What a sink and other hooks can see of *entry*, copied while it is as the hook left it."""
    data = entry.validated_data
    return {
        "raw": _without(entry.raw_data, volatile),
        "data": _without(data, volatile),
        "metadata": _without(entry.metadata, volatile),
        "part": entry.part,
    }


def _without(data: Any, volatile: Sequence[str]) -> Any:
    if isinstance(data, Mapping):
        return copy.deepcopy({name: value for name, value in data.items() if name not in volatile})
    return copy.deepcopy(data)
