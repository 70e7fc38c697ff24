"""No border of a split or of a chunk shows in what a pipe writes, compressed or not."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
from numbered import Number, numbers
from pydantic import (
    BaseModel,
)

from pipe_core import Pipe

# --- borders never show -----------------------------------------------------------------------------------------------

COUNT = 5000


def content(i: int) -> dict[str, Any]:
    return {"n": i if i % 97 else f"bad {i}", "t": f'ü {i}\nline, "{"x" * (i % 40)}"'}


class Line(BaseModel):
    n: int
    t: str


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sources")
    records = [content(i) for i in range(COUNT)]
    text = io.StringIO()
    writer = csv.DictWriter(text, ["n", "t"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    made = {"csv": text.getvalue().encode(), "jsonl": b"".join(json.dumps(one).encode() + b"\n" for one in records)}
    paths = {}
    for suffix, data in made.items():
        assert len(data) > 3 * 64 * 1024  # several splits
        for name, packed in ((suffix, data), (f"{suffix}.gz", gzip.compress(data)), (f"{suffix}.lz4", _lz4(data))):
            paths[name] = folder / f"in.{name}"
            paths[name].write_bytes(packed)
    return paths


def _lz4(data: bytes) -> bytes:
    return lz4.frame.compress(data)  # type: ignore[no-any-return]  # lz4 has no annotations


GOOD = b"".join(
    json.dumps({"n": i, "t": content(i)["t"]}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    for i in range(COUNT)
    if i % 97
)
BAD = [i for i in range(COUNT) if not i % 97]


@pytest.mark.parametrize("source", ["csv", "jsonl", "csv.gz", "jsonl.gz", "csv.lz4", "jsonl.lz4"])
@pytest.mark.parametrize("chunk_size", [None, 997, 20_000])
def test_no_border_shows_in_what_is_written(
    source: str, chunk_size: int | None, sources: dict[str, Path], tmp_path: Path, executor: Any
) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    Pipe(sources[source], good, errors=bad, schema=Line, chunk_size=chunk_size, executor=executor).run()
    assert good.read_bytes() == GOOD
    assert [json.loads(line)["position"] for line in bad.read_text().splitlines()] == BAD


@pytest.mark.parametrize("split_bytes", [1, 100, 5000, 65_536, 100_000])
def test_no_border_of_a_split_shows(
    split_bytes: int, sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: Any
) -> None:
    from pipe_core.records import feed

    class Fixed(feed.Feed):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._bytes = split_bytes

        def learn(self, result: Any, piece: Any) -> None:
            """Sizes stay."""

    monkeypatch.setattr("pipe_core.records.run.Feed", Fixed)
    count = 3 * split_bytes + 40 if split_bytes < 5000 else COUNT
    expected = b"".join(GOOD.splitlines(keepends=True)[: count - len([i for i in BAD if i < count])])
    for source in ("csv", "jsonl"):
        good = tmp_path / f"good-{source}.jsonl"
        report = Pipe(sources[source], good, schema=Line, errors=[], limit=count, executor=executor).run()
        assert good.read_bytes() == expected
        assert report.read == count


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv"])
@pytest.mark.parametrize("chunk_size", [1, 7, 100, 101])
def test_no_border_of_a_chunk_shows(suffix: str, chunk_size: int, tmp_path: Path, executor: Any) -> None:
    records = [content(i) for i in range(210)]
    for name, size in (("one", None), ("two", chunk_size)):
        Pipe(
            iter(records), tmp_path / f"{name}.{suffix}", errors=[], schema=Line, chunk_size=size, executor=executor
        ).run()
    assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()


@pytest.mark.parametrize(("suffix", "unpack"), [("gz", gzip.decompress), ("lz4", lz4.frame.decompress)])
@pytest.mark.parametrize("chunk_size", [None, 7])
def test_compressed_output_holds_the_same_bytes(
    suffix: str, unpack: Callable[[bytes], bytes], chunk_size: int | None, tmp_path: Path, executor: Any
) -> None:
    for kind in ("jsonl", "json", "csv"):
        plain, packed = tmp_path / f"out.{kind}", tmp_path / f"out.{kind}.{suffix}"
        for target in (plain, packed):
            Pipe(numbers(200), target, schema=Number, chunk_size=chunk_size, executor=executor).run()
        assert unpack(packed.read_bytes()) == plain.read_bytes()
        out: list[Any] = []
        Pipe(packed, out, schema=Number).run()
        assert out == numbers(200)
        plain.unlink()
        packed.unlink()
