"""Hostile frames: refused at once, in bounded memory."""

from __future__ import annotations

import threading
import tracemalloc
from datetime import date
from fractions import Fraction
from time import perf_counter
from typing import Any

import lz4.frame
import pytest
from msgpack import ExtType, packb

from pipe_core.codecs import tags
from pipe_core.codecs.codec import MsgpackCodec
from pipe_core.codecs.options import MEBIBYTE, MsgpackOptions
from pipe_core.kernel.errors import CodecError

CODEC = MsgpackCodec()
NESTED_ARRAYS = b"\xdc\x00\x40" * 1000
COLLIDING = [i * (2**61 - 1) for i in range(1, 50_000)]


def nested_lists(depth: int, inner: bytes = b"\x91\x01") -> bytes:
    for _ in range(depth):
        inner = packb([ExtType(tags.LIST, inner)])
    return inner


def chain_of_empty_lists(count: int) -> bytes:
    return bytes(packb([ExtType(tags.LIST, b"\x90")] * count))


BOMBS: dict[str, tuple[int, bytes]] = {
    "4 billion items": (tags.LIST, b"\xdd\xff\xff\xff\xff"),
    "65,535 items": (tags.LIST, b"\xdc\xff\xff" + b"\xc0" * 1000),
    "arrays in arrays": (tags.LIST, NESTED_ARRAYS),
    "large arrays in arrays": (tags.LIST, b"\xdd\x00\x01\x00\x00" * 1000 + b"\xc0" * 70_000),
    "closed arrays in arrays": (tags.LIST, b"\x91" * 900 + b"\xc0"),
    "an empty array in an array": (tags.LIST, b"\x91\x90"),
    "maps": (tags.LIST, b"\xdc\x00\x01" + b"\xdf\xff\xff\xff\xff" * 100),
    "an empty map": (tags.LIST, b"\x91\x80"),
    "many empty arrays": (tags.LIST, packb([[]] * 1_000_000)),
    "many empty maps": (tags.LIST, packb([{}] * 1_000_000)),
    "65 levels": (tags.LIST, nested_lists(64)),
    "2,000 levels": (tags.LIST, nested_lists(2_000)),
    "levels with arrays": (tags.LIST, nested_lists(60, NESTED_ARRAYS)),
    "columns without rows to back them": (tags.COLUMNS, packb([1, ExtType(tags.LIST, b"\xdd\xff\xff\xff\xff")])),
    "columns without keys": (tags.COLUMNS, b"\x90"),
    "columns that are no lists": (tags.COLUMNS, packb(["a", "bc"])),
    "columns of two lengths": (
        tags.COLUMNS,
        packb(["a", "b", ExtType(tags.LIST, packb([1])), ExtType(tags.LIST, packb([1, 2]))]),
    ),
    "the same column twice": (tags.COLUMNS, packb(["a", "a", *[ExtType(tags.LIST, packb([1]))] * 2])),
    "the same key twice": (tags.DICT, packb(["a", "a", 1, 2])),
    "a key without a value": (tags.DICT, packb(["a", "b", 1])),
    "a key without a hash": (tags.DICT, packb([ExtType(tags.LIST, b"\x90"), 1])),
    "the same member twice": (tags.SET, packb([1, 1])),
    "a slow fraction": (tags.FRACTION, packb([ExtType(tags.BIG_INT, b"\x7f" * 100_000)] * 2)),
    "a fraction over zero": (tags.FRACTION, packb([1, 0])),
    "a day that is none": (tags.DATE, packb([10**12])),
    "a time that is none": (tags.TIME, packb([25, 0, 0, 0, 0])),
    "a zone that is a file": (tags.TIMEZONE, packb(["../../etc/passwd"])),
    "a zone that is a module": (tags.TIMEZONE, packb(["os.path"])),
    "an offset of a year": (tags.TIMEZONE, packb([10**15])),
    "a number that is none": (tags.DECIMAL, b"one"),
    "half a UUID": (tags.UUID, b"12345678"),
    "an address that is a number": (tags.ADDRESS, packb([0, 1])),
    "text that is no UTF-8": (tags.LIST, b"\x91\xa2\xff\xfe"),
    "an unknown extension": (99, b""),
    "a class without a table": (tags.OBJECT, packb([0, ExtType(tags.DICT, b"\x90"), None])),
    "bytes behind the end": (tags.LIST, b"\x91\x01\x01"),
    "bytes behind the end, deep": (tags.LIST, nested_lists(30, b"\x91\x01\x01")),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_little_memory(name: str, forger: Any) -> None:
    frame = forger.of_data(*BOMBS[name])
    started = perf_counter()
    tracemalloc.start()
    try:
        with pytest.raises(CodecError):
            CODEC.decode(frame)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * MEBIBYTE + 100 * len(frame)
    assert peak < 24 * MEBIBYTE
    assert perf_counter() - started < 20


@pytest.mark.parametrize("payload", [b"", b"\x90", b"\x91\x01", b"\x80", b"\xdd\xff\xff\xff\xff", b"\x01\x01", b"\xc1"])
def test_a_payload_that_is_no_single_cell_is_refused(payload: bytes, forger: Any) -> None:
    with pytest.raises(CodecError, match="malformed"):
        CODEC.decode(forger.frame(payload))


def test_an_lz4_bomb_is_refused_before_it_is_opened(forger: Any) -> None:
    zeros = lz4.frame.compress(bytes(300 * MEBIBYTE), content_checksum=True)
    tracemalloc.start()
    try:
        for length in (300 * MEBIBYTE, 1000, 200 * MEBIBYTE):
            with pytest.raises(CodecError):
                CODEC.decode(forger.lz4(zeros, length))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * len(zeros)


def test_a_frame_that_says_it_grows_a_thousandfold_is_refused(forger: Any) -> None:
    with pytest.raises(CodecError, match="max_ratio=1000"):
        CODEC.decode(forger.lz4(b"x" * 100, 100_001))


@pytest.mark.parametrize("kind", [list, tuple])
def test_depth_is_allowed_up_to_the_limit_on_both_sides(kind: Any) -> None:
    def nested(depth: int) -> Any:
        value: Any = kind()
        for _ in range(depth - 1):
            value = kind([value])
        return value

    assert CODEC.decode(CODEC.encode(nested(64))) == nested(64)
    with pytest.raises(CodecError, match="max_depth=64, or it contains itself"):
        CODEC.encode(nested(65))
    shallow = MsgpackCodec(MsgpackOptions(max_depth=63))
    with pytest.raises(CodecError, match="deeper than max_depth=63"):
        shallow.decode(CODEC.encode(nested(64)))


def test_depth_is_counted_alike_on_both_sides_for_rows_and_dates() -> None:
    rows: Any = [{"a": date.min}, {"a": date.max}]
    for _ in range(30):
        assert CODEC.decode(CODEC.encode(rows)) == rows
        rows = [{"a": rows}, {"a": []}]
    rows = [[rows]]
    assert CODEC.decode(CODEC.encode(rows)) == rows
    rows = [rows]
    with pytest.raises(CodecError, match="max_depth"):
        CODEC.encode(rows)


def test_the_deepest_frame_fits_into_a_small_thread() -> None:
    value: Any = "bottom"
    for _ in range(64):
        value = (value,)
    frame, results = CODEC.encode(value), []
    threading.stack_size(1024 * 1024)
    try:
        thread = threading.Thread(target=lambda: results.append(CODEC.decode(frame)))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(0)
    assert results == [value]


def test_frame_and_payload_lengths_are_limited_on_both_sides() -> None:
    small = MsgpackCodec(MsgpackOptions(max_frame_bytes=1000))
    with pytest.raises(CodecError, match="max_frame_bytes=1,000"):
        small.encode(bytes(range(256)) * 4)
    with pytest.raises(CodecError, match="max_frame_bytes=1,000"):
        small.decode(CODEC.encode(bytes(2000)))
    narrow = MsgpackCodec(MsgpackOptions(max_decoded_bytes=1000))
    with pytest.raises(CodecError, match="max_decoded_bytes=1,000"):
        narrow.encode(bytes(2000))
    with pytest.raises(CodecError, match="max_decoded_bytes=1,000"):
        narrow.decode(CODEC.encode(bytes(2000)))


def test_deep_nesting_of_many_bytes_is_limited_on_both_sides() -> None:
    value: Any = bytes(1000)
    for _ in range(10):
        value = (value,)
    limited = MsgpackCodec(MsgpackOptions(max_decoded_bytes=5000))
    with pytest.raises(CodecError, match="max_decoded_bytes"):
        limited.encode(value)
    with pytest.raises(CodecError, match="max_decoded_bytes"):
        limited.decode(CODEC.encode(value))


def test_large_and_deep_is_allowed_when_it_is_not_large_where_it_is_deep() -> None:
    deep: Any = 1
    for _ in range(10):
        deep = (deep,)
    limited = MsgpackCodec(MsgpackOptions(max_decoded_bytes=5000))
    assert limited.decode(limited.encode([bytes(1000), deep])) == [bytes(1000), deep]


def test_containers_are_limited_on_both_sides(forger: Any) -> None:
    limited = MsgpackCodec(MsgpackOptions(max_containers=100))
    values: list[Any] = [[()] * 100, [{"a": 1}] * 100, [[], *[[[]]] * 50]]
    for value in values:
        with pytest.raises(CodecError, match="max_containers=100"):
            limited.encode(value)
        with pytest.raises(CodecError, match="max_containers=100"):
            limited.decode(CODEC.encode(value))
    assert limited.decode(limited.encode([()] * 99)) == [()] * 99
    with pytest.raises(CodecError, match="max_containers"):
        limited.decode(forger.of_data(tags.LIST, chain_of_empty_lists(1000)))


@pytest.mark.parametrize("code", [tags.DICT, tags.SET])
def test_keys_chosen_to_collide_are_refused_quickly(code: int, forger: Any) -> None:
    cells = [ExtType(tags.BIG_INT, number.to_bytes(10, "big")) for number in COLLIDING]
    frame = forger.of_extension(code, *cells, *([None] * len(cells) if code == tags.DICT else []))
    started = perf_counter()
    with pytest.raises(CodecError, match="same hash"):
        CODEC.decode(frame)
    assert perf_counter() - started < 20


def test_a_few_keys_with_the_same_hash_are_fine() -> None:
    value = dict.fromkeys(COLLIDING[:60])
    assert CODEC.decode(CODEC.encode([value, set(value)])) == [value, set(value)]
    for crowd in (dict.fromkeys(COLLIDING[:100]), set(COLLIDING[:100])):
        with pytest.raises(CodecError, match="same hash"):
            CODEC.encode(crowd)


def test_a_fraction_is_refused_where_it_would_be_slow() -> None:
    largest = Fraction(2**8192 - 1, 2**8191)
    assert CODEC.decode(CODEC.encode(largest)) == largest
    with pytest.raises(CodecError, match="8,192 bits"):
        CODEC.encode(Fraction(2**8192))
