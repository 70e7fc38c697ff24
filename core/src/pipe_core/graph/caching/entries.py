"""Results as checked bytes, and back.

What neither the codec nor the library of an array can write is not pickled, unless the user has given a key: then each
pickle is signed with it, and none is opened that is not.

=======  =====  ============================================================================
offset   bytes  content
=======  =====  ============================================================================
0        4      magic, with the version of this layout
4        20     digest of the signature and of all that follows: the entry is whole, and of that signature
24       1      the form: ``m`` a frame of the codec, ``t`` one with the user's types, ``p`` a pickle
25              what the form says
=======  =====  ============================================================================

Of ``m`` and ``t``: the digest of the table of types (8 bytes; of ``m`` zeros), the number of attachments (4), each with
its kind (1), its length (8) and its bytes, and then the frame. Of ``p``: its HMAC (32), and the pickle.
"""

from __future__ import annotations

import dataclasses
import hmac
import inspect
import io
import pickle
import sys
from collections.abc import Sequence
from enum import Enum
from functools import cached_property
from hashlib import blake2b
from importlib import import_module
from struct import Struct
from typing import Any, Final

from pipe_core.graph.caching.signatures import DIGEST_BYTES, combined, name_of
from pipe_core.kernel.access import get_codec
from pipe_core.kernel.contracts import Codec
from pipe_core.kernel.error_text import error_text
from pipe_core.kernel.errors import CodecError, OptionsError

_MAGIC: Final = b"PIC1"
_HEADER_BYTES: Final = len(_MAGIC) + DIGEST_BYTES
_TABLE_BYTES: Final = 8
_HMAC_BYTES: Final = 32
_COUNT: Final = Struct(">I")
_ATTACHMENT: Final = Struct(">cQ")
_NO_TABLE: Final = bytes(_TABLE_BYTES)
_LIMITS: Final = {"max_frame_bytes": 1 << 30, "max_decoded_bytes": 1 << 32, "max_containers": 100_000_000}
"""An entry is read by whoever wrote it, so it may be larger than what comes from elsewhere."""


class DamagedEntryError(Exception):
    """These are not the bytes that were written."""


class ForeignEntryError(Exception):
    """Whole, but not for this reader: of other types, of a library that is not here, or signed with another key."""


class UnwritableError(Exception):
    """The value has no form here; says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Attached:
    """In a frame, what stands for an array or a table beside it."""

    place: int


class Entries:
    """Writes and reads entries. May be used by several threads at once.

    Args:
        types: Classes whose objects may be written: enums, pydantic models, dataclasses and NamedTuples.
        key: To sign pickles with. None: there are none.

    Raises:
        OptionsError: Objects of one of the *types* cannot be written.
    """

    def __init__(self, types: Sequence[type] = (), key: bytes | None = None) -> None:
        self._types = tuple(types)
        self._key = key
        if self._types:
            _ = self._typed  # so that a class that cannot be there is refused now

    @cached_property
    def _plain(self) -> Codec:
        return _codec_for((Attached,))

    @cached_property
    def _typed(self) -> Codec:
        try:
            return _codec_for((Attached, *self._types))
        except CodecError as error:
            raise OptionsError(f"types= of a cache: {error}", problems={"types": str(error)}) from error

    @cached_property
    def _table(self) -> bytes:
        """Tells apart tables whose classes, or their attributes, differ."""
        shapes = {f"{place} {name_of(kind)}": ",".join(_attributes(kind)) for place, kind in enumerate(self._types)}
        return bytes.fromhex(combined(shapes))[:_TABLE_BYTES]

    def seal(self, signature: str, value: Any) -> bytes:
        """The entry for *value* under *signature*.

        Raises:
            UnwritableError: It has no form.
        """
        try:
            form = self._framed(value)
        except (CodecError, RecursionError) as error:
            if self._key is None:
                raise UnwritableError(error_text(error)) from None
            form = self._pickled(self._key, signature, value)
        return b"".join((_MAGIC, _digest(signature, *form), *form))

    def open(self, signature: str, data: bytes) -> Any:
        """The value of the entry *data* under *signature*.

        Raises:
            DamagedEntryError: The bytes are others than were written, or written for another signature.
            ForeignEntryError: This reader cannot open it, and another one may.
        """
        body = memoryview(data)[_HEADER_BYTES:]
        if data[: len(_MAGIC)] != _MAGIC or data[len(_MAGIC) : _HEADER_BYTES] != _digest(signature, body):
            raise DamagedEntryError
        form, rest = bytes(body[:1]), body[1:]
        if form == b"p":
            return self._unpickled(signature, rest)
        if form == b"t" and (not self._types or bytes(rest[:_TABLE_BYTES]) != self._table):
            raise ForeignEntryError("it holds objects of classes that are not in types=, or have changed")
        codec = self._typed if form == b"t" else self._plain
        attachments, frame = _attachments(rest[_TABLE_BYTES:])
        try:
            value = codec.decode(bytes(frame))
        except CodecError as error:  # whole, but of another version
            raise ForeignEntryError(str(error)) from error
        return _put_back(value, attachments) if attachments else value

    # --- frames ---

    def _framed(self, value: Any) -> tuple[bytes, ...]:
        error: CodecError | None = None
        for form, table in ((b"m", _NO_TABLE), *([(b"t", self._table)] if self._types else ())):
            codec = self._typed if form == b"t" else self._plain
            try:
                return form, table, _COUNT.pack(0), codec.encode(value)
            except CodecError as refused:
                error = refused
            attachments: list[bytes] = []
            bare = _take_out(value, attachments)
            if attachments:
                try:
                    return form, table, _COUNT.pack(len(attachments) // 2), *attachments, codec.encode(bare)
                except CodecError as refused:
                    error = refused
        assert error is not None  # the loop has ended without a frame
        raise error

    # --- pickles ---

    def _pickled(self, key: bytes, signature: str, value: Any) -> tuple[bytes, ...]:
        try:
            data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # somebody else's code
            raise UnwritableError(f"it cannot be pickled: {error_text(error)}") from error
        return b"p", _hmac(key, signature, data), data

    def _unpickled(self, signature: str, rest: memoryview) -> Any:
        mark, data = bytes(rest[:_HMAC_BYTES]), rest[_HMAC_BYTES:]
        if self._key is None:
            raise ForeignEntryError("it is a pickle, and pickles are opened with pickle=True and their key only")
        if not hmac.compare_digest(mark, _hmac(self._key, signature, data)):
            raise ForeignEntryError("it is a pickle that another key has signed, or none")
        try:
            return pickle.loads(data)  # noqa: S301  # whoever has the user's key has written it
        except Exception as error:  # a class has moved, or is no longer what it was
            raise ForeignEntryError(f"it cannot be unpickled any more: {error_text(error)}") from error


def _hmac(key: bytes, signature: str, data: Any) -> bytes:
    mark = hmac.new(key, signature.encode() + b"\0", "sha256")
    mark.update(data)
    return mark.digest()


def _digest(signature: str, *body: Any) -> bytes:
    digest = blake2b(signature.encode() + b"\0", digest_size=DIGEST_BYTES)
    for part in body:
        digest.update(part)
    return digest.digest()


def _codec_for(types: tuple[type, ...]) -> Codec:
    codec: Any = get_codec("msgpack", **_LIMITS)
    made: Codec = codec.with_types(types)
    return made


def _attributes(kind: type) -> list[str]:
    if issubclass(kind, Enum):
        return [str(name) for name in kind.__members__]
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        found.update(inspect.get_annotations(base))
    return [f"{name}: {name_of(one) if isinstance(one, type) else one}" for name, one in found.items()]


# --- arrays and tables beside a frame ---


def _take_out(value: Any, attachments: list[bytes]) -> Any:
    """*value* with what stands for its arrays and tables; their headers and bytes are added to *attachments*."""
    kind = type(value)
    if kind in (list, tuple):
        return kind([_take_out(one, attachments) for one in value])
    if kind is dict:
        return {key: _take_out(one, attachments) for key, one in value.items()}
    try:
        written = _written(value)
    except Exception as error:  # a type of values that its library cannot write
        raise UnwritableError(f"a {name_of(kind)} in it cannot be written: {error_text(error)}") from error
    if written is None:
        return value
    letter, data = written
    place = len(attachments) // 2
    attachments += (_ATTACHMENT.pack(letter, len(data)), data)
    return Attached(place)


def _put_back(value: Any, attachments: Sequence[Any]) -> Any:
    kind = type(value)
    if kind is Attached:
        return attachments[value.place]
    if kind in (list, tuple):
        return kind([_put_back(one, attachments) for one in value])
    if kind is dict:
        return {key: _put_back(one, attachments) for key, one in value.items()}
    return value


def _written(value: Any) -> tuple[bytes, bytes] | None:
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    if library == "numpy":
        numpy = sys.modules[library]
        is_scalar = isinstance(value, numpy.generic)
        # Metadata of a type of values would be lost, and objects would be pickled.
        if (is_scalar or kind is numpy.ndarray) and not value.dtype.hasobject and value.dtype.metadata is None:
            file = io.BytesIO()
            numpy.lib.format.write_array(file, numpy.asarray(value), allow_pickle=False)
            return b"s" if is_scalar else b"n", file.getvalue()
    if library == "pyarrow":
        pyarrow = sys.modules[library]
        is_batch = kind is pyarrow.RecordBatch
        if is_batch or kind is pyarrow.Table:
            buffer = pyarrow.BufferOutputStream()
            with pyarrow.ipc.new_stream(buffer, value.schema) as writer:
                writer.write(value)
            return b"r" if is_batch else b"a", buffer.getvalue().to_pybytes()
    return None


def _read(letter: bytes, data: memoryview) -> Any:
    try:
        if letter in (b"s", b"n"):
            numpy = import_module("numpy")
            array = numpy.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
            return array[()] if letter == b"s" else array
        pyarrow = import_module("pyarrow")
        with pyarrow.ipc.open_stream(pyarrow.py_buffer(data)) as reader:
            return reader.read_next_batch() if letter == b"r" else reader.read_all()
    except Exception as error:  # not installed, or too old
        raise ForeignEntryError(f"an array or table in it cannot be read: {error_text(error)}") from error


def _attachments(data: memoryview) -> tuple[list[Any], memoryview]:
    (count,) = _COUNT.unpack_from(data)
    at = _COUNT.size
    found = []
    for _ in range(count):
        letter, length = _ATTACHMENT.unpack_from(data, at)
        at += _ATTACHMENT.size
        found.append(_read(letter, data[at : at + length]))
        at += length
    return found, data[at:]
