"""Files that grow while they are read: the records that are whole by now, from a position on.

A position says how many bytes were read, and what the file began with: one that was replaced or cut is not the same
file any more, whatever it is called.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

from pipe_core.formats.byte_range import ByteRange
from pipe_core.formats.input_file import reading_errors
from pipe_core.kernel.contracts import Followed
from pipe_core.kernel.errors import PositionLostError, SourceError

_HEAD: Final = 4096
_BLOCK: Final = 1 << 20
_BATCH: Final = 1000


def follow_file(
    name: str,
    path: str,
    first: int,
    between: Callable[[int, int], ByteRange[Any]],
    quote: bytes | None,
    since: Mapping[str, Any] | None,
    limit: int,
    until: Mapping[str, Any] | None,
    size: int | None = None,
) -> Followed:
    """See `FollowableSource.follow`.

    Args:
        name: What errors call the file.
        path: Where it is.
        first: Where its first record begins.
        between: The records from one byte to another one.
        quote: What is around a line end that ends no record.
        since: A position.
        limit: The most records.
        until: A position.
        size: How long it was when *first* was looked for, where that depends on what is there; what is behind it comes
            next time.

    Raises:
        PositionLostError: The file is shorter than the position says, or begins otherwise.
        SourceError: A record cannot be read.
    """
    with reading_errors(name), open(path, "rb", buffering=0) as file:
        # It may have been followed when not even its header was there.
        begin = first if since is None else max(first, _checked(name, file, since))
        end = _end(file, begin, limit, quote, size) if until is None else _checked(name, file, until)
        records = _read(name, between(begin, end)) if end > begin else []
        return Followed(records, {"bytes": end, "head": _head(file, end)})


def not_followable(name: str) -> SourceError:
    """The error for a file whose growth nobody can follow."""
    return SourceError(
        f"{name!r} cannot be followed. Plain files on this machine can, as UTF-8 and without compression, escape "
        f"characters and max_rows; and topics.",
        source=name,
    )


def _read(name: str, split: ByteRange[Any]) -> list[Any]:
    found: list[Any] = []
    for batch in split.batches(_BATCH):
        for index, rejection in sorted(batch.rejected.items()):
            raise SourceError(
                f"Record {len(found) + index} behind byte {split.begin:,} of {name!r} cannot be read: "
                f"{rejection.message.rstrip('.')}. Correct it, and what is behind it will be read.",
                source=name,
            )
        found += batch.records
    return found


def _end(file: BinaryIO, begin: int, limit: int, quote: bytes | None, size: int | None) -> int:
    """The end of the last whole record of at most *limit* from *begin* on, and not behind *size*."""
    file.seek(begin)
    end = place = begin
    records, inside, rest = 0, False, b""
    left = size - begin if size is not None else sys.maxsize
    while records < limit and left > 0 and (block := file.read(min(_BLOCK, left))):
        left -= len(block)
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        for line in lines:
            place += len(line) + 1
            if quote is not None and line.count(quote) % 2:
                inside = not inside
            if inside:
                continue
            end = place
            records += bool(line.strip())
            if records == limit:
                break
    return end


def _head(file: BinaryIO, end: int) -> str:
    """What tells the file's beginning, as far as it was read, from that of another one."""
    file.seek(0)
    return hashlib.blake2b(file.read(min(end, _HEAD)), digest_size=12).hexdigest()


def _checked(name: str, file: BinaryIO, position: Mapping[str, Any]) -> int:
    end = int(position["bytes"])
    length = file.seek(0, 2)
    if length < end:
        problem = f"it has {length:,} bytes, and {end:,} of it were read before"
    elif _head(file, end) != position["head"]:
        problem = "it begins otherwise than the file that was read before"
    else:
        return end
    raise PositionLostError(
        f"{name!r} cannot be gone on with: {problem}. Was it replaced, or cut? A file that is followed only grows: "
        f"follow the new one under a name of its own, or let the stream begin again.",
        source=name,
    )
