"""Ten thousand damaged frames and ten thousand hostile ones: `CodecError`, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from pipe_core.codecs.codec import MsgpackCodec
from pipe_core.codecs.options import MEBIBYTE, MsgpackOptions
from pipe_core.codecs.samples import SAMPLE_TYPES, SAMPLES, TYPED_SAMPLES, difference, orders
from pipe_core.kernel.errors import CodecError

COUNT = 10_000
MANY = [COUNT, pytest.param(5_000_000, marks=[pytest.mark.chaos, pytest.mark.timeout(3600)])]
"""In every run, and on demand."""
SMALL = [value for value in SAMPLES.values() if len(repr(value)) < 5_000]
VALUES: list[Any] = [*SMALL, list(TYPED_SAMPLES.values()), orders(20), {"orders": orders(3), "all": [orders(2)] * 3}]
CODECS = [MsgpackCodec(MsgpackOptions(compression=compression), SAMPLE_TYPES) for compression in (None, "lz4")]


def flip(chance: random.Random, data: bytes) -> bytes:
    damaged = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def cut(chance: random.Random, data: bytes) -> bytes:
    begin = chance.randrange(len(data))
    return data[:begin] + data[begin + chance.choice((1, 1, 5, len(data))) :]


def splice(chance: random.Random, data: bytes) -> bytes:
    begin, end = sorted(chance.choices(range(len(data) + 1), k=2))
    place = chance.randrange(len(data))
    return data[:place] + data[begin:end] + data[place:]


def noise(chance: random.Random, data: bytes) -> bytes:
    begin = chance.randrange(len(data))
    return data[:begin] + chance.randbytes(chance.choice((1, 4, len(data) - begin)))


def header(chance: random.Random, data: bytes) -> bytes:
    """Something that msgpack reads as a long list, map, text or extension, anywhere."""
    place = chance.randrange(len(data))
    return (
        data[:place]
        + bytes([chance.choice(range(0xC0, 0xE0))])
        + chance.randbytes(chance.choice((0, 1, 4)))
        + data[place:]
    )


MUTATIONS: list[Callable[[random.Random, bytes], bytes]] = [flip, cut, splice, noise, header]


def mutants(chance: random.Random, originals: list[bytes], count: int = COUNT) -> Iterator[tuple[int, bytes]]:
    for _ in range(count):
        i = chance.randrange(len(originals))
        yield i, chance.choice(MUTATIONS)(chance, originals[i])


def grown(before: int) -> int:
    return int(psutil.Process().memory_info().rss) - before


@pytest.mark.parametrize("count", MANY)
def test_damaged_frames_are_refused(count: int) -> None:
    chance = random.Random(20_240_229)
    codec = CODECS[0]
    frames = [codec.encode(value) for codec in CODECS for value in VALUES]
    before = psutil.Process().memory_info().rss
    refused = 0
    for i, damaged in mutants(chance, frames, count):
        try:
            result = codec.decode(damaged)
        except CodecError:
            refused += 1
        else:
            assert damaged == frames[i]
            assert difference(VALUES[i % len(VALUES)], result) is None
    assert refused > count * 0.98
    assert grown(before) < 32 * MEBIBYTE


@pytest.mark.parametrize("count", MANY)
def test_hostile_payloads_are_refused_or_are_some_value(forger: Any, count: int) -> None:
    chance = random.Random(20_240_301)
    codec = CODECS[0]
    payloads = [forger.payload(codec.encode(value)) for value in VALUES]
    before = psutil.Process().memory_info().rss
    refused = 0
    for _, damaged in mutants(chance, payloads, count):
        try:
            codec.decode(forger.frame(damaged))
        except CodecError:
            refused += 1
    assert refused > count * 0.5
    assert grown(before) < 32 * MEBIBYTE


def test_hostile_lz4_is_refused(forger: Any) -> None:
    chance = random.Random(20_240_302)
    codec, zipping = CODECS
    plain = forger.payload(codec.encode(orders(50)))
    zipped = forger.payload(zipping.encode(orders(50)))
    for _, damaged in list(mutants(chance, [zipped]))[: COUNT // 5]:
        try:
            assert codec.decode(forger.lz4(damaged, len(plain))) == orders(50)
        except CodecError:
            continue
        assert len(damaged) == len(zipped)
