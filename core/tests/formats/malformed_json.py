"""Malformed files of one JSON value."""

from __future__ import annotations

from typing import Any

from malformed_files import Bad, File, places
from malformed_jsonl import BROKEN

A, B = b'{"a":1}', b'{"a":"]}"}'
ROW_A, ROW_B = {"a": 1}, {"a": "]}"}
_OTHERWISE = {  # what ends before a comma or bracket, or does not end at all, is another thing in an array
    "NUL behind",
    "comma behind",
    "comment",
    "comment within",
    "comment alone",
    "cut off",
    "cut in a string",
    "NULs alone",
    "one bracket too many",
    "two values",
    "two values, space",
    "carriage return between",
    "line separator between",
    "CSV",
    "open depth 10,000",
    "a prefix against hijacking",
    "record separator",
    "no UTF-8 in a key",
    "XML",
}


def elements_in_their_places() -> list[File]:
    """Each bad element at each place of an array."""
    files = []
    for i, (name, element, kind) in enumerate(BROKEN):
        if name in _OTHERWISE:
            continue
        for place, three in [list(places(A, element, B))[i % 3]]:
            outcome = tuple(Bad(kind) if one is element else ROW_A if one is A else ROW_B for one in three)
            if len(element) < 10_000 or place == "between":
                files.append(
                    File(f"{name}, {place}", ".json", b"[" + b" , \n"[i % 4 // 2 :].join(three) + b"]", outcome)
                )
    return files


def cut_everywhere() -> list[File]:
    """An array that ends too early, at each of its bytes."""
    whole = b'[{"a":1}, {"a":"]}"}, [1.5, "\\"\\\\"], 7]'
    rows = (ROW_A, ROW_B, [1.5, '"\\'], 7)
    ends = [8, 20, 35, 39]  # where the records end; a number, behind it
    files = []
    for length in range(len(whole)):
        count = sum(end <= length for end in ends)
        files.append(File(f"cut at {length}", ".json", whole[:length], rows[:count], "broken behind|cannot be read"))
    return files


def _json(name: str, data: bytes, *outcome: Any, error: str | None = None, **options: Any) -> File:
    return File(name, ".json", data, outcome, error, options=options)


IN_A: dict[str, Any] = {"prefix": "a"}
TABLE = [
    _json("a number and a bracket", b"[1}", 1, error="',' is missing at byte 2"),
    _json("an element of crossed brackets", b"[{]", Bad("BadJson"), error="missing at byte 3.*cut off"),
    _json("crossed brackets that swallow", b'[{"a":[1},{"a":2}]', Bad("BadJson"), error="missing.*cut off"),
    _json("one bracket too many", b"[1]]", 1, error="something follows the end.*byte 3"),
    _json("a bracket alone", b"]", error="a value is missing at byte 0"),
    _json("a colon alone", b":", error="a value is missing"),
    _json("a comma first", b"[,1]", Bad("BadJson"), 1),
    _json("a comma last", b"[1,\n]", 1, Bad("BadJson")),
    _json("commas", b"[,,]", Bad("BadJson"), Bad("BadJson"), Bad("BadJson")),
    _json("two values", b"[1 2]", 1, error="',' is missing"),
    _json("a comment", b"[1, // one\n2]", 1, Bad("BadJson"), error="',' is missing"),
    _json("a comment first", b"/* one */ [1]", Bad("BadJson"), error="something follows"),
    _json("NUL behind", b"[1]\0", 1, error="something follows"),
    _json("NUL between", b"[1,\0,2]", 1, Bad("BadJson"), 2),
    _json("joined arrays", b"[1]\n[2]\n", 1, error="something follows.*jsonl"),
    _json("lines", A + b"\n" + B, ROW_A, error="something follows.*jsonl"),
    _json("text", b"hello", Bad("BadJson")),
    _json("HTML", b"<html>", Bad("BadJson")),
    _json("bytes", b"\x80\x81", Bad("BadJson")),
    _json("half a number", b"[1,12", 1, error="does not end at byte 5.*cut off"),
    _json("half a word", b"[1,tr", 1, error="does not end at byte 5.*cut off"),
    _json("half a number behind a prefix", b'{"a":12', error="does not end.*cut off", **IN_A),
    _json("only spaces", b" \r\n\t", error="a value is missing.*cut off"),
    _json("mark alone", b"\xef\xbb\xbf", error="a value is missing"),
    _json("two marks", b"\xef\xbb\xbf\xef\xbb\xbf[1]", Bad("BadJson"), error="something follows"),
    _json("over a limit", b'["' + b"z" * 200 + b'",{"a":1}]', Bad("RecordTooLarge"), ROW_A, max_record_bytes=100),
    _json("cut over a limit", b'[{"a":1},"' + b"z" * 200, ROW_A, error="does not end.*cut off", max_record_bytes=100),
    _json("deeper than a limit", b'[[[1]],[[[1]]],{"a":1}]', [[1]], Bad("TooDeep"), ROW_A, max_depth=2),
    _json("wider than a limit", b'[{"a":1,"b":2},{"a":1}]', Bad("TooManyFields"), ROW_A, max_fields=1),
    _json("the prefix twice", b'{"a":[1],"a":[2]}', 1, error="prefix names 'a'.*twice", **IN_A),
    _json("the prefix twice, one escaped", b'{"a":[1],"\\u0061":[2]}', 1, error="twice", **IN_A),
    _json("the outer prefix twice", b'{"d":{"a":[1]},"d":{"a":[2]}}', 1, error="prefix names 'd'.*twice", prefix="d.a"),
    _json("the inner prefix twice", b'{"d":{"a":[1],"b":0,"a":[2]}}', 1, error="prefix names 'a'.*twice", prefix="d.a"),
    _json("no prefix", b'{"b":[1]}', error="has no 'a', which the prefix names", **IN_A),
    _json("no prefix in an empty object", b"{}", error="has no 'a'", **IN_A),
    _json("prefix into a list", b'[{"a":[1]}]', error="'{' is missing", **IN_A),
    _json("prefix into a number", b'{"a":1}', error="'{' is missing", prefix="a.b"),
    _json("comma missing before the prefix", b'{"b":1 "a":[1]}', error="',' is missing", **IN_A),
    _json("colon missing before the prefix", b'{"b" 1,"a":[1]}', error="':' is missing", **IN_A),
    _json("number as key before the prefix", b'{1:1,"a":[1]}', error="'1' is no key", **IN_A),
    _json("no text as key", b'{"\xff":1,"a":[1]}', error="is no key", **IN_A),
    _json("comma before the end behind the prefix", b'{"a":[1],}', 1, error="a value is missing", **IN_A),
    _json("no comma behind the prefix", b'{"a":[1] "b":2}', 1, error="'}' is missing", **IN_A),
    _json("cut behind the prefix", b'{"a":[1]', 1, error="'}' is missing.*cut off", **IN_A),
    _json("cut far behind the prefix", b'{"a":[1],"b":[', 1, error="does not end.*cut off", **IN_A),
    _json(
        "bad records behind a prefix",
        b'{"b":{"a":[9]},"a":[NaN,1,{"c":1,"c":2}]}',
        Bad("NonFiniteNumber"),
        1,
        Bad("DuplicateKey"),
        **IN_A,
    ),
    _json("UTF-16 read as UTF-8", "[1]".encode("utf-16"), error="mark of utf-16"),
    _json("UTF-16 cut", "[1,2]".encode("utf-16")[:-3], 1, error="not in the encoding|broken behind", encoding="utf-16"),
    _json("UTF-8 read as ASCII", '[1,"é"]'.encode(), 1, error="not in the encoding", encoding="ascii"),
    _json("UTF-8 with a mark read as cp1252", b"\xef\xbb\xbf[1]", error="mark of utf-8", encoding="cp1252"),
]

FILES = [*elements_in_their_places(), *cut_everywhere(), *TABLE]
