from __future__ import annotations

import zlib
from struct import Struct
from typing import Any

import pytest
from msgpack import ExtType, packb

from pipe_core.codecs.frame import HEADER_BYTES, LZ4, MAGIC
from pipe_core.codecs.tags import WIRE_VERSION

HEADER = Struct(">4sBBQQ")


class Forger:
    """Makes frames with a true checksum around any payload, as somebody would who wants to do harm."""

    def frame(self, body: bytes, flags: int = 0, raw_length: int | None = None, version: int = WIRE_VERSION) -> bytes:
        header = HEADER.pack(MAGIC, version, flags, len(body), len(body) if raw_length is None else raw_length)
        return header + zlib.crc32(header + body).to_bytes(4, "big") + body

    def lz4(self, body: bytes, raw_length: int) -> bytes:
        return self.frame(body, LZ4, raw_length)

    def of_extension(self, code: int, *cells: Any) -> bytes:
        """The frame of an extension over a flat array of cells."""
        return self.of_data(code, packb(list(cells)))

    def of_data(self, code: int, data: bytes) -> bytes:
        """The frame of an extension with any data."""
        return self.frame(packb(ExtType(code, data)))

    def payload(self, frame: bytes) -> bytes:
        return frame[HEADER_BYTES:]


@pytest.fixture
def forger() -> Forger:
    return Forger()
