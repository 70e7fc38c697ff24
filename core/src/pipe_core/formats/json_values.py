"""Records out of JSON values, as fast as pydantic's parser and stricter.

The parser refuses bad UTF-8, NaN, lone surrogates and integers of more than 4,300 digits by itself. It does not see
duplicate keys, numbers that overflow to infinity, and nesting up to a depth of 200. Those are looked for in the bytes
of a whole batch at once, by counting: only where the counts leave a doubt is a record looked at by itself.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from pydantic_core import from_json

from pipe_core.formats.group import Group
from pipe_core.formats.rejections import shown
from pipe_core.kernel.contracts import Batch, Rejection

_PARSE: Final = partial(from_json, allow_inf_nan=False)
_BEFORE_COLON: Final = (b'":', b" :", b"\t:", b"\r:", b"\n:")
_LARGE_EXPONENT: Final = re.compile(rb"[eE]\+?[0-9]{2}")
_STEP: Final = 128
_TWO_DIGITS: Final = re.compile(rb"[0-9]{2}")
_TYPES: Final = (
    ("recursion limit", "TooDeep"),
    ("out of range", "NumberTooLarge"),
    ("unicode", "BadEncoding"),
)
_NON_FINITE: Final = re.compile(rb"[ \t\r\n:,\[]*-?(NaN|Infinity)")
_COLUMN: Final = re.compile(r"column (\d+)$")


@dataclass(frozen=True, slots=True)
class JsonLayout:
    """How a file of JSON values is laid out, as plain data that travels to the workers."""

    encoding: str
    longest: int
    max_fields: int
    max_depth: int


@dataclass(slots=True)
class LinesChunk:
    """Consecutive JSON values as bytes, parsed where they arrive.

    Attributes:
        lines: One value each, empty where rejected.
        layout: The limits that they must keep.
        rejected: The records that could not be read, by index.
    """

    lines: list[bytes]
    layout: JsonLayout
    rejected: dict[int, Rejection] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lines)

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of at most *size* records."""
        for piece in Group(self.lines, self.rejected).pieces(size):
            yield values_batch(piece, self.layout)


def values_batch(group: Group[bytes], layout: JsonLayout) -> Batch:
    """The batch of some JSON values."""
    lines, rejected = group.items, dict(group.rejected)
    records = _parsed(lines, rejected)
    if rejected or not _beyond_doubt(records, lines, layout):
        for i, record in enumerate(records):
            if i not in rejected and (fault := _fault(record, lines[i], layout)) is not None:
                records[i], rejected[i] = None, fault
    return Batch(records, lambda i: rejected[i].raw if i in rejected else _PARSE(lines[i]), rejected)


def _parsed(lines: Sequence[bytes], rejected: dict[int, Rejection]) -> list[Any]:
    records: list[Any] = []
    waiting = iter(lines)
    while True:
        try:
            records.extend(map(_PARSE, waiting))
        except ValueError as error:  # the records before it are in the list
            i = len(records)
            rejected.setdefault(i, _unparsable(lines[i], str(error)))
            records.append(None)
        else:
            return records


def _unparsable(line: bytes, message: str) -> Rejection:
    column = _COLUMN.search(message)
    if column and _NON_FINITE.match(line, max(int(column.group(1)) - 2, 0)):
        return Rejection("NonFiniteNumber", "NaN and Infinity are not JSON.", shown(line))
    kind = next((kind for part, kind in _TYPES if part in message), "BadJson")
    return Rejection(kind, f"Not JSON: {message.replace(' line 1', '')}.", shown(line))


def _beyond_doubt(records: list[Any], lines: Sequence[bytes], layout: JsonLayout) -> bool:
    """Whether it is certain, from counts alone, that no record breaks a rule which the parser does not know."""
    if set(map(type, records)) != {dict}:
        return False
    data = b"\n".join(lines)
    keys = sum(map(len, records))
    # Every key has a colon, behind its quote or behind white space: there cannot be more keys than such places.
    if data.count(b":") != keys and _most_keys(data) != keys:
        return False
    if data.count(b"{") + data.count(b"[") - len(records) >= layout.max_depth:
        return False
    return not _may_overflow(data) and (keys <= layout.max_fields or max(map(len, records)) <= layout.max_fields)


def _fault(record: Any, line: bytes, layout: JsonLayout) -> Rejection | None:
    if line.count(b"{") + line.count(b"[") > layout.max_depth and _depth(record) > layout.max_depth:
        return Rejection("TooDeep", f"Nested deeper than max_depth, {layout.max_depth}.", shown(line))
    if isinstance(record, dict) and len(record) > layout.max_fields:
        text = f"The record has {len(record):,} fields, max_fields is {layout.max_fields:,}."
        return Rejection("TooManyFields", text, shown(line))
    if _may_overflow(line) and not _is_finite(record):
        return Rejection("NonFiniteNumber", "A number is too large for a float and would become infinity.", shown(line))
    if _most_keys(line) != _count_keys(record) and (key := _duplicate(line)) is not None:
        return Rejection("DuplicateKey", f"The key {key!r} is there more than once.", shown(line))
    return None


def _most_keys(data: bytes) -> int:
    return sum(map(data.count, _BEFORE_COLON))


def _may_overflow(data: bytes) -> bool:
    # A float overflows with an exponent of two digits or more, or with some 300 digits in a row: then two neighbours
    # among every 128th byte are digits.
    return bool(_LARGE_EXPONENT.search(data) or _TWO_DIGITS.search(data[::_STEP]))


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        return iter(value.values())
    return iter(value) if isinstance(value, list) else iter(())


def _depth(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(_depth, _children(value)), default=0)


def _is_finite(value: Any) -> bool:
    return math.isfinite(value) if isinstance(value, float) else all(map(_is_finite, _children(value)))


def _count_keys(value: Any) -> int:
    own = len(value) if isinstance(value, dict) else 0
    return own + sum(_count_keys(child) for child in _children(value) if isinstance(child, dict | list))


def _duplicate(line: bytes) -> str | None:
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in pairs]
        found.extend(name for name in names if names.count(name) > 1)

    json.loads(line.decode(), object_pairs_hook=look)
    return found[0] if found else None
