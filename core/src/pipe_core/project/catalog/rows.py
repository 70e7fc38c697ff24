"""Records of a data set against its schema: what is wrong is told with the record, the field and the value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from pydantic import ValidationError

from pipe_core.project.catalog.dataset import Dataset
from pipe_core.project.catalog.errors import DatasetRecordError
from pipe_core.project.catalog.values import plain
from pipe_core.records.schema import Schema
from pipe_core.records.validate import apply, reasons

_MOST: Final = 200
"""Characters of a value that messages show."""


def validated(dataset: Dataset, schema: Schema, records: Sequence[Any], first: int) -> list[Any]:
    """What the schema makes of *records*.

    Args:
        dataset: Whose they are.
        schema: What they must be.
        records: Some of them, in a row.
        first: The position of the first one.

    Raises:
        DatasetRecordError: One is not as the schema says.
    """
    kind = schema.kind
    if isinstance(kind, type):
        given = [record if isinstance(record, kind) else plain(record) for record in records]
    else:
        given = list(map(plain, records))
    return applied(dataset, schema.validate, given, first, f"is no {schema.name}")


def applied(
    dataset: Dataset, function: Callable[[Any], Any], records: Sequence[Any], first: int, what: str
) -> list[Any]:
    """*function* of each of *records*. *what* says of one what it raises for. Raises `DatasetRecordError`."""
    done, failed = apply(function, records, lambda: True)
    if failed:
        index, error = failed[0]
        raise refused(dataset, first + index, records[index], error, what) from error
    return done


def refused(dataset: Dataset, position: int, record: Any, error: BaseException, what: str) -> DatasetRecordError:
    """The error of the record at *position*, for which *error* was raised."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False)[0]
        field, value, reason = ".".join(map(str, first["loc"])) or None, first["input"], first["msg"]
        more = f" (and {count - 1} more)" if (count := error.error_count()) > 1 else ""
    else:
        field, value, reason, more = None, record, str(error) or type(error).__name__, ""
    where = f"the field '{field}' is {shown(value)}" if field is not None else f"it is {shown(value)}"
    return DatasetRecordError(
        f"{dataset.title}: the record at position {position:,} {what}: {where}: {reason}{more}.",
        dataset=dataset.name,
        position=position,
        field=field,
        value=value,
        reasons=reasons(error),
    )


def shown(value: Any) -> str:
    """A value as messages have it."""
    text = repr(value)
    return text if len(text) <= _MOST else f"{text[:_MOST]}..."
