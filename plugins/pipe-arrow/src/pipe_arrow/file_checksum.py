"""A checksum of the part of a file that says what is in it, inside of that part.

It is for formats whose own metadata has none: the footer of Parquet, and all of an Avro file. The writer puts zeros
where the checksum will be; it is computed with them, and takes their place.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, BinaryIO, Final

from pipe_arrow.reading import Damaged

KEY: Final = "pipe.checksum"
EMPTY: Final = "0" * 32
_MARK: Final = re.compile(rb"pipe\.checksum[^0-9a-f]{1,4}([0-9a-f]{32})")
"""Between key and value both formats put lengths, which are no such digits."""
_HEAD: Final = 1 << 20
_BLOCK: Final = 1 << 20


def patch(file: Any, begin: int, end: int) -> None:
    """Put the checksum of the bytes from *begin* to *end* into them."""
    place, digest = _look(file, begin, end)
    if place is not None:
        file.seek(place)
        file.write(digest)
        file.seek(0, 2)


def check(file: BinaryIO, begin: int, end: int, what: str) -> None:
    """Compare the checksum of the bytes from *begin* to *end*, where there is one. *what* is what they are.

    Raises:
        Damaged: It differs.
    """
    place, digest = _look(file, begin, end)
    if place is None:
        return
    file.seek(place)
    if file.read(len(digest)) != digest:
        raise Damaged(f"the checksum of {what} is wrong")


def _look(file: BinaryIO, begin: int, end: int) -> tuple[int | None, bytes]:
    """Where the checksum is, and what it should be."""
    file.seek(begin)
    head = file.read(min(_HEAD, end - begin))
    if (found := _MARK.search(head)) is None:
        return None, b""
    digest = hashlib.blake2b(head[: found.start(1)] + EMPTY.encode() + head[found.end(1) :], digest_size=16)
    left = end - begin - len(head)
    while left > 0 and (block := file.read(min(_BLOCK, left))):
        digest.update(block)
        left -= len(block)
    return begin + found.start(1), digest.hexdigest().encode()
