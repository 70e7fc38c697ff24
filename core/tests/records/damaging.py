"""Bytes as they come when something went wrong on their way."""

from __future__ import annotations

from collections.abc import Iterator


def damages(data: bytes) -> Iterator[bytes]:
    """Every bit of *data* flipped, every beginning of it, and more behind it."""
    for i in range(len(data)):
        yield data[:i]
        for bit in range(8):
            yield data[:i] + bytes([data[i] ^ (1 << bit)]) + data[i + 1 :]
    yield data + b"\0"
    yield data + data
