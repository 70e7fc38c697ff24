"""JSON lines out of validated values, made on the workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pipe_core.kernel.contracts import Serializer


class JsonlEncoder:
    """One line of JSON a record. The row function is the serializer's own: no Python runs per row."""

    __slots__ = ()

    def bind(self, serializer: Serializer) -> Callable[[Any], bytes]:
        """The function that makes a row."""
        return serializer.json

    def stamp(self, position: int, row: bytes) -> bytes:
        """The row with its position as the first field."""
        return stamped(position, row)

    def join(self, rows: Sequence[bytes]) -> bytes:
        """The rows as lines."""
        return b"\n".join(rows) + b"\n" if rows else b""

    def merge(self, payloads: Sequence[bytes]) -> bytes:
        """The lines of all."""
        return b"".join(payloads)


def stamped(position: int, row: bytes) -> bytes:
    """A JSON object with its position as the first field."""
    if row[1:2] == b'"':  # nearly always: a field follows, without white space
        return b'{"position":%d,%b' % (position, row[1:])
    rest = row[1:]
    return b'{"position":%d%b%b' % (position, b"" if rest.lstrip().startswith(b"}") else b",", rest)
