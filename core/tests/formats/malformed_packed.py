"""Damaged compression, and what is compressed in another way than its name says."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
import lzma
import random
import zipfile
import zlib
from collections.abc import Callable

import lz4.frame
from malformed_files import Bad, File

from pipe_core.formats.compression import compressing

ROWS = tuple({"x": str(i), "y": str(i * 7919 % 10007)} for i in range(400))
TEXT = b"x,y\n" + b"".join(f"{row['x']},{row['y']}\n".encode() for row in ROWS)
LINES = tuple({"a": i} for i in range(400))
JSONL = b"".join(b'{"a":%d}\n' % i for i in range(400))
ARRAY = b"[" + JSONL.replace(b"\n", b",")[:-1] + b"]"
CUT = "cannot be read|header|broken behind"
KINDS = [".gz", ".lz4", *([".zst"] if importlib.util.find_spec("backports.zstd") else [])]
BASES = {".csv": (TEXT, ROWS), ".jsonl": (JSONL, LINES), ".json": (ARRAY, LINES)}


def packed(data: bytes, kind: str) -> bytes:
    raw = io.BytesIO()
    raw.close, close = (lambda: None), raw.close  # type: ignore[method-assign]  # what was written is wanted
    with compressing(raw, kind) as stream:  # type: ignore[arg-type]  # all that it uses
        stream.write(data)
    found = raw.getvalue()
    close()
    return found


def damaged() -> list[File]:
    """Each format in each compression: cut off in many places, and with bits turned."""
    files = []
    for kind in KINDS:
        for suffix, (text, rows) in BASES.items():
            data = packed(text, kind)
            chance = random.Random(f"{kind}{suffix}")
            lengths = {1, 3, 9, len(data) - 1, len(data) - 4, *chance.sample(range(10, len(data) - 4), 3)}
            files += [File(f"cut at {n}", suffix + kind, data[:n], None, CUT, rows) for n in sorted(lengths)]
            for at in sorted(chance.sample(range(20, len(data) - 8), 5)):
                turned = bytearray(data)
                turned[at] ^= 1 << chance.randrange(8)
                files.append(File(f"turned at {at}", suffix + kind, bytes(turned), None, CUT))
    return files


def _file(name: str, suffix: str, data: bytes, *outcome: object, error: str | None = None) -> File:
    return File(name, suffix, data, outcome, error)


MEMBER, OTHER = gzip.compress(b"x,y\n1,2\n", mtime=0), gzip.compress(b"3,4\n", mtime=0)
ROW_A, ROW_B = {"x": "1", "y": "2"}, {"x": "3", "y": "4"}
FRAME = lz4.frame.compress(b"x,y\n1,2\n", content_checksum=True)
RATIO = 3 << 20
"""Bytes of a bomb, of which a thousandth is on the disk."""


def _zipped(data: bytes) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.csv"), data)
    return raw.getvalue()


TABLE = [
    _file("two members", ".csv.gz", MEMBER + OTHER, ROW_A, ROW_B),
    _file("a record over two members", ".csv.gz", gzip.compress(b"x,y\n1,") + gzip.compress(b"2\n"), ROW_A),
    _file("an empty member between", ".csv.gz", MEMBER + gzip.compress(b"", mtime=0) + OTHER, ROW_A, ROW_B),
    _file("zeros behind", ".csv.gz", MEMBER + b"\0" * 700, ROW_A),
    _file("zeros and a member behind", ".csv.gz", MEMBER + b"\0" * 7 + OTHER, ROW_A, ROW_B),
    _file("garbage behind", ".csv.gz", MEMBER + b"garbage", ROW_A, error="cannot be read: Not a gzipped file"),
    _file("zeros and garbage behind", ".csv.gz", MEMBER + b"\0" * 9 + b"x", ROW_A, error="cannot be read"),
    _file("second member cut", ".csv.gz", MEMBER + OTHER[:-5], ROW_A, ROW_B, error="damaged or cut off"),
    _file("second member of text", ".csv.gz", MEMBER + b"3,4\n", ROW_A, error="Not a gzipped file"),
    _file("check sum turned", ".csv.gz", MEMBER[:-8] + b"\1" + MEMBER[-7:], ROW_A, error="CRC check failed"),
    _file("length turned", ".csv.gz", MEMBER[:-1] + b"\1", ROW_A, error="Incorrect length"),
    _file("no check sum", ".csv.gz", MEMBER[:-8], ROW_A, error="damaged or cut off"),
    _file("no bytes", ".csv.gz", b""),
    _file("an empty member", ".csv.gz", gzip.compress(b"", mtime=0)),
    _file("only zeros", ".csv.gz", b"\0" * 64, error="cannot be read"),
    _file("text", ".csv.gz", TEXT, error="Not a gzipped file"),
    _file("zlib", ".csv.gz", zlib.compress(TEXT), error="Not a gzipped file"),
    _file("lz4 inside the name of gzip", ".csv.gz", FRAME, error="Not a gzipped file"),
    _file("twice", ".csv.gz", gzip.compress(MEMBER, mtime=0), error="compressed with gzip.*only once"),
    _file("text", ".csv.lz4", TEXT, error="damaged or cut off|cannot be read"),
    _file("gzip inside the name of lz4", ".csv.lz4", MEMBER, error="damaged or cut off|cannot be read"),
    _file("two frames", ".csv.lz4", FRAME + lz4.frame.compress(b"3,4\n"), ROW_A, ROW_B),
    _file("garbage behind", ".csv.lz4", FRAME + b"garbage", ROW_A, error="damaged or cut off|cannot be read"),
    _file("no bytes", ".jsonl.lz4", b"", error="cut off"),
    _file("two values", ".jsonl.gz", gzip.compress(b'{"a":1}{"a":2}\n{"a":3}\n', mtime=0), Bad("BadJson"), {"a": 3}),
    _file("bad text inside", ".jsonl.lz4", lz4.frame.compress(b'{"a":"\xff"}\n{"a":3}'), Bad("BadEncoding"), {"a": 3}),
    _file("open quote inside", ".csv.gz", gzip.compress(b'x,y\n"1,2\n3,4\n', mtime=0), Bad("OpenQuote"), ROW_B),
    _file("a cut record inside", ".json.gz", gzip.compress(b'[1,{"a":', mtime=0), 1, error="does not end.*cut off"),
    _file(
        "a bomb of one line",
        ".csv.gz",
        gzip.compress(b"x,y\n" + b"0" * RATIO + b"\n3,4\n", mtime=0),
        Bad("RecordTooLarge"),
        ROW_B,
    ),
    _file(
        "a bomb of blank lines", ".csv.gz", gzip.compress(b"x,y\n" + b"\n" * (RATIO // 3) + b"3,4\n", mtime=0), ROW_B
    ),
    _file(
        "a bomb of NULs",
        ".csv.lz4",
        lz4.frame.compress(b"x,y\n" + b"\0" * RATIO + b"\n3,4\n"),
        Bad("RecordTooLarge"),
        ROW_B,
    ),
    _file("a bomb in a header", ".csv.gz", gzip.compress(b"0" * RATIO, mtime=0), error="header.*3,145,728 bytes"),
    _file(
        "a bomb of one line",
        ".jsonl.gz",
        gzip.compress(b'"' + b"0" * RATIO + b'"\n3', mtime=0),
        Bad("RecordTooLarge"),
        3,
    ),
    _file(
        "a bomb of one string",
        ".json.gz",
        gzip.compress(b'["' + b"0" * RATIO + b'",3]', mtime=0),
        Bad("RecordTooLarge"),
        3,
    ),
    File(
        "a bomb of brackets",
        ".json.gz",
        gzip.compress(b"[" * 200_000, mtime=0),
        (),
        "does not end.*cut off",
        options={"max_record_bytes": 10_000},
    ),
    _file("a bomb of blanks", ".json.gz", gzip.compress(b"[1," + b" " * RATIO + b"2]", mtime=0), 1, 2),
]


def misnamed() -> list[File]:
    """What is compressed, and its name does not say so."""
    ways: dict[str, tuple[Callable[[bytes], bytes], str]] = {
        "gzip": (lambda data: gzip.compress(data, mtime=0), r"compressed with gzip\. Its name must end in \.gz"),
        "lz4": (lz4.frame.compress, r"compressed with lz4\. Its name must end in \.lz4"),
        "bzip2": (bz2.compress, "compressed with bzip2, which is not read. Decompress it"),
        "xz": (lzma.compress, "compressed with xz, which is not read. Decompress it"),
        "zip": (_zipped, "compressed with zip, which is not read. Decompress it"),
    }
    if ".zst" in KINDS:
        ways["Zstandard"] = (
            lambda data: packed(data, ".zst"),
            r"compressed with Zstandard\. Its name must end in \.zst",
        )
    return [
        File(f"{name} without its suffix", suffix, pack(text), (), error)
        for name, (pack, error) in ways.items()
        for suffix, (text, _) in BASES.items()
    ]


FILES = [*damaged(), *TABLE, *misnamed()]
