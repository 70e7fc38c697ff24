"""Transport: chunks go to worker processes and results come back as frames of the run's codec.

Nothing here is pickled. Around the frames of the codec stands a small head::

    2 bytes   what it is: a chunk or a result
    4 bytes   how many classes of the table of types it needs
    8 bytes   seconds that the sender spent compressing and has not told of yet
    4 bytes   how many frames follow
    8 bytes   the length of each
    4 bytes   CRC-32 of all that
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, Final, cast

from pipe_core.kernel.contracts import Chunk, Codec
from pipe_core.kernel.errors import CodecError
from pipe_core.kernel.portable import Portable
from pipe_core.records.entry import Entry
from pipe_core.records.loose_chunk import LooseChunk, Piece, pieces_of
from pipe_core.records.packed_entries import plain_entries
from pipe_core.records.packed_result import legible_failures, plain_result, result_of
from pipe_core.records.result import Result
from pipe_core.records.schema import Schema
from pipe_core.records.types_of import classes_in, types_of
from pipe_core.runtime.wire import dumps

_HEAD: Final = Struct(">2sIdI")
_LENGTH: Final = Struct(">Q")
_CHECKSUM: Final = Struct(">I")
_CHUNK: Final = b"C\x01"
_RESULT: Final = b"R\x01"
_LOOSE: Final = -1
"""Stands where the place of the chunk's class would stand."""
_LEVELS: Final = 8
"""How much deeper than in itself a value stands in a chunk or result, at most."""
_WRAPPED: Final = "$" + _LEVELS * "[0]"
_NEEDED: Final[list[Any]] = [None, True, 1, 1.5, "text", b"\xff", ("text", b""), [], {"key": [1]}]
"""What chunks and results are made of, whatever records hold."""


class Untravelable(CodecError):
    """Something in a result cannot travel. `path` leads to it; `Carrier.check` tells whose record it is."""


class Carrier:
    """Packs chunks on the driver and opens them on a worker, packs results there and opens them on the driver.

    One for a run. It travels in the program and then makes its table of types again: out of the schema, so that the
    classes are those that the worker's schema makes.

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
        _check_codec(codec)
        self._base = codec
        self._schema = schema
        self._travels = tuple(travels)
        self._remake = remake
        self._lock = threading.Lock()
        self._codecs: list[Codec] = []
        self._frame_bytes = 0
        self._told = self._heard = 0.0
        self._own = tuple(filter(self._takes, types_of(schema)))
        self._refused: set[type] = set()
        self._table: tuple[tuple[type, ...], Codec, Codec]
        self._learn(())

    # --- chunks ---

    def pack_chunk(self, chunk: Chunk) -> bytes:
        """*chunk* as bytes. Never fails: a record that cannot travel is rejected, and only that one."""
        if type(chunk) in self._travels:
            try:
                value = [self._travels.index(type(chunk)), *cast(Portable, chunk).pack()]
                return self._sealed(_CHUNK, [self._encode(value)])
            except CodecError:  # something in it cannot travel, or it is too long: record by record, then
                pass
        pieces = chunk.pieces if isinstance(chunk, LooseChunk) else pieces_of(chunk)
        return self._sealed(_CHUNK, [frame for piece in pieces for frame in self._frames(piece)])

    def open_chunk(self, data: bytes) -> Chunk:
        """The chunk that `pack_chunk` packed.

        Raises:
            CodecError: *data* is damaged, or needs types that this carrier has not learned.
        """
        values = self._opened(_CHUNK, data)
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
            Untravelable: A row, a verdict or an entry cannot travel, or all of it is too long for a frame.
        """
        encode = self._table[1].encode
        try:
            return self._sealed(_RESULT, [encode(plain_result(result))])
        except CodecError:
            result = legible_failures(result, self.can_travel)
        try:
            return self._sealed(_RESULT, [encode(plain_result(result))])
        except CodecError as error:
            raise Untravelable(f"A result cannot travel back to the driver: {error}", path=error.path) from error

    def open_result(self, data: bytes) -> Result:
        """The result that `pack_result` packed.

        Raises:
            CodecError: *data* is damaged.
        """
        values = self._opened(_RESULT, data)
        try:
            (value,) = values
            return result_of(value)
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
        for _ in range(_LEVELS):
            value = [value]
        try:
            self._table[2].encode(value)
        except CodecError as error:
            path = error.path and f"${error.path.removeprefix(_WRAPPED)}"
            message = str(error).replace(error.path, path) if error.path and path else str(error)
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
        """The table of types."""
        return self._table[0]

    @property
    def extra_types(self) -> tuple[type, ...]:
        """Those types that were met in records. They only ever get more, behind those that are there."""
        return self.types[len(self._own) :]

    def learn(self, types: Sequence[type]) -> None:
        """Take over the `extra_types` of the driver. Cheap when they are known."""
        with self._lock:
            if len(types) > len(self.extra_types):
                self._learn(types)

    def _learn(self, extra: Sequence[type]) -> None:
        types = (*self._own, *extra)
        with_types = getattr(self._base, "with_types", None)
        codec, probe = (with_types(types), with_types(types)) if with_types else (self._base, self._base)
        self._codecs.append(codec)
        self._table = types, codec, probe

    def _takes(self, kind: type) -> bool:
        """Whether the codec takes instances of *kind*, once it is in the table."""
        try:
            return bool(getattr(self._base, "with_types", _nothing)((kind,)))
        except CodecError:
            return False

    def _encode(self, value: Any) -> bytes:
        try:
            return self._table[1].encode(value)
        except CodecError:
            found = self._new_types(value)
            if not found:
                raise
        self.learn((*self.extra_types, *found))
        return self._table[1].encode(value)

    def _new_types(self, value: Any) -> list[type]:
        """The classes in *value* that are missing in the table and may be in it."""
        known = self._refused.union(self.types)
        new = [kind for kind in classes_in(value) if kind not in known]
        found = [kind for kind in new if self._takes(kind) and _is_portable(kind)]
        self._refused.update(set(new).difference(found))
        return found

    # --- frames ---

    def _sealed(self, mark: bytes, frames: list[bytes]) -> bytes:
        lengths = b"".join([_LENGTH.pack(len(frame)) for frame in frames])
        head = _HEAD.pack(mark, len(self.types), self._untold(), len(frames)) + lengths
        self._count(frames)
        return b"".join([head, _CHECKSUM.pack(zlib.crc32(head)), *frames])

    def _opened(self, mark: bytes, data: bytes) -> list[Any]:
        needed, seconds, frames = _apart(mark, data)
        types, codec, _ = self._table
        if needed > len(types):
            raise CodecError(
                f"The frame needs {needed} classes in the table of types, and {len(types)} are there. "
                f"Let the worker learn the extra_types of the driver's carrier first."
            )
        values = [codec.decode(frame) for frame in frames]
        self._count(frames)
        with self._lock:
            self._heard += seconds
        return values

    # --- counters ---

    @property
    def raw_bytes(self) -> int:
        """Bytes of what crossed the border, in both directions, before compression."""
        counted = [getattr(codec, "raw_bytes", None) for codec in self._codecs]
        return self._frame_bytes if None in counted else sum(cast("list[int]", counted))

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
        """Seconds spent here since the last frame that went to the driver."""
        with self._lock:
            now = self._own_seconds()
            untold, self._told = now - self._told, now
        return untold

    def _count(self, frames: list[bytes]) -> None:
        with self._lock:
            self._frame_bytes += sum(map(len, frames))

    # --- how it travels itself ---

    def __reduce__(self) -> tuple[Any, ...]:
        codec = None if self._remake else self._base
        return _again, (codec, self._schema, self._travels, self._remake, _names(self._own), self.extra_types)


def _again(
    codec: Codec | None,
    schema: Schema | None,
    travels: Sequence[type],
    remake: Callable[[], Codec] | None,
    names: list[str],
    extra: Sequence[type],
) -> Carrier:
    """The carrier on a worker.

    Raises:
        CodecError: The schema names other classes here than on the driver.
    """
    carrier = Carrier(cast(Codec, remake() if remake else codec), schema, travels, remake)
    here = _names(carrier.types)
    if here != names:
        raise CodecError(
            f"The schema names other classes on the worker than on the driver: {', '.join(here)}, and there "
            f"{', '.join(names)}. Install the same version of pydantic on both sides."
        )
    carrier.learn(extra)
    return carrier


def _check_codec(codec: Codec) -> None:
    for value in _NEEDED:
        try:
            found = codec.decode(codec.encode([value]))
        except CodecError as error:
            raise CodecError(f"{_unfit(codec, value)}: {error}") from error
        if repr(found) != repr([value]):
            raise CodecError(f"{_unfit(codec, value)}: {[value]!r} becomes {found!r}.")


def _unfit(codec: Codec, value: Any) -> str:
    return (
        f"The codec {type(codec).__qualname__} cannot carry chunks and results between processes, because they hold "
        f"{type(value).__name__} values. Use the codec msgpack"
    )


def _names(types: Sequence[type]) -> list[str]:
    return [f"{kind.__module__}.{kind.__qualname__}" for kind in types]


def _nothing(types: Sequence[type]) -> None:
    """What a codec without a table of types makes of *types*."""


def _is_portable(kind: type) -> bool:
    """Whether the class itself can travel to a worker that lacks it."""
    try:
        dumps(kind)
    except Exception:  # whatever the pickling of something in it raises
        return False
    return True


def _apart(mark: bytes, data: bytes) -> tuple[int, float, list[bytes]]:
    """How many types a chunk or result needs, the seconds that it tells of, and its frames.

    Raises:
        CodecError: It is damaged, or something else.
    """
    if data[:2] != mark or len(data) < _HEAD.size:
        raise CodecError(f"This is no {'chunk' if mark == _CHUNK else 'result'}: it begins with {data[:8]!r}.")
    _, needed, seconds, count = _HEAD.unpack_from(data)
    end = _HEAD.size + count * _LENGTH.size
    begin = end + _CHECKSUM.size
    if begin > len(data) or _CHECKSUM.unpack_from(data, end)[0] != zlib.crc32(data[:end]):
        raise CodecError("The head of a chunk or result is damaged: its checksum does not fit its bytes.")
    frames = []
    for (length,) in _LENGTH.iter_unpack(data[_HEAD.size : end]):
        frames.append(data[begin : begin + length])
        begin += length
    if begin != len(data):
        raise CodecError(f"A chunk or result is damaged: its head tells of {begin:,} bytes and it has {len(data):,}.")
    return needed, seconds, frames
