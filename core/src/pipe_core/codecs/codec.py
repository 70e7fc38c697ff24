"""`MsgpackCodec`: values to frames and back."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from time import perf_counter
from typing import Any, Final

from pipe_core.codecs import columns, containers, frame, moments, pydantic_values, scalars, table, tags
from pipe_core.codecs.options import MsgpackOptions
from pipe_core.codecs.reader import Read, Reader
from pipe_core.codecs.writer import Refused, Write, WriteMany, Writer
from pipe_core.kernel.errors import CodecError

_SINGLE: Final[dict[type, Write]] = {**scalars.SINGLE, **moments.SINGLE, **containers.SINGLE}
_MANY: Final[dict[type, WriteMany]] = {**scalars.MANY, **moments.MANY, dict: columns.write_columns}
_SCALARS: Final[dict[int, Read]] = {**scalars.READ, **moments.READ, **pydantic_values.READ}
_CONTAINERS: Final[dict[int, Read]] = {
    **containers.READ,
    **scalars.READ_MANY,
    **moments.READ_MANY,
    tags.COLUMNS: columns.read_columns,
}


class MsgpackCodec:
    """Encodes values as checked msgpack frames and decodes them to equal values of equal types.

    What travels: None, bool, int of any size, float, complex, str, bytes, bytearray, list, tuple, dict with any
    keys, set, frozenset, range, slice, date, time, datetime, timedelta, time zones, Decimal, Fraction, UUID, paths,
    IP addresses, pydantic's URLs and secrets, and instances of the classes in the table of types. The type of a value
    must be exactly one of these: a subclass is refused, never flattened. Values that occur twice in a value are two
    equal ones afterwards.

    May be used by many threads at once.

    Args:
        options: Compression and limits.
        types: The table of types: enums, pydantic models, dataclasses and NamedTuples. Both sides need the same.

    Attributes:
        raw_bytes: Bytes of all payloads encoded and decoded here, before compression.
        frame_bytes: Bytes of their frames.
        compress_seconds: Time spent compressing and decompressing.

    Raises:
        CodecError: A class in *types* cannot travel.
    """

    def __init__(self, options: MsgpackOptions | None = None, types: Sequence[type] = ()) -> None:
        self.options: Final = options or MsgpackOptions()
        self.types: Final = tuple(types)
        self.raw_bytes = 0
        self.frame_bytes = 0
        self.compress_seconds = 0.0
        self._lock = Lock()
        self._prepare()

    def with_types(self, types: Sequence[type]) -> MsgpackCodec:
        """A new codec with the same options and the table *types*. Its counters begin at 0."""
        return MsgpackCodec(self.options, types)

    def encode(self, value: Any, /) -> bytes:
        """The frame of *value*.

        Raises:
            CodecError: A part of *value* cannot travel, it contains itself, or it is over a limit. `path` leads to
                the part, as in ``$[3].customer.kind``.
        """
        writer = Writer(self._single, self._many, self.options)
        try:
            payload = writer.pack(writer.cell(value))
        except Refused as refused:
            raise CodecError(f"Cannot encode {refused.path}: {refused}.", path=refused.path) from None
        except Exception as error:
            raise CodecError(f"Cannot encode a {type(value).__qualname__}: {type(error).__name__}: {error}") from error
        if len(payload) * writer.deepest > self.options.max_decoded_bytes:
            self._decode_payload(payload)  # large and deep: only decoding tells whether it could be decoded
        return self._seal(payload)

    def decode(self, data: bytes, /) -> Any:
        """The value of the frame *data*.

        Raises:
            CodecError: *data* is no whole frame, damaged, of another wire version, needs another table of types, or
                is over a limit.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise CodecError(f"A frame is bytes, not {type(data).__qualname__}.")
        data = bytes(data)
        body, raw_length = frame.unseal(data, self.options)
        payload, seconds = body, 0.0
        if raw_length is not None:
            started = perf_counter()
            payload = frame.decompress(body, raw_length)
            seconds = perf_counter() - started
        value = self._decode_payload(payload)
        self._count(len(payload), len(data), seconds)
        return value

    def __reduce__(self) -> tuple[type[MsgpackCodec], tuple[MsgpackOptions, tuple[type, ...]]]:
        return MsgpackCodec, (self.options, self.types)

    def _prepare(self) -> None:
        single, many = table.writers(self.types)
        table_scalars, table_containers = table.readers(self.types)
        self._single = {**_SINGLE, **pydantic_values.single(), **single}
        self._many = {**_MANY, **many}
        self._scalars = {**_SCALARS, **table_scalars}
        self._containers = {**_CONTAINERS, **table_containers}

    def _seal(self, payload: bytes) -> bytes:
        body, seconds = payload, 0.0
        if self.options.compression:
            started = perf_counter()
            body = frame.compress(payload, self.options)
            seconds = perf_counter() - started
        data = frame.seal(payload, body, self.options)
        self._count(len(payload), len(data), seconds)
        return data

    def _decode_payload(self, payload: bytes) -> Any:
        try:
            return Reader(self._scalars, self._containers, self.options).value(payload)
        except CodecError:
            raise
        except Exception as error:  # msgpack, the constructors of the standard library and users' enums raise any
            raise CodecError(f"The frame is malformed: {type(error).__name__}: {error}") from error

    def _count(self, raw_bytes: int, frame_bytes: int, seconds: float) -> None:
        with self._lock:
            self.raw_bytes += raw_bytes
            self.frame_bytes += frame_bytes
            self.compress_seconds += seconds
