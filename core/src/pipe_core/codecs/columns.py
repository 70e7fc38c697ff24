"""A list of dicts with the same keys, by columns: the keys once, then a list for each key.

This is how an ordinary chunk of records looks. A column is written like any list, so a plain one goes to the C
packer as it is, one of dates becomes a list of numbers, and one of dicts becomes columns again.
"""

from __future__ import annotations

from itertools import chain, cycle, repeat
from operator import is_
from typing import Any

from msgpack import ExtType

from pipe_core.codecs import tags
from pipe_core.codecs.containers import write_list
from pipe_core.codecs.crowding import is_crowded
from pipe_core.codecs.reader import Reader
from pipe_core.codecs.writer import Refused, Writer, key_step
from pipe_core.kernel.errors import CodecError


def write_columns(writer: Writer, rows: list[dict[Any, Any]]) -> ExtType | None:
    """The extension of *rows*, of which there are at least two. None when they differ in their keys."""
    keys = list(rows[0])
    if not keys or is_crowded(keys) or not _have_keys(rows, keys):
        return None
    writer.count(len(rows))
    cells = writer.cells(keys, lambda i: f"[0]<key {repr(keys[i])[:80]}>")
    for key, column in zip(keys, zip(*map(dict.values, rows), strict=True), strict=True):
        try:
            cells.append(write_list(writer, list(column)))
        except Refused as refused:
            # The column says "row, then what is inside"; the key belongs between the two.
            row = refused.steps.pop() if refused.steps else "[0]"
            refused.steps += [key_step(key), row]
            raise
    return ExtType(tags.COLUMNS, writer.pack(cells))


def read_columns(reader: Reader, data: bytes) -> list[dict[Any, Any]]:
    """The rows that `write_columns` took apart."""
    items = reader.items(data)
    half = len(items) // 2
    keys, columns = items[:half], items[half:]
    if not keys or set(map(type, columns)) != {list} or is_crowded(keys) or len(set(keys)) != half:
        raise CodecError("The frame is malformed: its columns do not fit their keys.")
    if len(set(map(len, columns))) != 1:
        raise CodecError("The frame is malformed: its columns have different lengths.")
    reader.count(len(columns[0]))
    return list(map(dict, map(zip, repeat(keys), zip(*columns, strict=True))))


def _have_keys(rows: list[dict[Any, Any]], keys: list[Any]) -> bool:
    """Whether each row has exactly *keys*, in this order and of these types. All of it runs in C.

    Equal is not enough: 1 == True, and a StrEnum's member equals a string. So the keys must be the very same
    objects in each row, as they are where one program text made the rows, or all be strings.
    """
    if set(map(len, rows)) != {len(keys)}:
        return False
    if all(map(is_, chain.from_iterable(rows), cycle(keys))):
        return True
    return set(map(type, chain.from_iterable(rows))) == {str} and all(map(keys.__eq__, map(list, rows)))
