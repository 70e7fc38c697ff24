"""Codecs: values as bytes."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Codec(Protocol):
    """How a value becomes bytes and comes back, with equal value and equal types."""

    def encode(self, value: Any, /) -> bytes:
        """The frame of *value*. Raises `CodecError` for a value that cannot travel."""

    def decode(self, data: bytes, /) -> Any:
        """The value of a frame. Raises `CodecError`, and nothing else, for any bytes that are no whole frame."""
