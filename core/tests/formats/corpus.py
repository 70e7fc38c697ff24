"""Malformed files: what is in them, and what must come out. No file is ever an odd exception or a silent loss."""

from __future__ import annotations

import gzip
import json
from typing import Any, NamedTuple

import lz4.frame


class Case(NamedTuple):
    name: str
    suffix: str
    data: bytes
    good: int
    bad: list[str] = []  # noqa: RUF012  # never changed
    error: bool = False
    options: dict[str, Any] = {}  # noqa: RUF012  # never changed


H = b"x,y\n"
OK = b"1,2\n"
LONG = b"a" * 200
SMALL: dict[str, Any] = {"max_record_bytes": 100}
DEEP: dict[str, Any] = {"max_depth": 3}


def _csv(name: str, data: bytes, good: int, *bad: str, **options: Any) -> Case:
    return Case(name, ".csv", data, good, list(bad), False, options)


def _csv_error(name: str, data: bytes, good: int = 0, *bad: str, **options: Any) -> Case:
    return Case(name, ".csv", data, good, list(bad), True, options)


def _jsonl(name: str, data: bytes, good: int, *bad: str, **options: Any) -> Case:
    return Case(name, ".jsonl", data, good, list(bad), False, options)


def _json(name: str, data: bytes, good: int, *bad: str, **options: Any) -> Case:
    return Case(name, ".json", data, good, list(bad), False, options)


def _json_error(name: str, data: bytes, good: int = 0, *bad: str, **options: Any) -> Case:
    return Case(name, ".json", data, good, list(bad), True, options)


CSV = [
    _csv("empty file", b"", 0),
    _csv("only a byte order mark", b"\xef\xbb\xbf", 0),
    _csv("only blank lines", b"\n\r\n\n", 0),
    _csv("only a header", H, 0),
    _csv("header without a line end", b"x,y", 0),
    _csv("blank lines", H + b"\n" + OK + b"\r\n\n" + OK + b"\n", 2),
    _csv("no line end at the end", H + b"1,2", 1),
    _csv("byte order mark", b"\xef\xbb\xbf" + H + OK, 1),
    _csv("byte order mark, declared", b"\xef\xbb\xbf" + H + OK, 1, encoding="utf-8-sig"),
    _csv("row too short", H + b"1\n" + OK, 1, "RaggedRow"),
    _csv("row too long", H + b"1,2,3\n" + OK, 1, "RaggedRow"),
    _csv("all rows ragged", H + b"1\n1,2,3\n,,,\n", 0, "RaggedRow", "RaggedRow", "RaggedRow"),
    _csv("a line of spaces", H + b"  \n" + OK, 1, "RaggedRow"),
    _csv("wrong delimiter", H + b"1;2\n1;2\n", 0, "RaggedRow", "RaggedRow"),
    _csv("ragged first and last", H + b"1\n" + OK + b"1,2,3", 1, "RaggedRow", "RaggedRow"),
    _csv("open quote at the end", H + OK + b'1,"2\n', 1, "OpenQuote"),
    _csv("open quote, no line end", H + OK + b'1,"2', 1, "OpenQuote"),
    _csv("open quote alone", H + b'"', 0, "OpenQuote"),
    _csv("open quote in the first row", H + b'1,"2\n' + OK * 50, 50, "OpenQuote"),
    _csv("open quote in the middle", H + OK * 20 + b'1,"2\n' + OK * 20, 40, "OpenQuote"),
    _csv("two open quotes", H + b'"1,2\n' + OK + b'3,4",5\n' + OK, 2),
    _csv("open quote over the limit", H + b'"a\n' + OK * 60, 60, "OpenQuote", **SMALL),
    _csv("open quote over the field limit", H + b'"a\n' + OK * 60_000, 60_000, "OpenQuote"),
    _csv("open quote, then a long line", H + b'"a\n' + LONG + b"\n" + OK, 1, "OpenQuote", "RecordTooLarge", **SMALL),
    _csv("stray quotes", H + b'5" pipe,2\n1,a"b"c\n"a"b,c\n', 3),
    _csv("NUL in a cell", H + b"1\0,2\n" + OK, 1, "NulByte"),
    _csv("NUL between cells", H + OK + b"\0,\0\n", 1, "NulByte"),
    _csv("a block of NULs", H + OK + b"\0" * 1000 + b"\n" + OK, 2, "NulByte"),
    _csv("bad UTF-8", H + b"\xff,2\n" + OK, 1, "BadEncoding"),
    _csv("half a character", H + b"\xc3,2\n" + OK, 1, "BadEncoding"),
    _csv("half a character at the end", H + OK + b"1,\xe2\x82", 1, "BadEncoding"),
    _csv("overlong UTF-8", H + b"\xc0\xaf,2\n" + OK, 1, "BadEncoding"),
    _csv("a surrogate in UTF-8", H + b"\xed\xa0\x80,2\n" + OK, 1, "BadEncoding"),
    _csv("latin-1 read as UTF-8", H + b"M\xfcller,2\n" + OK, 1, "BadEncoding"),
    _csv("latin-1", H + b"M\xfcller,2\n", 1, encoding="latin-1"),
    _csv("hole in cp1252", H + b"\x81,2\n" + OK, 1, "BadEncoding", encoding="cp1252"),
    _csv("bad UTF-8 in a ragged row", H + b"\xff\n" + OK, 1, "BadEncoding"),
    _csv("bad UTF-8 in quotes over lines", H + b'"a\n\xff\nb",2\n' + OK, 1, "BadEncoding"),
    _csv("bad UTF-8 behind an open quote", H + b'"a,2\n\xff,1\n' + OK, 1, "OpenQuote", "BadEncoding"),
    _csv("a large cell", H + b"a" * 131_073 + b",2\n" + OK, 1, "FieldTooLarge"),
    _csv("a cell at the limit", H + b"a" * 131_072 + b",2\n" + OK, 2),
    _csv("a large quoted cell", H + b'"' + b"a" * 131_073 + b'",2\n' + OK, 1, "FieldTooLarge"),
    _csv(
        "a large cell over lines",
        H + b'"' + b"a\n" * 66_000 + b'",2\n',
        0,
        *["OpenQuote"],
        *["RaggedRow"] * 65_999,
        "OpenQuote",
    ),
    _csv(
        "two large cells",
        (H + b"a" * 140_000 + b",2\n" + OK + b"1," + b"b" * 140_000),
        1,
        "FieldTooLarge",
        "FieldTooLarge",
    ),
    _csv("a large record", H + b"a" * 2_000_000 + b"\n" + OK, 1, "RecordTooLarge"),
    _csv("a large record at the end", H + OK + b"a" * 2_000_000, 1, "RecordTooLarge"),
    _csv("a record over a small limit", H + LONG + b",2\n" + OK, 1, "RecordTooLarge", **SMALL),
    _csv("a record one byte under the limit", H + b"a" * 96 + b",1\n", 1, **SMALL),
    _csv("a record at the limit", H + b"a" * 97 + b",1\n", 1, **SMALL),
    _csv("a record one byte over the limit", H + b"a" * 98 + b",1\n", 0, "RecordTooLarge", **SMALL),
    _csv("a quoted record at the limit", H + b'"' + b"a\n" * 47 + b'",12\n', 1, **SMALL),
    _csv(
        "a quoted record over the limit",
        H + b'"' + b"a\n" * 49 + b'",1\n',
        0,
        "OpenQuote",
        *["RaggedRow"] * 48,
        "OpenQuote",
        **SMALL,
    ),
    _csv("carriage returns only", b"x,y\r1,2\r3,4\r", 2),
    _csv("all line ends", b"x,y\r\n1,2\n3,4\r5,6\r\n", 3),
    _csv("line separator is no line end", H + "a\u2028b,\x85\x0b\x0c\n".encode(), 1),
    _csv("UTF-16", "x,y\n1,é\n".encode("utf-16"), 1, encoding="utf-16"),
    _csv("UTF-16 without a mark", "x,y\n1,é\n".encode("utf-16-le"), 1, encoding="utf-16-le"),
    _csv("header read over", b"a,a\n" + OK, 1, fieldnames=["x", "y"], header="first"),
    _csv("no header, ragged", b"1,2\n1\n", 1, "RaggedRow", header="none"),
    _csv("rows skipped", b'# "comment\n\xff\n' + H + OK, 1, skip_rows=2),
    _csv("more rows skipped than there are", H + OK, 0, skip_rows=9),
    _csv("quotes without meaning", H + b'"1,2\n', 1, quotechar=None),
    _csv("escape at the end", H + b"1,2\\", 0, "OpenQuote", escapechar="\\"),
    _csv("rejections count as rows", H + b"1\n" + OK * 3, 1, "RaggedRow", max_rows=2),
    _csv_error("duplicate names", b"x,x\n" + OK),
    _csv_error("duplicate names when stripped", b"x, x\n" + OK, strip=True),
    _csv_error("empty header", b",\n" + OK),
    _csv_error("empty header in quotes", b'""\n1\n'),
    _csv_error("open quote in the header", b'x,"y\n' + OK),
    _csv_error("bad UTF-8 in the header", b"x,\xff\n" + OK),
    _csv_error("UTF-16 read as UTF-8", "x,y\n1,2\n".encode("utf-16-le")),
    _csv_error("UTF-16 with a mark read as UTF-8", "x,y\n1,2\n".encode("utf-16")),
    _csv_error("too many names", ",".join(f"c{i}" for i in range(5000)).encode() + b"\n"),
    _csv_error("large header", b"x" * 2_000_000 + b"\n" + OK),
    _csv_error("half a character of UTF-16", "x,y\n1,2\n3,4\n".encode("utf-16-le") + b"5", 2, encoding="utf-16-le"),
    _csv_error(
        "a lone surrogate in UTF-16", "x,y\n1,2\n".encode("utf-16-le") + b"\x00\xd8\n\0", 1, encoding="utf-16-le"
    ),
]

L = b'{"a":1}\n'
JSONL = [
    _jsonl("empty file", b"", 0),
    _jsonl("blank lines", b"\n" + L + b" \r\n\t\n" + L, 2),
    _jsonl("no line end", b'{"a":1}', 1),
    _jsonl("CRLF", L.replace(b"\n", b"\r\n") * 2, 2),
    _jsonl("byte order mark", b"\xef\xbb\xbf" + L, 1),
    _jsonl("any value", b'1\n"a"\nnull\n[1]\ntrue\n1.5\n', 6),
    _jsonl("line separator in a string", '{"a":"\u2028\u2029\x85"}\n'.encode(), 1),
    _jsonl("NaN", L + b'{"a":NaN}\n' + L, 2, "NonFiniteNumber"),
    _jsonl("Infinity", b'{"a":[Infinity]}\n' + L, 1, "NonFiniteNumber"),
    _jsonl("-Infinity", b'{"a":-Infinity}\n' + L, 1, "NonFiniteNumber"),
    _jsonl("1e400", b'{"a":1e400}\n' + L, 1, "NonFiniteNumber"),
    _jsonl("-1E+400", b'{"a":{"b":[-1E+400]}}\n' + L, 1, "NonFiniteNumber"),
    _jsonl("a long mantissa", b'{"a":1' + b"0" * 290 + b'e19}\n{"a":1e+308}\n', 1, "NonFiniteNumber"),
    _jsonl("a long float", b'{"a":1' + b"0" * 400 + b".5}\n" + L, 1, "NonFiniteNumber"),
    _jsonl("1e-400 is zero", b'{"a":1e-400}\n', 1),
    _jsonl("duplicate keys", b'{"a":1,"a":2}\n' + L, 1, "DuplicateKey"),
    _jsonl("duplicate keys with spaces", b'{"a" : 1, "a"\t:2}\n' + L, 1, "DuplicateKey"),
    _jsonl("duplicate keys inside", b'{"b":[{"a":1,"a":2}]}\n' + L, 1, "DuplicateKey"),
    _jsonl("duplicate keys in a list", b'[{"a":1,"a":2}]\n' + L, 1, "DuplicateKey"),
    _jsonl("duplicate keys, one escaped", b'{"a":1,"\\u0061":2}\n' + L, 1, "DuplicateKey"),
    _jsonl("duplicate keys beside colons", b'{"a":"::","b":"\\":","a":1}\n' + L, 1, "DuplicateKey"),
    _jsonl("colons are no keys", b'{"a":"x\\": y","b":"10:00"}\n' + L, 2),
    _jsonl("integer of 4,300 digits", b'{"a":' + b"9" * 4300 + b"}\n", 1),
    _jsonl("integer of 5,000 digits", b'{"a":' + b"9" * 5000 + b"}\n" + L, 1, "NumberTooLarge"),
    _jsonl("depth 3 of 3", b"[[[1]]]\n", 1, **DEEP),
    _jsonl("depth 4 of 3", b"[[[[1]]]]\n" + L, 1, "TooDeep", **DEEP),
    _jsonl("depth 4 of 3 in objects", b'{"a":{"a":{"a":{}}}}\n' + L, 1, "TooDeep", **DEEP),
    _jsonl("wide is not deep", b'{"a":[[],[],[],[],[]]}\n', 1, **DEEP),
    _jsonl("brackets in strings are not deep", b'{"a":"[[[[[["}\n', 1, **DEEP),
    _jsonl("depth 65", b"[" * 65 + b"]" * 65 + b"\n" + L, 1, "TooDeep"),
    _jsonl("depth 300", b"[" * 300 + b"]" * 300 + b"\n" + L, 1, "TooDeep"),
    _jsonl("depth 100,000", b"[" * 100_000 + b"]" * 100_000 + b"\n" + L, 1, "TooDeep"),
    _jsonl("open depth 100,000", b'{"a":' * 100_000 + b"\n" + L, 1, "TooDeep"),
    _jsonl("lone surrogate", b'{"a":"\\ud800"}\n' + L, 1, "BadJson"),
    _jsonl("bad UTF-8", b'{"a":"\xff"}\n' + L, 1, "BadEncoding"),
    _jsonl("half a character", b'{"a":"\xe2\x82"}\n' + L, 1, "BadEncoding"),
    _jsonl("control character", b'{"a":"\x01"}\n' + L, 1, "BadJson"),
    _jsonl("NUL", b'{"a":"\0"}\n' + L, 1, "BadJson"),
    _jsonl("half a record at the end", L + b'{"a":', 1, "BadJson"),
    _jsonl("not JSON at all", b"hello\n<a/>\n" + L, 1, "BadJson", "BadJson"),
    _jsonl("two values in a line", b"{}{}\n" + L, 1, "BadJson"),
    _jsonl("trailing comma", b'{"a":1,}\n' + L, 1, "BadJson"),
    _jsonl("single quotes", b"{'a':1}\n" + L, 1, "BadJson"),
    _jsonl("leading zero", b'{"a":01}\n' + L, 1, "BadJson"),
    _jsonl("a pretty object", b'{\n"a":1\n}\n', 0, "BadJson", "BadJson", "BadJson"),
    _jsonl("too many fields", json.dumps({str(i): i for i in range(4097)}).encode() + b"\n" + L, 1, "TooManyFields"),
    _jsonl("as many fields as allowed", json.dumps({str(i): i for i in range(4096)}).encode() + b"\n", 1),
    _jsonl("a large record", b'"' + b"a" * 2_000_000 + b'"\n' + L, 1, "RecordTooLarge"),
    _jsonl("a large record at the end", L + b'"' + b"a" * 2_000_000, 1, "RecordTooLarge"),
    _jsonl("a record at the limit", b'"' + b"a" * 97 + b'"\n' + L, 2, **SMALL),
    _jsonl("a record over the limit", b'"' + b"a" * 98 + b'"\n' + L, 1, "RecordTooLarge", **SMALL),
    _jsonl("latin-1", '{"a":"é"}\n'.encode("latin-1"), 1, encoding="latin-1"),
    _jsonl("hole in cp1252", b'{"a":"\x81"}\n' + L, 1, "BadEncoding", encoding="cp1252"),
    _jsonl("UTF-16", '{"a":"é"}\n'.encode("utf-16"), 1, encoding="utf-16"),
]

JSON = [
    _json("empty array", b" [ ] \n", 0),
    _json("one object", b'{"a":1}\n', 1),
    _json("one number", b"42", 1),
    _json("byte order mark", b"\xef\xbb\xbf[1]", 1),
    _json("NaN", b'[1,NaN,{"a":Infinity},2]', 2, "NonFiniteNumber", "NonFiniteNumber"),
    _json("1e400", b"[1e400, 1]", 1, "NonFiniteNumber"),
    _json("duplicate keys", b'[{"a":1,"a":2},{"a":1}]', 1, "DuplicateKey"),
    _json("two commas", b"[1,,2]", 2, "BadJson"),
    _json("trailing comma", b"[1,]", 1, "BadJson"),
    _json("only a comma", b"[,]", 0, "BadJson", "BadJson"),
    _json("bad word", b"[nul,true]", 1, "BadJson"),
    _json("wrong closing bracket", b'[{"a":1],2]', 1, "BadJson"),
    _json("bad UTF-8", b'[{"a":"\xff"},1]', 1, "BadEncoding"),
    _json("integer of 5,000 digits", b"[" + b"9" * 5000 + b",1]", 1, "NumberTooLarge"),
    _json("deep", b"[" + b"[" * 65 + b"]" * 65 + b",1]", 1, "TooDeep"),
    _json("depth 100,000", b"[" + b"[" * 100_000 + b"]" * 100_000 + b",1]", 1, "TooDeep"),
    _json("a large record", b'["' + b"a" * 2_000_000 + b'",1]', 1, "RecordTooLarge"),
    _json("a large object", b'[{"a":["' + b'a\\"]' * 500_000 + b'"]},1]', 1, "RecordTooLarge"),
    _json("record at the limit", b'["' + b"a" * 98 + b'",1]', 2, **SMALL),
    _json("record over the limit", b'["' + b"a" * 99 + b'",1]', 1, "RecordTooLarge", **SMALL),
    _json("prefix", b'{"z":[1,{"d":2}],"d":{"x":"]}","i":[1,2],"y":0},"e":{}}', 2, prefix="d.i"),
    _json("prefix to one object", b'{"d":{"a":1}}', 1, prefix="d"),
    _json("UTF-16", "[1]".encode("utf-16"), 1, encoding="utf-16"),
    _json_error("empty file", b""),
    _json_error("only spaces", b" \n "),
    _json_error("cut behind a record", b'[{"a":1}', 1),
    _json_error("cut behind a comma", b'[{"a":1},', 1),
    _json_error("cut in a record", b'[{"a":1},{"a":', 1),
    _json_error("cut in a string", b'[1,"abc', 1),
    _json_error("cut behind a backslash", b'[1,"abc\\', 1),
    _json_error("cut at the beginning", b"["),
    _json_error("something behind the end", b"[1] 2", 1),
    _json_error("JSON lines", b'{"a":1}\n{"a":2}\n', 1),
    _json_error("missing comma", b"[1 2]", 1),
    _json_error("missing comma between objects", b'[{"a":1}{"a":2}]', 1),
    _json_error("closing brace for bracket", b"[1,2}", 2),
    _json_error("prefix that is not there", b'{"a":[1]}', prefix="b"),
    _json_error("prefix into a list", b'[{"a":1}]', prefix="a"),
    _json_error("prefix into an empty file", b"", prefix="a"),
    _json_error("cut behind the prefix", b'{"a":[1,2]', 2, prefix="a"),
    _json_error("broken before the prefix", b'{"z" 1,"a":[1]}', prefix="a"),
    _json_error("half a character of UTF-16", "[1,2]".encode("utf-16-le") + b"x", 2, encoding="utf-16-le"),
]

ROWS = H + b"".join(b"%d,%d\n" % (i, i * 7919 % 10007) for i in range(3000))
PACKED = gzip.compress(ROWS, mtime=0)
FRAMED = lz4.frame.compress(ROWS, content_checksum=True)


def _packed(name: str, data: bytes, good: int, error: bool = True, suffix: str = ".csv.gz") -> Case:
    return Case(name, suffix, data, good, [], error)


COMPRESSED = [
    _packed("whole", PACKED, 3000, error=False),
    _packed("two members", PACKED + gzip.compress(OK), 3001, error=False),
    _packed("padded with zeros", PACKED + b"\0" * 512, 3000, error=False),
    _packed("bad check sum", PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], 3000),
    _packed("bad length", PACKED[:-4] + b"\0\0\0\0", 3000),
    _packed("cut trailer", PACKED[:-8], 3000),
    _packed("garbage behind", PACKED + b"garbage", 3000),
    _packed("cut in half", PACKED[: len(PACKED) // 2], -1),
    _packed("cut in the header", PACKED[:5], 0),
    _packed("not compressed", ROWS, 0),
    _packed("damaged in the middle", PACKED[:9000] + b"\xff" * 40 + PACKED[9040:], -1),
    _packed("lz4, whole", FRAMED, 3000, error=False, suffix=".csv.lz4"),
    _packed("lz4, cut", FRAMED[: len(FRAMED) // 2], -1, suffix=".csv.lz4"),
    _packed("lz4, damaged", FRAMED[:-6] + b"\xff" * 6, -1, suffix=".csv.lz4"),
    _packed("lz4, not compressed", ROWS, 0, suffix=".csv.lz4"),
    Case("json, cut", ".json.gz", gzip.compress(b"[1,2,3]", mtime=0)[:-9], -1, [], True),
    Case("jsonl, cut", ".jsonl.gz", gzip.compress(L * 100, mtime=0)[:-8], 100, [], True),
]

CASES = [*CSV, *JSONL, *JSON, *COMPRESSED]
