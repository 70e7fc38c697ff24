"""Malformed files through a whole pipe: a named error for each record or for the source, and nothing is lost.

What each format makes of malformed bytes is tested with the formats; here it is what a run makes of it.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import lz4.frame
import pytest

from pipe_core import FlowReport, FlowStatus, HookStore, Pipe
from pipe_core.kernel.errors import PipeError, SourceError, SourceNotFoundError
from pipe_core.records.entry import Entry


class Case(NamedTuple):
    """A file: its bytes, how many good records it has, what the others are called, and whether reading it breaks."""

    name: str
    suffix: str
    data: bytes
    good: int
    bad: tuple[str, ...] = ()
    breaks: bool = False


H, OK = b"x,y\n", b"1,2\n"
L = b'{"x":1}\n'
MANY = H + OK * 20_000  # two splits
PACKED = gzip.compress(MANY, mtime=0)

CASES = [
    Case("empty", "csv", b"", 0),
    Case("only a byte order mark", "csv", b"\xef\xbb\xbf", 0),
    Case("only a header", "csv", H, 0),
    Case("blank lines", "csv", H + b"\n" + OK + b"\r\n\n" + OK, 2),
    Case("byte order mark", "csv", b"\xef\xbb\xbf" + H + OK, 1),
    Case("too short", "csv", H + b"1\n" + OK, 1, ("RaggedRow",)),
    Case("too long", "csv", H + b"1,2,3\n" + OK, 1, ("RaggedRow",)),
    Case("all ragged", "csv", H + b"1\n1,2,3\n", 0, ("RaggedRow", "RaggedRow")),
    Case("open quote at the end", "csv", H + OK + b'1,"2\n', 1, ("OpenQuote",)),
    Case("open quote before much", "csv", H + b'1,"2\n' + OK * 20_000, 20_000, ("OpenQuote",)),
    Case("NUL", "csv", H + b"1\0,2\n" + OK, 1, ("NulByte",)),
    Case("bad UTF-8", "csv", H + b"\xff,2\n" + OK, 1, ("BadEncoding",)),
    Case("half a character at the end", "csv", H + OK + b"1,\xe2\x82", 1, ("BadEncoding",)),
    Case("a giant cell", "csv", H + b"a" * 131_073 + b",2\n" + OK, 1, ("FieldTooLarge",)),
    Case("a giant record", "csv", H + b"a" * 2_000_000 + b"\n" + OK, 1, ("RecordTooLarge",)),
    Case("bad and much", "csv", H + (OK * 9 + b"1\n") * 2000, 18_000, ("RaggedRow",) * 2000),
    Case("names twice", "csv", b"x,x\n" + OK, 0, (), True),
    Case("open quote in the header", "csv", b'x,"y\n' + OK, 0, (), True),
    Case("bad UTF-8 in the header", "csv", b"x,\xff\n" + OK, 0, (), True),
    Case("UTF-16", "csv", "x,y\n1,2\n".encode("utf-16"), 0, (), True),
    Case("empty", "jsonl", b"", 0),
    Case("blank lines", "jsonl", b"\n" + L + b"\r\n" + L, 2),
    Case("no record but JSON", "jsonl", b'1\n"a"\nnull\n[1]\n', 4),
    Case("NaN", "jsonl", L + b'{"x":NaN}\n' + L, 2, ("NonFiniteNumber",)),
    Case("Infinity", "jsonl", b'{"x":[-Infinity]}\n' + L, 1, ("NonFiniteNumber",)),
    Case("keys twice", "jsonl", b'{"x":1,"x":2}\n' + L, 1, ("DuplicateKey",)),
    Case("5,000 digits", "jsonl", b'{"x":' + b"9" * 5000 + b"}\n" + L, 1, ("NumberTooLarge",)),
    Case("depth 100,000", "jsonl", b"[" * 100_000 + b"]" * 100_000 + b"\n" + L, 1, ("TooDeep",)),
    Case("open depth 100,000", "jsonl", b'{"x":' * 100_000 + b"\n" + L, 1, ("TooDeep",)),
    Case("a lone surrogate", "jsonl", b'{"x":"\\ud800"}\n' + L, 1, ("BadJson",)),
    Case("bad UTF-8", "jsonl", b'{"x":"\xff"}\n' + L, 1, ("BadEncoding",)),
    Case("NUL", "jsonl", b'{"x":"\0"}\n' + L, 1, ("BadJson",)),
    Case("half a record", "jsonl", L + b'{"x":', 1, ("BadJson",)),
    Case("no JSON", "jsonl", b"hello\n<a/>\n" + L, 1, ("BadJson", "BadJson")),
    Case("a giant record", "jsonl", b'"' + b"a" * 2_000_000 + b'"\n' + L, 1, ("RecordTooLarge",)),
    Case("bad and much", "jsonl", (L * 9 + b"{\n") * 1000, 9_000, ("BadJson",) * 1000),
    Case("empty array", "json", b" [ ] ", 0),
    Case("one object", "json", b'{"x":1}', 1),
    Case("NaN", "json", b'[1,NaN,{"x":Infinity},2]', 2, ("NonFiniteNumber", "NonFiniteNumber")),
    Case("two commas", "json", b"[1,,2]", 2, ("BadJson",)),
    Case("bad word", "json", b"[nul,true]", 1, ("BadJson",)),
    Case("depth 100,000", "json", b"[" + b"[" * 100_000 + b"]" * 100_000 + b",1]", 1, ("TooDeep",)),
    Case("empty", "json", b"", 0, (), True),
    Case("cut", "json", b'[{"x":1},{"x":', 1, (), True),
    Case("cut behind much", "json", b"[" + b'{"x":1},' * 10_000, 10_000, (), True),
    Case("something behind the end", "json", b"[1] 2", 1, (), True),
    Case("lines", "json", b'{"x":1}\n{"x":2}\n', 1, (), True),
    Case("whole", "csv.gz", PACKED, 20_000),
    Case("bad check sum", "csv.gz", PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], 20_000, (), True),
    Case("cut trailer", "csv.gz", PACKED[:-8], 20_000, (), True),
    Case("garbage behind", "csv.gz", PACKED + b"garbage", 20_000, (), True),
    Case("cut in half", "csv.gz", PACKED[: len(PACKED) // 2], -1, (), True),
    Case("not packed", "csv.gz", MANY, 0, (), True),
    Case("cut", "csv.lz4", lz4.frame.compress(MANY, content_checksum=True)[:-20], -1, (), True),
    Case("not packed", "csv.lz4", MANY, 0, (), True),
    Case("cut", "jsonl.gz", gzip.compress(L * 100 + b"{\n", mtime=0)[:-8], 100, ("BadJson",), True),
]


def _id(case: Case) -> str:
    return f"{case.suffix}-{case.name.replace(' ', '_')}"


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def run(case: Case, folder: Path, **options: Any) -> tuple[FlowReport, PipeError | None, str]:
    source = folder / f"in.{case.suffix}"
    source.write_bytes(case.data)
    pipe = Pipe(source, folder / "good.jsonl", errors=folder / "bad.jsonl", **options)
    error = None
    try:
        pipe.run()
    except PipeError as problem:
        error = problem
    assert pipe.report is not None
    return pipe.report, error, ".partial" if error is not None else ""


def test_the_names_of_the_cases_are_unique_and_there_are_enough() -> None:
    assert len({_id(case) for case in CASES}) == len(CASES) >= 30


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_every_record_of_a_malformed_file_is_in_one_place(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path, "sync")


@pytest.mark.parametrize("case", [case for case in CASES if len(case.data) > 1 << 16], ids=_id)
def test_threads_that_read_a_malformed_file_lose_nothing_of_it(
    case: Case, tmp_path: Path, two_threads: ThreadPoolExecutor
) -> None:
    check(case, tmp_path, two_threads)


def check(case: Case, tmp_path: Path, executor: Any) -> None:
    report, error, partial = run(case, tmp_path, executor=executor)
    assert (error is not None) == case.breaks
    good, bad = lines(tmp_path / f"good.jsonl{partial}"), lines(tmp_path / f"bad.jsonl{partial}")
    assert report.conserved
    assert (report.read, report.valid, report.failed) == (len(good) + len(bad), len(good), len(bad))
    if case.good >= 0:
        assert len(good) == case.good
        assert [row["errors"][0]["type"] for row in bad] == list(case.bad)
    assert all(row["phase"] == "source" and row["errors"][0]["message"] for row in bad)
    positions = [row["position"] for row in bad]
    assert positions == sorted(set(positions))
    assert all(0 <= position < report.read for position in positions)
    if error is None:
        assert report.status is FlowStatus.COMPLETED
        return
    assert isinstance(error, SourceError)
    assert f"in.{case.suffix}" in str(error)
    assert len(str(error)) < 2000
    assert report.status is FlowStatus.FAILED
    assert not (tmp_path / "good.jsonl").exists()
    assert not (tmp_path / "bad.jsonl").exists()
    if good:
        assert any("good.jsonl.partial" in note for note in report.notes)


@pytest.mark.parametrize("case", [case for case in CASES if not case.breaks], ids=_id)
def test_hooks_never_see_what_could_not_be_read(case: Case, tmp_path: Path) -> None:
    seen: list[Any] = []

    def see(entry: Entry, store: HookStore) -> None:
        seen.append(entry.raw_data)

    report, _, _ = run(case, tmp_path, pre_validation_hooks=[see], chunk_size=97)
    assert len(seen) == report.valid == case.good
    assert [row["errors"][0]["type"] for row in lines(tmp_path / "bad.jsonl")] == list(case.bad)


# --- what came before -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk_size", [None, 1, 7, 1000])
def test_partial_holds_what_came_before_a_source_broke(chunk_size: int | None, tmp_path: Path, executor: Any) -> None:
    def broken() -> Iterator[Any]:
        for i in range(333):
            yield {"n": i if i % 100 else "x"}
        raise RuntimeError("the line is cut")

    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    schema = dict[str, int]
    pipe = Pipe(broken(), good, errors=bad, schema=schema, chunk_size=chunk_size, executor=executor)
    with pytest.raises(SourceError, match=r"RuntimeError.*the line is cut"):
        pipe.run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl.partial", "good.jsonl.partial"]
    assert [row["n"] for row in lines(tmp_path / "good.jsonl.partial")] == [i for i in range(333) if i % 100]
    assert [row["position"] for row in lines(tmp_path / "bad.jsonl.partial")] == [0, 100, 200, 300]
    assert pipe.report is not None
    assert (pipe.report.read, pipe.report.valid, pipe.report.failed) == (333, 329, 4)


def test_partial_of_a_csv_and_of_packed_lines_can_be_read(tmp_path: Path) -> None:
    source = tmp_path / "in.json"
    source.write_bytes(b"[" + b'{"x":1},' * 500)
    for name in ("good.csv", "good.jsonl.gz"):
        with pytest.raises(SourceError):
            Pipe(source, tmp_path / name).run()
    assert (tmp_path / "good.csv.partial").read_text() == "x\n" + "1\n" * 500
    assert gzip.decompress((tmp_path / "good.jsonl.gz.partial").read_bytes()) == L * 500


def test_a_target_that_was_there_stays_beside_the_partial_one(tmp_path: Path) -> None:
    source, good = tmp_path / "in.json", tmp_path / "good.jsonl"
    source.write_bytes(b'[{"x":1},{"x":')
    good.write_text("old\n")
    with pytest.raises(SourceError):
        Pipe(source, good, mode="overwrite").run()
    assert good.read_text() == "old\n"
    assert (tmp_path / "good.jsonl.partial").read_bytes() == L
    with pytest.raises(SourceError):
        Pipe(source, good, mode="append").run()
    assert good.read_text() == "old\n"
    assert (tmp_path / "good.jsonl.partial").read_bytes() == L


def test_the_partial_file_of_an_earlier_run_is_not_taken_for_this_one(tmp_path: Path) -> None:
    source, good = tmp_path / "in.json", tmp_path / "good.jsonl"
    for count in (5, 2):
        source.write_bytes(b"[" + b'{"x":1},' * count)
        with pytest.raises(SourceError):
            Pipe(source, good).run()
        assert len(lines(tmp_path / "good.jsonl.partial")) == count


@pytest.mark.parametrize("error", [KeyError("k"), StopIteration(), SystemExit(3), GeneratorExit(), MemoryError()])
def test_a_source_may_raise_anything(error: BaseException, tmp_path: Path) -> None:
    class Broken:
        def __init__(self) -> None:
            self.left = 5

        def __iter__(self) -> Broken:
            return self

        def __next__(self) -> Any:
            if not self.left:
                raise error
            self.left -= 1
            return {"n": self.left}

    pipe = Pipe(Broken(), tmp_path / "good.jsonl")
    if isinstance(error, StopIteration):
        assert pipe.run().valid == 5
        return
    with pytest.raises(SourceError, match=type(error).__name__):
        pipe.run()
    assert len(lines(tmp_path / "good.jsonl.partial")) == 5


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json", "csv.gz"])
def test_a_file_that_is_not_there_fails_before_anything_starts(suffix: str, tmp_path: Path) -> None:
    ran: list[Any] = []
    with pytest.raises(SourceNotFoundError, match="missing"):
        Pipe(
            tmp_path / f"missing.{suffix}", tmp_path / "good.jsonl", pre_validation_hooks=[lambda *both: ran.append(1)]
        ).run()
    assert [*tmp_path.iterdir()] == []
    assert ran == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at /proc")
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.breaks],
    ids=_id,
)
def test_a_broken_file_is_closed_when_the_run_has_ended(case: Case, tmp_path: Path) -> None:
    _, error, _ = run(case, tmp_path)
    assert error is not None
    assert not [link for link in _open_files() if str(tmp_path) in link]


def _open_files() -> list[str]:
    found = []
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed since
            found.append(os.readlink(one))
    return found
