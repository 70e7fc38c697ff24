"""What stands around the frames of a chunk or a result on their way between processes.

=====  ======================================================================
bytes  content
=====  ======================================================================
2      what it is: a chunk, a result, or a result that is too long for one frame
4      how many classes of the table of types it needs
8      seconds that the sender spent compressing and has not told of yet
4      how many frames follow
8      the length of each
4      CRC-32 of all that
=====  ======================================================================
"""

from __future__ import annotations

import zlib
from struct import Struct
from typing import Any, Final

from pipe_core.kernel.contracts import Codec
from pipe_core.kernel.errors import CodecError

CHUNK: Final = b"C\x01"
RESULT: Final = b"R\x01"
LONG_RESULT: Final = b"L\x01"
_HEAD: Final = Struct(">2sIdI")
_LENGTH: Final = Struct(">Q")
_CHECKSUM: Final = Struct(">I")
_NEEDED: Final[list[Any]] = [None, True, 1, 1.5, "text", b"\xff", ("text", b""), [], {"key": [1]}]
"""What chunks and results are made of, whatever records hold."""


def join(mark: bytes, needed: int, seconds: float, frames: list[bytes]) -> bytes:
    """The head and the frames."""
    head = _HEAD.pack(mark, needed, seconds, len(frames)) + b"".join([_LENGTH.pack(len(frame)) for frame in frames])
    return b"".join([head, _CHECKSUM.pack(zlib.crc32(head)), *frames])


def part(mark: bytes, data: bytes) -> tuple[int, float, list[memoryview]]:
    """How many types a chunk or result needs, the seconds that it tells of, and its frames.

    Raises:
        CodecError: It is damaged, or something else.
    """
    if data[: len(mark)] != mark or len(data) < _HEAD.size:
        what = "chunk" if mark == CHUNK else "result"
        raise CodecError(f"This is no {what}, or one of another version of pipe-core: it begins with {data[:8]!r}.")
    _, needed, seconds, count = _HEAD.unpack_from(data)
    end = _HEAD.size + count * _LENGTH.size
    begin = end + _CHECKSUM.size
    if begin > len(data) or _CHECKSUM.unpack_from(data, end)[0] != zlib.crc32(data[:end]):
        raise CodecError("The head of a chunk or result is damaged: its checksum does not fit its bytes.")
    frames = []
    view = memoryview(data)
    for (length,) in _LENGTH.iter_unpack(data[_HEAD.size : end]):
        frames.append(view[begin : begin + length])
        begin += length
    if begin != len(data):
        raise CodecError(f"A chunk or result is damaged: its head tells of {begin:,} bytes and it has {len(data):,}.")
    return needed, seconds, frames


def raw(payload: bytes) -> bytes:
    """Bytes that no codec needs to look at, as a frame: their CRC-32 and they themselves."""
    return b"".join((_CHECKSUM.pack(zlib.crc32(payload)), payload))


def opened(frame: memoryview) -> bytes:
    """The bytes that `raw` made a frame of.

    Raises:
        CodecError: They are damaged.
    """
    if len(frame) < _CHECKSUM.size or zlib.crc32(frame[_CHECKSUM.size :]) != _CHECKSUM.unpack_from(frame)[0]:
        raise CodecError("The rows of a result are damaged: their checksum does not fit their bytes.")
    return bytes(frame[_CHECKSUM.size :])


def check_codec(codec: Codec) -> None:
    """See whether *codec* keeps what chunks and results are made of.

    Raises:
        CodecError: It refuses some of it, or makes something else of it.
    """
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
