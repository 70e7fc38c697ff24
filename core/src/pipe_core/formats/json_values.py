"""Records out of JSON values, as fast as pydantic's parser and stricter.

The parser refuses bad UTF-8, NaN, lone surrogates and integers of more than 4,300 digits by itself. It does not see
duplicate keys, numbers that overflow to infinity, and nesting up to a depth of 200. Those are looked for in the bytes
of a whole batch at once, by counting: only where the counts leave a doubt is a record looked at by itself.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from functools import partial
from typing import Any, Final

from pydantic_core import from_json

from pipe_core.formats.group import Group
from pipe_core.formats.rejections import shown
from pipe_core.kernel.contracts import Batch, Rejection
from pipe_core.kernel.portable import pack_rejected, unpack_rejected

_PARSE: Final = partial(from_json, allow_inf_nan=False)
_STEP: Final = 32
_NINE_DIGITS: Final = b"0" * 9
_BETWEEN: Final = b"\0"
"""Stands between the values of a batch. It is in none of them: JSON knows no NUL."""


def _marks() -> bytes:
    table = bytearray(b"x" * 256)
    for same, stands_for in ((b"0123456789", b"0"), (b"eE", b"e"), (b" \t\r\n", b" "), (b"+", b"+"), (b':"', b"")):
        for byte in same:
            table[byte] = stands_for[0] if stands_for else byte
    return bytes(table)


_MARKS: Final = _marks()
"""What matters in JSON text when its values do not: digits as 0, exponents as e, white space as a space."""
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}\0")
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

    def pack(self) -> list[Any]:
        """The lines, in one piece where none of them has a NUL; the layout; the rejected records."""
        data = _BETWEEN.join(self.lines)
        lines = data if data.count(_BETWEEN) == len(self.lines) - 1 else self.lines
        return [lines, list(astuple(self.layout)), pack_rejected(self.rejected)]

    @classmethod
    def unpack(cls, lines: bytes | list[bytes], layout: list[Any], rejected: list[Any]) -> LinesChunk:
        """The chunk that `pack` took apart."""
        if isinstance(lines, bytes):
            lines = lines.split(_BETWEEN)
        return cls(lines, JsonLayout(*layout), unpack_rejected(rejected))


_Finder = Callable[[Any, bytes, JsonLayout], Rejection | None]


def values_batch(group: Group[bytes], layout: JsonLayout) -> Batch:
    """The batch of some JSON values."""
    lines, rejected = group.items, dict(group.rejected)
    records = _parsed(lines, rejected)
    for find in _doubts(records, lines, rejected, layout):
        for i, record in enumerate(records):
            if i not in rejected and (fault := find(record, lines[i], layout)) is not None:
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


def _doubts(
    records: list[Any], lines: Sequence[bytes], rejected: Mapping[int, Rejection], layout: JsonLayout
) -> Iterator[_Finder]:
    """The rules which the parser does not know and which some record may break, judged by counts alone."""
    if rejected:
        lines = [line for i, line in enumerate(lines) if i not in rejected]
        records = [record for i, record in enumerate(records) if i not in rejected]
    data = _BETWEEN.join(lines)
    marks = data.translate(_MARKS)
    if _may_overflow(marks):
        yield _find_infinity
    objects = [record for record in records if type(record) is dict]
    if data.count(b"{") + data.count(b"[") - len(objects) >= layout.max_depth:
        brackets = data.translate(None, _NO_BRACKETS).split(_BETWEEN)
        if max(map(len, brackets), default=0) > 2 * layout.max_depth:
            yield _find_depth
    keys = sum(map(len, objects))
    if keys > layout.max_fields:
        yield _find_width
    if data.count(b":") != keys and (most := _most_keys(marks)) != keys and most != sum(map(_count_keys, records)):
        yield _find_duplicate


def _find_infinity(record: Any, line: bytes, layout: JsonLayout) -> Rejection | None:
    if not _may_overflow(line.translate(_MARKS)) or _is_finite(record):
        return None
    return Rejection("NonFiniteNumber", "A number is too large for a float and would become infinity.", shown(line))


def _find_depth(record: Any, line: bytes, layout: JsonLayout) -> Rejection | None:
    if line.count(b"{") + line.count(b"[") <= layout.max_depth or _depth(record) <= layout.max_depth:
        return None
    return Rejection("TooDeep", f"Nested deeper than max_depth, {layout.max_depth}.", shown(line))


def _find_width(record: Any, line: bytes, layout: JsonLayout) -> Rejection | None:
    if not isinstance(record, dict) or len(record) <= layout.max_fields:
        return None
    text = f"The record has {len(record):,} fields, max_fields is {layout.max_fields:,}."
    return Rejection("TooManyFields", text, shown(line))


def _find_duplicate(record: Any, line: bytes, layout: JsonLayout) -> Rejection | None:
    if _most_keys(line.translate(_MARKS)) == _count_keys(record) or (key := _duplicate(line)) is None:
        return None
    return Rejection("DuplicateKey", f"The key {key!r} is there more than once.", shown(line))


def _most_keys(marks: bytes) -> int:
    # Every key has a colon, behind its quote or behind white space: there cannot be more keys than such places.
    return marks.count(b'":') + marks.count(b" :")


def _may_overflow(marks: bytes) -> bool:
    # A float overflows with an exponent of two digits or more, or with some 300 digits in a row: then nine neighbours
    # among every 32nd byte are digits.
    return b"0e00" in marks or b"0e+" in marks or _NINE_DIGITS in marks[::_STEP]


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
    if type(value) is dict:
        count, children = len(value), list(value.values())
    elif type(value) is list:
        count, children = 0, value
    else:
        return 0
    for child in children:
        if type(child) is dict or type(child) is list:
            count += _count_keys(child)
    return count


def _duplicate(line: bytes) -> str | None:
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in pairs]
        found.extend(name for name in names if names.count(name) > 1)

    json.loads(line.decode(), object_pairs_hook=look)
    return found[0] if found else None
