from __future__ import annotations

from typing import Any

import lz4.frame
import pytest

from pipe_core.codecs.codec import MsgpackCodec
from pipe_core.codecs.options import MsgpackOptions
from pipe_core.codecs.samples import orders
from pipe_core.kernel.errors import CodecError

CODEC = MsgpackCodec()
ZIPPED = MsgpackCodec(MsgpackOptions(compression="lz4"))


def test_another_wire_version_says_which_and_what_to_do(forger: Any) -> None:
    with pytest.raises(CodecError, match=r"wire version 9, .* reads version 1.*Install the same version"):
        CODEC.decode(forger.frame(b"\xc0", version=9))


def test_foreign_bytes_are_called_foreign() -> None:
    with pytest.raises(CodecError, match=r"no frame of the codec msgpack: it begins with b'id,name"):
        CODEC.decode(b"id,name\n1,Ada\n" * 5)


def test_a_cut_header_is_called_cut_off() -> None:
    with pytest.raises(CodecError, match="cut off"):
        CODEC.decode(CODEC.encode(1)[:10])


def test_a_changed_byte_is_called_damage() -> None:
    frame = bytearray(CODEC.encode("text"))
    frame[-1] ^= 1
    with pytest.raises(CodecError, match="damaged: its checksum"):
        CODEC.decode(bytes(frame))


def test_unknown_flags_are_refused(forger: Any) -> None:
    with pytest.raises(CodecError, match="flags"):
        CODEC.decode(forger.frame(b"\xc0", flags=2))


@pytest.mark.parametrize("data", ["text", None, 7, [1]])
def test_what_is_not_bytes_is_refused(data: object) -> None:
    with pytest.raises(CodecError, match="A frame is bytes, not"):
        CODEC.decode(data)  # type: ignore[arg-type]  # wrong on purpose


def test_views_and_bytearrays_are_read() -> None:
    frame = CODEC.encode({"a": 1})
    assert CODEC.decode(memoryview(frame)) == CODEC.decode(bytearray(frame)) == {"a": 1}  # type: ignore[arg-type]  # more than the contract


def test_compression_makes_frames_smaller_and_any_codec_reads_them() -> None:
    chunk = orders(200)
    plain, zipped = CODEC.encode(chunk), ZIPPED.encode(chunk)
    assert len(zipped) < len(plain)
    assert CODEC.decode(zipped) == ZIPPED.decode(plain) == chunk


def test_what_does_not_get_smaller_is_not_compressed() -> None:
    assert ZIPPED.encode(1) == CODEC.encode(1)


def test_a_ratio_above_the_limit_is_sent_uncompressed() -> None:
    careful = MsgpackCodec(MsgpackOptions(compression="lz4", max_ratio=2))
    zeros = bytes(100_000)
    assert len(careful.encode(zeros)) > 100_000
    assert careful.decode(careful.encode(zeros)) == zeros
    with pytest.raises(CodecError, match="max_ratio=2"):
        careful.decode(ZIPPED.encode(zeros))


def test_counters_tell_bytes_before_and_after_and_time(forger: Any) -> None:
    codec = ZIPPED.with_types([])
    frame = codec.encode(orders(200))
    payload = len(forger.payload(CODEC.encode(orders(200))))
    assert (codec.raw_bytes, codec.frame_bytes) == (payload, len(frame))
    encoding = codec.compress_seconds
    codec.decode(frame)
    assert (codec.raw_bytes, codec.frame_bytes) == (2 * payload, 2 * len(frame))
    assert 0 < encoding < codec.compress_seconds


def test_without_compression_no_time_is_counted() -> None:
    codec = CODEC.with_types([])
    codec.decode(codec.encode(orders(10)))
    assert codec.compress_seconds == 0


@pytest.mark.parametrize(
    "settings",
    [{"content_checksum": False}, {"content_checksum": True, "store_size": False}],
    ids=["no checksum", "no size"],
)
def test_lz4_without_checksum_or_size_is_refused(forger: Any, settings: dict[str, bool]) -> None:
    payload = forger.payload(CODEC.encode("a" * 1000))
    with pytest.raises(CodecError, match="another form or length"):
        CODEC.decode(forger.lz4(lz4.frame.compress(payload, **settings), len(payload)))


def test_lz4_that_is_longer_than_the_header_says_is_refused(forger: Any) -> None:
    payload = forger.payload(CODEC.encode("a" * 1000))
    body = lz4.frame.compress(payload, content_checksum=True)
    for length in (len(payload) - 1, len(payload) + 1):
        with pytest.raises(CodecError):
            CODEC.decode(forger.lz4(body, length))


def test_bytes_behind_the_lz4_frame_are_refused(forger: Any) -> None:
    payload = forger.payload(CODEC.encode("a" * 1000))
    body = lz4.frame.compress(payload, content_checksum=True)
    for tail in (b"\0", body):
        with pytest.raises(CodecError, match="does not end"):
            CODEC.decode(forger.lz4(body + tail, len(payload)))


def test_lz4_noise_is_refused(forger: Any) -> None:
    with pytest.raises(CodecError, match="compressed part"):
        CODEC.decode(forger.lz4(b"no lz4 at all", 100))
