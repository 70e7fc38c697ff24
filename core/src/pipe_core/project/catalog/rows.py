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
_NAMES: Final = 5
"""Further fields that messages name."""


def validated(dataset: Dataset, schema: Schema, records: Sequence[Any], first: int | Sequence[int]) -> list[Any]:
    """What the schema makes of *records*.

    Args:
        dataset: Whose they are.
        schema: What they must be.
        records: Some of them.
        first: The position of the first one, behind which the others come; or the position of each.

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
    dataset: Dataset, function: Callable[[Any], Any], records: Sequence[Any], first: int | Sequence[int], what: str
) -> list[Any]:
    """*function* of each of *records*. *what* says of one what it raises for. Raises `DatasetRecordError`."""
    done, failed = apply(function, records, lambda: True)
    if failed:
        index, error = failed[0]
        position = first + index if isinstance(first, int) else first[index]
        raise refused(dataset, position, records[index], error, what) from error
    return done


def refused(dataset: Dataset, position: int, record: Any, error: BaseException, what: str) -> DatasetRecordError:
    """The error of the record at *position*, for which *error* was raised."""
    if isinstance(error, ValidationError):
        first, *others = error.errors(include_url=False, include_context=False)
        field, value, reason = ".".join(map(str, first["loc"])) or None, first["input"], first["msg"]
        is_missing, more = first["type"] == "missing", _more([".".join(map(str, one["loc"])) for one in others])
    else:
        field, value, reason, is_missing, more = None, record, str(error) or type(error).__name__, False, ""
    if is_missing:  # the value is what it is missing in
        why = f"the field '{field}' is missing in {shown(value)}"
    else:
        why = f"the field '{field}' is {shown(value)}: {reason}" if field else f"it is {shown(value)}: {reason}"
    return DatasetRecordError(
        f"{dataset.title}: the record at position {position:,} {what}: {why}{more}.",
        dataset=dataset.name,
        position=position,
        field=field,
        value=value,
        reasons=reasons(error),
    )


def _more(fields: Sequence[str]) -> str:
    """What is said of further reasons: how many there are, and the first fields that they are about."""
    if not fields:
        return ""
    names = list(dict.fromkeys(filter(None, fields)))
    listed = f": {', '.join(names[:_NAMES])}{', …' if len(names) > _NAMES else ''}" if names else ""
    return f" (and {len(fields)} more{listed})"


def shown(value: Any) -> str:
    """A value as messages have it."""
    text = repr(value)
    return text if len(text) <= _MOST else f"{text[:_MOST]}..."
