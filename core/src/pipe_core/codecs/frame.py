"""The frame around a payload: what it is, how long, compressed or not, and a checksum over all of it.

=======  =====  =======================================================
offset   bytes  content
=======  =====  =======================================================
0        4      magic
4        1      wire version
5        1      flags: 1 = the body is an lz4 frame
6        8      length of the body
14       8      length of the payload once it is decompressed
22       4      CRC-32 of the 22 bytes before and of the body
26              the body
=======  =====  =======================================================

Integers are big-endian. A CRC-32 finds every change of up to 32 neighbouring bits; it is no protection against
somebody who forges a frame, which is why decoding has limits.
"""

from __future__ import annotations

import zlib
from struct import Struct
from typing import Final

import lz4.frame

from pipe_core.codecs.options import MsgpackOptions
from pipe_core.codecs.tags import WIRE_VERSION
from pipe_core.kernel.errors import CodecError

MAGIC: Final = b"\xf1PIP"
LZ4: Final = 1
_HEADER: Final = Struct(">4sBBQQ")
_CHECKSUM: Final = Struct(">I")
HEADER_BYTES: Final = _HEADER.size + _CHECKSUM.size


def seal(payload: bytes, body: bytes, options: MsgpackOptions) -> bytes:
    """The frame of *payload*, of which *body* is the compressed form or the same object."""
    size = HEADER_BYTES + len(body)
    if len(payload) > options.max_decoded_bytes:
        raise CodecError(_too_long("payload", len(payload), "max_decoded_bytes", options.max_decoded_bytes))
    if size > options.max_frame_bytes:
        raise CodecError(_too_long("frame", size, "max_frame_bytes", options.max_frame_bytes))
    flags = 0 if body is payload else LZ4
    header = _HEADER.pack(MAGIC, WIRE_VERSION, flags, len(body), len(payload))
    return b"".join((header, _CHECKSUM.pack(zlib.crc32(body, zlib.crc32(header))), body))


def unseal(data: bytes, options: MsgpackOptions) -> tuple[bytes, int | None]:
    """The body of a frame, and the length of its payload when it is compressed.

    Raises:
        CodecError: It is no frame, of another version, damaged, or longer than allowed.
    """
    if len(data) > options.max_frame_bytes:
        raise CodecError(_too_long("frame", len(data), "max_frame_bytes", options.max_frame_bytes))
    _check_kind(data)
    _, _, flags, length, raw_length = _HEADER.unpack_from(data)
    body = data[HEADER_BYTES:]
    if length != len(body):
        raise CodecError(f"The frame is damaged: its header tells of {length:,} bytes and {len(body):,} follow it.")
    (checksum,) = _CHECKSUM.unpack_from(data, _HEADER.size)
    if zlib.crc32(body, zlib.crc32(data[: _HEADER.size])) != checksum:
        raise CodecError("The frame is damaged: its checksum does not fit its bytes.")
    _check_lengths(flags, length, raw_length, options)
    return body, raw_length if flags else None


def compress(payload: bytes, options: MsgpackOptions) -> bytes:
    """*payload* as an lz4 frame, or *payload* itself when that is not longer or the ratio is above the limit."""
    body = lz4.frame.compress(payload, content_checksum=True, store_size=True)
    if len(body) >= len(payload) or len(payload) > len(body) * options.max_ratio:
        return payload
    return bytes(body)


def decompress(body: bytes, length: int) -> bytes:
    """The payload of *length* bytes in the lz4 frame *body*. Never makes more bytes than that.

    Raises:
        CodecError: *body* is no single whole lz4 frame with a checksum that gives *length* bytes.
    """
    try:
        facts = lz4.frame.get_frame_info(body)
        if facts["skippable"] or not facts["content_checksum"] or facts["content_size"] != length:
            raise CodecError("The compressed part of the frame has another form or length than its header says.")
        decompressor = lz4.frame.LZ4FrameDecompressor()
        payload = bytes(decompressor.decompress(body, max_length=length))
    except (RuntimeError, ValueError, EOFError, MemoryError, OverflowError) as error:
        raise CodecError(f"The compressed part of the frame is damaged: {error}") from error
    if len(payload) != length or not decompressor.eof or decompressor.unused_data:
        raise CodecError("The compressed part of the frame does not end where its header says.")
    return payload


def _check_kind(data: bytes) -> None:
    """Tell apart what is foreign, what another version wrote, and what is cut off."""
    if data[:4] != MAGIC[: len(data)] or not data:
        raise CodecError(f"This is no frame of the codec msgpack: it begins with {bytes(data[:8])!r}.")
    if len(data) < HEADER_BYTES:
        raise CodecError(f"The frame is cut off: {len(data)} bytes are fewer than its header has.")
    if data[4] != WIRE_VERSION:
        raise CodecError(
            f"The frame has wire version {data[4]}, and this version of pipe-core reads version {WIRE_VERSION}. "
            "Install the same version of pipe-core on both sides."
        )


def _check_lengths(flags: int, length: int, raw_length: int, options: MsgpackOptions) -> None:
    if flags not in (0, LZ4):
        raise CodecError(f"The frame has flags that this version of pipe-core does not know: {flags:#x}.")
    if raw_length > options.max_decoded_bytes:
        raise CodecError(_too_long("payload", raw_length, "max_decoded_bytes", options.max_decoded_bytes))
    if not flags and raw_length != length:
        raise CodecError("The frame tells two lengths for a payload that is not compressed.")
    if raw_length > length * options.max_ratio:
        raise CodecError(
            f"The frame says that {length:,} bytes become {raw_length:,}: more than max_ratio={options.max_ratio}."
        )


def _too_long(what: str, size: int, option: str, limit: int) -> str:
    return f"The {what} has {size:,} bytes, more than {option}={limit:,}. Make the value smaller or raise {option}."
