"""What a compressed file consists of depends on the data alone."""

from __future__ import annotations

import io
import random
from typing import cast

import pytest

from pipe_core.formats.compression import SUFFIXES, Decompressed, compressing


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_bytes_do_not_depend_on_how_they_are_written(suffix: str) -> None:
    if suffix == ".zst":
        pytest.importorskip("backports.zstd")
    chance = random.Random(7)
    data = b"".join(b'{"id":%d,"name":"%d"}\n' % (n, chance.randrange(1000)) for n in range(150_000))
    assert len(data) > 3 << 20
    made = set()
    for sizes in ([len(data)], [1 << 16], [100_003], [1 << 20], [chance.randrange(1, 300_000) for _ in range(50)]):
        raw = io.BytesIO()
        stream = compressing(cast("io.BufferedIOBase", raw), suffix)  # type: ignore[arg-type]  # all that it uses
        at = turn = 0
        while at < len(data):
            size = sizes[turn % len(sizes)]
            assert stream.write(data[at : at + size]) == len(data[at : at + size])
            at, turn = at + size, turn + 1
        stream.close()
        stream.close()
        made.add(raw.getvalue())
    assert len(made) == 1
    opened = Decompressed(io.BytesIO(made.pop()), suffix)
    back = b"".join(iter(lambda: opened.read(1 << 20), b""))
    assert back == data
