"""Saving: a value goes beside the place of its data set, and a state tells how it gets there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipe_core.kernel.contracts import Mode, ResumableSink, Sink
from pipe_core.project.catalog.dataset import Dataset
from pipe_core.project.catalog.errors import DatasetValueError
from pipe_core.project.catalog.raw_files import encoded, raw_sink
from pipe_core.project.catalog.values import is_records, is_table, records_in
from pipe_core.project.catalog.writing import Writer
from pipe_core.records.schema import Schema


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
        removed: Folders of partitions that go.
    """

    parts: list[Part] = field(default_factory=list)
    records: int | None = None
    delivery: Literal["exactly-once", "at-least-once"] = "exactly-once"
    removed: list[str] = field(default_factory=list)

    def state(self, dataset: Dataset) -> dict[str, Any]:
        """All of it as plain data."""
        parts = [part.state for part in self.parts]
        return {"dataset": dataset.name, "delivery": self.delivery, "parts": parts, "removed": self.removed}


def write(dataset: Dataset, value: Any) -> Written:
    """Stage *value*. Raises `PipeError`."""
    if dataset.config.mode == "ignore" and _raw_or_sink(dataset, value).exists():
        return Written()
    dataset.make_folder()
    if _is_whole(dataset, value):
        return _write_whole(dataset, value)
    check_records(dataset, value)
    return _write_records(dataset, value)


def settle(dataset: Dataset, state: Mapping[str, Any]) -> None:
    """Commit what *state* tells of, once. Raises `PipeError`."""
    for part in state["parts"]:
        with _resumed(dataset, part) as sink:
            sink.commit()


def abandon(dataset: Dataset, state: Mapping[str, Any]) -> None:
    """Remove what *state* tells of, where it is not committed. Raises `PipeError`."""
    for part in state["parts"]:
        with _resumed(dataset, part) as sink:
            sink.abort()


@contextlib.contextmanager
def _resumed(dataset: Dataset, part: Mapping[str, Any]) -> Iterator[Sink]:
    sink: Sink = raw_sink(dataset) if part["whole"] else dataset.sink()
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


def _write_whole(dataset: Dataset, value: Any) -> Written:
    mode = dataset.config.mode
    if mode == "append":
        kind = "a pickle" if dataset.is_pickle else "one value"
        text = f"{dataset.title} is {kind}, and nothing can be appended to that. Use the mode overwrite."
        raise DatasetValueError(text, dataset=dataset.name)
    schema = dataset.schema() if dataset.is_json else None
    if schema is not None:
        from pipe_core.project.catalog.rows import validated

        value = schema.jsonable(validated(dataset, schema, [value], 0)[0])
    data = encoded(dataset, value)
    sink = raw_sink(dataset)
    with _closed_on_error(sink):
        sink.open(mode)
        sink.write(data, 1)
        return _staged(sink, mode, None, whole=True)


# --- records ---


def check_records(dataset: Dataset, value: Any) -> None:
    """Refuse what has no records. Raises `DatasetValueError`."""
    if is_table(value) or is_records(value):
        return
    kind = type(value).__name__
    hint = " For one record write it in brackets: [record]." if not isinstance(value, str | bytes | None) else ""
    text = f"{dataset.title} holds records, and a value of type {kind} was to be saved.{hint}"
    raise DatasetValueError(text, dataset=dataset.name)


def _write_records(dataset: Dataset, value: Any) -> Written:
    mode, sink = dataset.config.mode, dataset.sink()
    schema = dataset.schema()
    with _closed_on_error(sink):
        count = _put(dataset, sink, mode, schema, value)
        return _staged(sink, mode, count)


def _put(dataset: Dataset, sink: Sink, mode: Mode, schema: Schema | None, value: Any) -> int:
    if mode == "append" and callable(hold := getattr(sink, "hold_appended", None)):
        hold()
    writer = Writer(dataset, sink, mode, schema)
    writer.write(records_in(value))
    return writer.count


def _staged(sink: Sink, mode: Mode, records: int | None, *, whole: bool = False) -> Written:
    """What was written to *sink* on stable storage; or there, where the sink can keep nothing back."""
    if isinstance(sink, ResumableSink) and getattr(sink, "resumable", True):
        state = {"whole": whole, "mode": mode, "sink": sink.checkpoint(final=True)}
        return Written([Part(state, sink)], records)
    sink.commit()
    sink.close()
    return Written([], records, "at-least-once")


@contextlib.contextmanager
def _closed_on_error(sink: Sink) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.ExitStack() as ending:
            ending.callback(sink.close)
            ending.callback(sink.abort)
        raise


def _raw_or_sink(dataset: Dataset, value: Any) -> Sink:
    return raw_sink(dataset) if _is_whole(dataset, value) else dataset.sink()
