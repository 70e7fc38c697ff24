"""Chunks that travel as they are: their class takes them apart into plain data and makes them again of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from pipe_core.kernel.contracts import Chunk, Rejection

ChunkT = TypeVar("ChunkT", bound="Portable")


@runtime_checkable
class Portable(Chunk, Protocol):
    """A chunk that goes to another process in its own form.

    A source names such classes in its attribute ``travels``. The chunks of other classes travel too, but their
    records are read on the driver first.
    """

    def pack(self) -> Sequence[Any]:
        """The parts that `unpack` wants: lists, numbers, text, bytes, and records.

        Raises:
            CodecError: This chunk cannot be taken apart; then its records travel.
        """

    @classmethod
    def unpack(cls: type[ChunkT], *parts: Any) -> ChunkT:
        """The chunk that `pack` took apart."""


def pack_rejected(rejected: Mapping[int, Rejection]) -> list[list[Any]]:
    """Rejections as plain data."""
    return [[i, one.type, one.message, one.raw] for i, one in rejected.items()]


def unpack_rejected(rows: Sequence[Sequence[Any]]) -> dict[int, Rejection]:
    """The rejections that `pack_rejected` took apart."""
    return {i: Rejection(kind, message, raw) for i, kind, message, raw in rows}
