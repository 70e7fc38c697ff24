"""Saving: a value goes beside the place of its data set, and a state tells how it gets there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pipe_core.kernel.contracts import Mode, ResumableSink, Sink, TabularSink, WindowSink
from pipe_core.kernel.errors import TargetExistsError
from pipe_core.project.catalog import partitions
from pipe_core.project.catalog.dataset import Dataset
from pipe_core.project.catalog.errors import DatasetValueError
from pipe_core.project.catalog.loading import Piece, check_table, in_window
from pipe_core.project.catalog.raw_files import encoded, raw_sink
from pipe_core.project.catalog.rows import validated
from pipe_core.project.catalog.values import grouped, is_records, is_table, records_in, table_of
from pipe_core.project.catalog.windows import Span
from pipe_core.project.catalog.writing import Writer, replaced
from pipe_core.records.schema import Schema

_OPEN: Final = 64
"""So many sinks of partitions stay open at most: each holds files and locks."""


@dataclass(slots=True)
class Part:
    """A piece of a value that has a sink of its own.

    Attributes:
        state: How a later process goes on with it.
        sink: The sink, while it is open.
    """

    state: dict[str, Any]
    sink: Sink | None


@dataclass(slots=True)
class Written:
    """A value that is staged.

    Attributes:
        parts: Its pieces.
        records: How many records it had; None for a value that is no records.
        delivery: What is promised.
        removed: Partitions that go.
    """

    parts: list[Part] = field(default_factory=list)
    records: int | None = None
    delivery: Literal["exactly-once", "at-least-once"] = "exactly-once"
    removed: list[dict[str, Any]] = field(default_factory=list)

    def state(self, dataset: Dataset) -> dict[str, Any]:
        """All of it as plain data."""
        parts = [part.state for part in self.parts]
        return {"dataset": dataset.name, "delivery": self.delivery, "parts": parts, "removed": self.removed}

    def add(self, dataset: Dataset, sink: Sink, mode: Mode, *, whole: bool = False, folder: str = "") -> None:
        """Bring to stable storage what was written to *sink*; where it can keep nothing back, commit it."""
        if isinstance(sink, ResumableSink) and getattr(sink, "resumable", True):
            state = {"whole": whole, "mode": mode, "folder": folder, "sink": sink.checkpoint(final=True)}
            self.parts.append(Part(state, sink))
            if len(self.parts) > _OPEN:
                sink.close()
                self.parts[-1].sink = None
            return
        sink.commit()
        sink.close()
        self.delivery = "at-least-once"

    def discard(self) -> None:
        """Remove what was staged."""
        with contextlib.ExitStack() as ending:
            for part in self.parts:
                if part.sink is not None:
                    ending.callback(part.sink.close)
                    ending.callback(part.sink.abort)


def write(dataset: Dataset, value: Any, span: Span | None) -> Written:
    """Stage *value*, in the place of what is in the window. Raises `PipeError`."""
    whole = _is_whole(dataset, value)
    if dataset.config.mode == "ignore" and exists(dataset, whole=whole):
        return Written()
    dataset.make_folder()
    written = Written()
    try:
        if whole:
            _write_whole(written, dataset, value)
            return written
        _check_records(dataset, value)
        if dataset.config.mode != "overwrite":
            span = None
        value = value if span is None else span.check(value)
        if dataset.makes_folders:
            _write_partitions(written, dataset, value, span)
        else:
            _write_records(written, dataset, value, span)
    except BaseException:
        written.discard()
        raise
    return written


def exists(dataset: Dataset, *, whole: bool) -> bool:
    """Whether there is something at its place. Raises `PipeError`."""
    if dataset.makes_folders:
        return bool(_partitions(dataset))
    return (raw_sink(dataset) if whole else dataset.sink()).exists()


def settle(dataset: Dataset, state: Mapping[str, Any]) -> None:
    """Commit what *state* tells of, once. Raises `PipeError`."""
    for part in state["parts"]:
        with _resumed(dataset, part) as sink:
            sink.commit()
    for removed in state["removed"]:
        partitions.remove(dataset, removed)


def abandon(dataset: Dataset, state: Mapping[str, Any]) -> None:
    """Remove what *state* tells of, where it is not committed. Raises `PipeError`."""
    for part in state["parts"]:
        with _resumed(dataset, part) as sink:
            sink.abort()


@contextlib.contextmanager
def _resumed(dataset: Dataset, part: Mapping[str, Any]) -> Iterator[Sink]:
    if part["whole"]:
        sink: Sink = raw_sink(dataset)
    elif part["folder"]:
        sink = dataset.sink(os.path.join(partitions.root(dataset), part["folder"]))
    else:
        sink = dataset.sink()
    if not isinstance(sink, ResumableSink):
        text = f"{dataset.title}: what was staged was of another format than it has now. Start a new run."
        raise DatasetValueError(text, dataset=dataset.name)
    with contextlib.closing(sink):
        sink.resume(part["sink"], part["mode"])
        yield sink


# --- whole values ---


def _is_whole(dataset: Dataset, value: Any) -> bool:
    """Whether *value* is written as one thing, and not as records."""
    if dataset.is_raw:
        return True
    return dataset.is_json and not is_table(value) and not is_records(value)


def _write_whole(written: Written, dataset: Dataset, value: Any) -> None:
    mode = dataset.config.mode
    if mode == "append":
        kind = "a pickle" if dataset.is_pickle else "one value"
        text = f"{dataset.title} is {kind}, and nothing can be appended to that. Use the mode overwrite."
        raise DatasetValueError(text, dataset=dataset.name)
    schema = dataset.schema() if dataset.is_json else None
    if schema is not None:
        value = schema.jsonable(validated(dataset, schema, [value], 0)[0])
    data = encoded(dataset, value)
    sink = raw_sink(dataset)
    with _closed_on_error(sink):
        sink.open(mode)
        sink.write(data, 1)
        written.add(dataset, sink, mode, whole=True)


# --- records ---


def _check_records(dataset: Dataset, value: Any) -> None:
    """Refuse what has no records. Raises `DatasetValueError`."""
    if is_table(value) or is_records(value):
        return
    kind = type(value).__name__
    hint = " For one record write it in brackets: [record]." if not isinstance(value, str | bytes | None) else ""
    text = f"{dataset.title} holds records, and a value of type {kind} was to be saved.{hint}"
    raise DatasetValueError(text, dataset=dataset.name)


def _write_records(written: Written, dataset: Dataset, value: Any, span: Span | None) -> None:
    mode, sink = dataset.config.mode, dataset.sink()
    with _closed_on_error(sink):
        if mode == "append" and callable(hold := getattr(sink, "hold_appended", None)):
            hold()
        if callable(expect := getattr(sink, "expect_checkpoints", None)):
            expect()
        old = [] if span is None else _replaced(dataset, sink, span)
        writer = Writer(dataset, sink, mode, dataset.schema())
        if old and span is not None:
            written.records = replaced(writer, value, old, span)
        else:
            writer.write(value)
            written.records = writer.count
        written.add(dataset, sink, mode)


def _replaced(dataset: Dataset, sink: Sink, span: Span) -> list[Piece]:
    """What must be written again around a window: nothing where there is nothing, or the sink leaves the rest alone."""
    if isinstance(sink, WindowSink):
        sink.replace_between(span.column, span.window.start, span.window.upper)
        return []
    return [Piece(dataset, dataset.target)] if sink.exists() else []


# --- partitions ---


def _partitions(dataset: Dataset) -> dict[str, partitions.Key]:
    return partitions.found(dataset) if os.path.isdir(partitions.root(dataset)) else {}


def _write_partitions(written: Written, dataset: Dataset, value: Any, span: Span | None) -> None:
    mode = dataset.config.mode
    there = _partitions(dataset)
    if mode == "error" and there:
        text = f"{dataset.shown!r} has partitions already. Use mode='overwrite' or mode='append', or another path."
        raise TargetExistsError(text, sink=dataset.shown)
    groups = _groups(dataset, value)
    old = {key: folder for folder, key in there.items() if span is None or in_window(span, key)}
    cuts = span is not None and span.column not in dataset.config.partition_by
    written.records = 0
    for key, group in groups.items():
        around = span if cuts and key in old else None
        written.records += _write_partition(written, dataset, key, group, around)
    if mode != "overwrite":
        return
    for key, folder in old.items():
        if key in groups:
            continue
        if cuts and span is not None and not _is_inside(dataset, key, folder, span):
            _write_partition(written, dataset, key, None, span)
        else:
            written.removed.append(partitions.to_remove(dataset, folder))


def _write_partition(written: Written, dataset: Dataset, key: partitions.Key, group: Any, span: Span | None) -> int:
    """Write one partition: the *group*, and, with a *span*, what is there around the window. Its records."""
    folder = partitions.folder_of(dataset, key)
    target = os.path.join(partitions.root(dataset), folder)
    dataset.make_folder(target)
    mode: Mode = "append" if dataset.config.mode == "append" else "overwrite"
    sink = dataset.sink(target)
    with _closed_on_error(sink):
        writer = Writer(dataset, sink, mode, None, _fields(dataset))
        if span is None:
            writer.write(group)
            count = writer.count
        else:
            count = replaced(writer, group, [Piece(dataset, target)], span)
        written.add(dataset, sink, mode, folder=folder)
    return count


def _is_inside(dataset: Dataset, key: partitions.Key, folder: str, span: Span) -> bool:
    """Whether all of a partition is in the window: nothing of it is kept."""
    piece = Piece(dataset, os.path.join(partitions.root(dataset), folder), key)
    sides = (next(span.picked(piece.records(), side), None) for side in ("before", "behind"))
    return all(record is None for record in sides)


def _groups(dataset: Dataset, value: Any) -> dict[partitions.Key, Any]:
    """The records of *value* by their partitions, checked against the schema."""
    schema = dataset.schema()
    tabular = isinstance(dataset.sink(f"{partitions.root(dataset)}/"), TabularSink)
    if is_table(value) and tabular:
        table = table_of(value)
        if schema is not None:
            check_table(dataset, schema, table)
        return partitions.grouped_table(dataset, table)
    return partitions.grouped_records(dataset, _dumped(dataset, schema, value, as_python=tabular))


def _dumped(dataset: Dataset, schema: Schema | None, value: Any, *, as_python: bool) -> Iterator[Any]:
    """The records as their schema writes them: as what JSON knows, but for files of columns."""
    first = 0
    for group in grouped(records_in(value)):
        if schema is None:
            yield from group
        else:
            yield from map(schema.python if as_python else schema.jsonable, validated(dataset, schema, group, first))
        first += len(group)


def _fields(dataset: Dataset) -> list[str] | None:
    schema = dataset.schema()
    if schema is None or schema.fields is None:
        return None
    return [name for name in schema.fields if name not in dataset.config.partition_by]


@contextlib.contextmanager
def _closed_on_error(sink: Sink) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.ExitStack() as ending:
            ending.callback(sink.close)
            ending.callback(sink.abort)
        raise
