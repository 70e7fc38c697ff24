"""Records out of Arrow data: every type as the Python value that equals it.

What has no such value (a moment in the year 20,000, nanoseconds, text that is no UTF-8) rejects its record alone.
"""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Callable, Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from pipe_core.formats.record_maker import record_maker
from pipe_core.kernel.contracts import Batch, Rejection

_EPOCH: Final = datetime.datetime(1970, 1, 1)
_EPOCH_UTC: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_SHOWN: Final = 200
_UNREADABLE: Final = (pa.ArrowException, ValueError, OverflowError, TypeError)
"""What is raised for a value that Python's types cannot hold; TypeError for a map whose keys are no keys in Python."""


def batches_of(data: pa.RecordBatch, size: int, truncate: bool) -> Iterator[Batch]:
    """The records of *data* in batches of at most *size*.

    Args:
        data: Some rows.
        size: The most records of a batch.
        truncate: Cut digits behind the microseconds off instead of rejecting their record.
    """
    names = tuple(data.schema.names)
    columns, rejected = _columns(data, truncate)
    nested = any(types.is_nested(field.type) for field in data.schema)
    make = record_maker(names)
    for start in range(0, data.num_rows, size):
        rows = list(zip(*[column[start : start + size] for column in columns], strict=True))
        if not names:
            rows = [()] * min(size, data.num_rows - start)
        records: list[Any] = make(rows)
        bad = {i - start: why for i, why in rejected.items() if start <= i < start + size}
        for i in bad:
            records[i] = None
        yield Batch(records, _raw(data.slice(start, size), rows, bad, nested, truncate), bad)


def _raw(
    data: pa.RecordBatch, rows: list[tuple[Any, ...]], bad: dict[int, Rejection], nested: bool, truncate: bool
) -> Callable[[int], Any]:
    make = record_maker(tuple(data.schema.names))

    def raw(i: int) -> Any:
        if i in bad:
            return bad[i].raw
        if nested:  # what is in a record may have been changed: read again
            return make([tuple(column[0] for column in _columns(data.slice(i, 1), truncate)[0])])[0]
        return make(rows[i : i + 1])[0]

    return raw


def _columns(data: pa.RecordBatch, truncate: bool) -> tuple[list[list[Any]], dict[int, Rejection]]:
    columns: list[list[Any]] = []
    reasons: dict[int, tuple[str, str]] = {}
    for name, array in zip(data.schema.names, data.columns, strict=True):
        try:
            columns.append(values(array, truncate))
        except _UNREADABLE:
            cells, bad = _one_by_one(array, truncate)
            columns.append(cells)
            for i, reason in bad.items():
                reasons.setdefault(i, (name, reason))
    rejected = {}
    for i, (name, reason) in reasons.items():
        raw = dict(zip(data.schema.names, (column[i] for column in columns), strict=True))
        rejected[i] = Rejection("UnreadableValue", f"Column {name!r}: {reason}", raw)
    return columns, rejected


def _one_by_one(array: pa.Array, truncate: bool) -> tuple[list[Any], dict[int, str]]:
    cells: list[Any] = []
    bad: dict[int, str] = {}
    for i in range(len(array)):
        one = array.slice(i, 1)
        try:
            cells.append(values(one, truncate)[0])
        except _UNREADABLE as error:
            bad[i] = f"{error} (of the type {array.type})"
            cells.append(_shown(one))
    return cells, bad


def _shown(one: pa.Array) -> str:
    for kind in (pa.string(), pa.int64(), pa.binary()):
        try:
            return str(one.cast(kind)[0].as_py())[:_SHOWN]
        except (pa.ArrowException, ValueError):
            continue
    return f"<{one.type}>"


def values(array: pa.Array, truncate: bool = False) -> list[Any]:
    """The Python values of *array*.

    Raises:
        ValueError, OverflowError, pyarrow.ArrowException: Python has no equal value for one of them.
    """
    kind = array.type
    for fits, convert in _CONVERTERS:
        if fits(kind):
            return convert(array, truncate)
    result: list[Any] = array.to_pylist()
    return result


def _moments(array: pa.Array, truncate: bool) -> list[Any]:
    zone = array.type.tz
    counts = _microseconds(array, pa.timestamp("us", zone), truncate)
    delta = datetime.timedelta
    if zone is None:
        return [None if count is None else _EPOCH + delta(0, 0, count) for count in counts]
    moments = [None if count is None else _EPOCH_UTC + delta(0, 0, count) for count in counts]
    there = _zone(zone)
    if there is datetime.UTC:
        return moments
    return [None if moment is None else moment.astimezone(there) for moment in moments]


def _zone(name: str) -> datetime.tzinfo:
    if name.upper() in ("UTC", "Z", "ETC/UTC", "+00:00"):
        return datetime.UTC
    if name[0] in "+-":
        sign = -1 if name[0] == "-" else 1
        hours, _, minutes = name[1:].partition(":")
        return datetime.timezone(sign * datetime.timedelta(hours=int(hours), minutes=int(minutes or 0)))
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"the time zone {name!r} is not known here; is the package tzdata missing?") from error


def _durations(array: pa.Array, truncate: bool) -> list[Any]:
    counts = _microseconds(array, pa.duration("us"), truncate)
    return [None if count is None else datetime.timedelta(0, 0, count) for count in counts]


def _times(array: pa.Array, truncate: bool) -> list[Any]:
    cut = truncate and array.type.unit == "ns"
    result: list[Any] = array.cast(pa.time64("us"), safe=not cut).to_pylist()
    return result


def _microseconds(array: pa.Array, kind: pa.DataType, truncate: bool) -> list[Any]:
    cut = truncate and array.type.unit == "ns"  # elsewhere an unsafe cast could overflow
    counts: list[Any] = array.cast(kind, safe=not cut).cast(pa.int64()).to_pylist()
    return counts


def _lists(array: pa.Array, truncate: bool) -> list[Any]:
    found: list[Any] = []
    items, at = values(array.flatten(), truncate), 0
    for length in pc.list_value_length(array).to_pylist():
        found.append(None if length is None else items[at : at + length])
        at += length or 0
    return found


def _structs(array: pa.Array, truncate: bool) -> list[Any]:
    names = tuple(field.name for field in array.type)
    if names:
        rows = list(zip(*[values(part, truncate) for part in array.flatten()], strict=True))
        records: list[Any] = record_maker(names)(rows)
    else:
        records = [{} for _ in range(len(array))]
    if array.null_count:
        return [record if valid else None for record, valid in zip(records, array.is_valid().to_pylist(), strict=True)]
    return records


def _maps(array: pa.Array, truncate: bool) -> list[Any]:
    ends = array.offsets.to_pylist()
    first, length = ends[0], ends[-1] - ends[0]
    keys = values(array.keys.slice(first, length), truncate)
    items = values(array.items.slice(first, length), truncate)
    found: list[Any] = []
    for valid, begin, end in zip(array.is_valid().to_pylist(), ends, ends[1:], strict=False):
        begin, end = begin - first, end - first
        record = dict(zip(keys[begin:end], items[begin:end], strict=True)) if valid else None
        if record is not None and len(record) < end - begin:
            raise ValueError("a map has a key more than once")
        found.append(record)
    return found


def _halves(array: pa.Array, truncate: bool) -> list[Any]:
    return [None if value is None else float(value) for value in array.to_pylist()]  # they may be numbers of numpy


def _is_list(kind: pa.DataType) -> bool:
    view = getattr(types, "is_list_view", None), getattr(types, "is_large_list_view", None)
    plain = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return plain or any(is_view is not None and is_view(kind) for is_view in view)


_CONVERTERS: Final[tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array, bool], list[Any]]], ...]] = (
    (lambda kind: types.is_integer(kind) or types.is_string(kind), lambda array, _: array.to_pylist()),
    (types.is_timestamp, _moments),
    (types.is_duration, _durations),
    (types.is_time, _times),
    (types.is_map, _maps),
    (_is_list, _lists),
    (types.is_struct, _structs),
    (types.is_float16, _halves),
    (types.is_dictionary, lambda array, truncate: values(array.dictionary_decode(), truncate)),
    (types.is_run_end_encoded, lambda array, truncate: values(pc.run_end_decode(array), truncate)),
    (lambda kind: isinstance(kind, pa.BaseExtensionType), lambda array, truncate: _extension(array, truncate)),
)


def _extension(array: pa.Array, truncate: bool) -> list[Any]:
    if array.type.extension_name == "arrow.uuid":
        result: list[Any] = array.to_pylist()
        return result
    return values(array.storage, truncate)
