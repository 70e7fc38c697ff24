"""Transport: chunks go to worker processes and results come back as frames of the run's codec.

Nothing here is pickled. What stands around the frames is in `border`, how chunks become plain data in their own
classes or else in `loose_chunk`, how results do in `packed_result`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from pipe_core.kernel.contracts import Chunk, Codec
from pipe_core.kernel.ctrl_c import is_ctrl_c
from pipe_core.kernel.error_text import error_text
from pipe_core.kernel.errors import CodecError
from pipe_core.kernel.portable import Portable
from pipe_core.records.entry import Entry
from pipe_core.records.result import Result
from pipe_core.records.schema import Schema
from pipe_core.records.transport import border
from pipe_core.records.transport.long_value import DEEPEST, frames_of, value_of
from pipe_core.records.transport.loose_chunk import LooseChunk, Piece, pieces_of
from pipe_core.records.transport.packed_entries import plain_entries
from pipe_core.records.transport.packed_result import legible_failures, plain_result, result_of
from pipe_core.records.transport.type_table import TypeTable
from pipe_core.records.transport.types_of import types_of

_LOOSE: Final = -1
"""Stands where the place of the chunk's class would stand."""
_LEVELS: Final = 8
"""How much deeper than in itself a value stands in a chunk or result, at most."""
_WRAPPED: Final = "$" + _LEVELS * "[0]"


class Untravelable(CodecError):
    """Something in a result cannot travel. `path` leads to it; `Carrier.check` tells whose record it is."""


class Carrier:
    """Packs chunks on the driver and opens them on a worker, packs results there and opens them on the driver.

    One for a run. It travels in the program and then makes its table of types again: out of the schema, so that the
    classes are those that the worker's schema makes. May be used by many threads at once.

    Args:
        codec: How values become bytes. With a method ``with_types(types)`` it also takes instances of classes.
        schema: The run's schema.
        travels: Classes of chunks that travel as they are, as the source names them.
        remake: Makes the codec on a worker, for one that cannot be pickled; without it the codec itself travels.

    Raises:
        CodecError: *codec* changes or refuses what results are made of, or a class in *travels* has no ``pack`` and
            ``unpack``.
    """

    def __init__(
        self,
        codec: Codec,
        schema: Schema | None = None,
        travels: Sequence[type] = (),
        remake: Callable[[], Codec] | None = None,
    ) -> None:
        for kind in travels:
            if not (hasattr(kind, "pack") and hasattr(kind, "unpack")):
                raise CodecError(f"{kind.__qualname__} cannot travel as it is: it has no pack and unpack.")
        border.check_codec(codec)
        self._begin((codec, schema, tuple(travels), remake, None, ()))

    def _begin(self, state: tuple[Any, ...]) -> None:
        self._codec, self._schema, self._travels, self._remake, self._expected, self._extra = state
        self._lock = threading.RLock()
        self._table: TypeTable | None = None
        self._refused: set[type] = set()
        self._codecs: list[Codec] = []
        self._frame_bytes = self._beside_bytes = 0
        self._told = self._heard = 0.0

    # --- chunks ---

    def pack_chunk(self, chunk: Chunk) -> bytes:
        """*chunk* as bytes. Never fails: a record that cannot travel is rejected, and only that one."""
        if type(chunk) in self._travels:
            try:
                value = [self._travels.index(type(chunk)), *cast(Portable, chunk).pack()]
                return self._joined(border.CHUNK, [self._encode(value)])
            except CodecError:  # something in it cannot travel, or it is too long: record by record, then
                pass
        pieces = chunk.pieces if isinstance(chunk, LooseChunk) else pieces_of(chunk)
        return self._joined(border.CHUNK, [frame for piece in pieces for frame in self._frames(piece)])

    def open_chunk(self, data: bytes) -> Chunk:
        """The chunk that `pack_chunk` packed.

        Raises:
            CodecError: *data* is damaged, or needs types that this carrier has not learned.
        """
        decode, frames = self._parted(border.CHUNK, data)
        values = [decode(bytes(frame)) for frame in frames]
        try:
            if not values or values[0][0] == _LOOSE:
                return LooseChunk([Piece.unpack(*parts) for _, *parts in values])
            ((place, *parts),) = values
            return cast(type[Portable], self._travels[place]).unpack(*parts)
        except Exception as error:
            raise CodecError(f"The chunk is malformed: {type(error).__name__}: {error}") from error

    def _frames(self, piece: Piece) -> list[bytes]:
        """The frames of a piece: of one whole, or of its halves, down to the records that cannot travel."""
        try:
            return [self._encode([_LOOSE, *piece.pack()])]
        except CodecError:
            if len(piece) > 1:
                return [frame for half in piece.halves() for frame in self._frames(half)]
        legible = piece.legible(self.check)
        try:
            return [self._encode([_LOOSE, *legible.pack()])]
        except CodecError:
            return [self._encode([_LOOSE, *legible.short().pack()])]

    # --- results ---

    def pack_result(self, result: Result) -> bytes:
        """*result* as bytes.

        What the error row of a failed record holds and cannot travel is replaced by its legible form.

        Raises:
            Untravelable: A row, a verdict or an entry cannot travel, be it that it is too long for a frame.
        """
        encode = _guarded(self._ready().codec)
        # Bytes for a sink, by far the most of it, go beside a codec that would only copy them.
        beside = type(result.payload) is bytes and not self._compresses()
        try:
            frame = encode(plain_result(replace(result, payload=None) if beside else result))
        except CodecError:
            return self._joined(border.LONG_RESULT, self._long_frames(result))
        if not beside:
            return self._joined(border.RESULT, [frame])
        self._note_beside(result.payload)
        return self._joined(border.RESULT, [frame, border.raw(result.payload)])

    def _long_frames(self, result: Result) -> list[bytes]:
        plain = plain_result(legible_failures(result, self.can_travel))
        try:
            return list(frames_of(plain, _guarded(self._ready().codec)))
        except CodecError as error:
            raise Untravelable(f"A result cannot travel back to the driver: {error}", path=error.path) from error

    def open_result(self, data: bytes) -> Result:
        """The result that `pack_result` packed.

        Raises:
            CodecError: *data* is damaged.
        """
        long = data[: len(border.LONG_RESULT)] == border.LONG_RESULT
        decode, frames = self._parted(border.LONG_RESULT if long else border.RESULT, data)
        try:
            if long:
                return result_of(value_of(decode(bytes(frame)) for frame in frames))
            frame, *rest = frames
            result = result_of(decode(bytes(frame)))
            if rest:
                result.payload = border.opened(*rest)
                self._note_beside(result.payload)
            return result
        except CodecError:
            raise
        except Exception as error:
            raise CodecError(f"The result is malformed: {type(error).__name__}: {error}") from error

    # --- what can travel ---

    def check(self, value: Any) -> None:
        """See whether a row, a verdict's value or an `Entry` can travel, alone or among others.

        Raises:
            CodecError: It cannot. `path` leads from *value* to the part.
        """
        if isinstance(value, Entry):
            value = plain_entries([value])
        encode = _guarded(self._ready().probe)
        wrapped = value
        for _ in range(_LEVELS):
            wrapped = [wrapped]
        try:
            encode(wrapped)
        except CodecError as error:
            if _goes_in_parts(value, encode):
                return
            path = error.path and f"${error.path.removeprefix(_WRAPPED)}"
            message = str(error).replace(error.path, path) if error.path and path else f"It cannot travel: {error}"
            raise CodecError(message, path=path) from None

    def can_travel(self, value: Any) -> bool:
        """Whether `check` is content with *value*."""
        try:
            self.check(value)
        except CodecError:
            return False
        return True

    # --- the table of types ---

    @property
    def types(self) -> tuple[type, ...]:
        """The table of types: those of the schema, and behind them `extra_types`."""
        return self._ready().types

    @property
    def extra_types(self) -> tuple[type, ...]:
        """The types that were met in records. They only ever get more, behind those that are there."""
        return self._ready().extra

    def learn(self, types: Sequence[type]) -> None:
        """Take over the `extra_types` of the driver. Cheap when they are known."""
        if len(types) > len(self.extra_types):
            with self._lock:
                if len(types) > len(self.extra_types):
                    self._use(self._ready().more(types))

    def _ready(self) -> TypeTable:
        return self._table or self._first_table()

    def _first_table(self) -> TypeTable:
        """The table of the schema. Made when it is needed: while a carrier is unpickled, classes are not whole yet.

        Raises:
            CodecError: The schema names other classes here than on the driver.
        """
        with self._lock:
            if self._table is not None:
                return self._table
            codec = cast(Codec, self._remake() if self._codec is None else self._codec)
            table = TypeTable(codec, types_of(self._schema), self._extra)
            if self._expected not in (None, table.names):
                raise CodecError(
                    f"The schema names other classes on the worker than on the driver: {', '.join(table.names)}, and "
                    f"there {', '.join(self._expected)}. Install the same version of pydantic on both sides."
                )
            return self._use(table)

    def _use(self, table: TypeTable) -> TypeTable:
        self._codecs.append(table.codec)
        self._table = table
        return table

    def _encode(self, value: Any) -> bytes:
        table = self._ready()
        try:
            return _guarded(table.codec)(value)
        except CodecError:
            with self._lock:
                found = self._ready().new_types(value, self._refused)
                if found:
                    self._use(self._ready().more((*self.extra_types, *found)))
            if self._ready() is table:
                raise
        return _guarded(self._ready().codec)(value)

    # --- frames ---

    def _joined(self, mark: bytes, frames: list[bytes]) -> bytes:
        self._count(frames)
        return border.join(mark, len(self.types), self._untold(), frames)

    def _parted(self, mark: bytes, data: bytes) -> tuple[Callable[[bytes], Any], list[memoryview]]:
        """What decodes the frames of *data*, and the frames."""
        needed, seconds, frames = border.part(mark, data)
        table = self._ready()
        if needed > len(table.types):
            raise CodecError(
                f"The frame needs {needed} classes in the table of types, and {len(table.types)} are there. "
                f"Let the worker learn the extra_types of the driver's carrier first."
            )
        self._count(frames)
        with self._lock:
            self._heard += seconds
        return table.codec.decode, frames

    def _compresses(self) -> bool:
        options = getattr(self._ready().codec, "options", None)
        return getattr(options, "compression", None) is not None

    # --- counters ---

    @property
    def raw_bytes(self) -> int:
        """Bytes of what crossed the border, in both directions, before compression."""
        counted = [getattr(codec, "raw_bytes", None) for codec in self._codecs]
        return self._frame_bytes if None in counted else sum(cast("list[int]", counted)) + self._beside_bytes

    @property
    def frame_bytes(self) -> int:
        """Bytes of the frames that crossed the border, in both directions."""
        return self._frame_bytes

    @property
    def compress_seconds(self) -> float:
        """Seconds spent compressing and decompressing, here and, as far as they have told, at the other side."""
        return self._own_seconds() + self._heard

    def _own_seconds(self) -> float:
        return sum(getattr(codec, "compress_seconds", 0.0) for codec in self._codecs)

    def _untold(self) -> float:
        """Seconds spent here since the last time that the other side was told."""
        with self._lock:
            now = self._own_seconds()
            untold, self._told = now - self._told, now
        return untold

    def _note_beside(self, payload: bytes) -> None:
        with self._lock:
            self._beside_bytes += len(payload)

    def _count(self, frames: Sequence[bytes | memoryview]) -> None:
        with self._lock:
            self._frame_bytes += sum(map(len, frames))

    # --- how it travels itself ---

    def __getstate__(self) -> tuple[Any, ...]:
        table = self._ready()
        codec = None if self._remake else table.base
        return codec, self._schema, self._travels, self._remake, table.names, table.extra

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._begin(state)


def _guarded(codec: Codec) -> Callable[[Any], bytes]:
    """The codec's ``encode``. Whatever the user's code in a value raises is a `CodecError`, `SystemExit` included."""

    def encode(value: Any) -> bytes:
        try:
            return codec.encode(value)
        except CodecError:
            raise
        except BaseException as error:
            if is_ctrl_c(error):
                raise
            raise CodecError(f"Cannot encode a value in it: {type(error).__name__}: {error_text(error)}") from error

    return encode


def _goes_in_parts(value: Any, encode: Callable[[Any], bytes]) -> bool:
    """Whether *value* can travel as a part of a long result, which stands less deep than the result itself."""
    try:
        for _ in frames_of(value, encode, DEEPEST - _LEVELS):
            pass
    except CodecError:
        return False
    return True
