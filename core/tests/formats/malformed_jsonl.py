"""Malformed JSON lines."""

from __future__ import annotations

import json
from typing import Any

from malformed_files import Bad, File, places

A, B = b'{"a":1}', b'{"a":[null,"x"]}'
ROW_A, ROW_B = {"a": 1}, {"a": [None, "x"]}
DEEP = b"[" * 100_000 + b"]" * 100_000
BROKEN: list[tuple[str, bytes, str]] = [
    ("NaN", b'{"a":NaN}', "NonFiniteNumber"),
    ("NaN alone", b"NaN", "NonFiniteNumber"),
    ("Infinity", b'{"a":[1,Infinity]}', "NonFiniteNumber"),
    ("-Infinity", b'{"a": -Infinity}', "NonFiniteNumber"),
    ("1e400", b'{"a":1e400}', "NonFiniteNumber"),
    ("-1E+999999", b"[-1E+999999]", "NonFiniteNumber"),
    ("400 digits and a point", b'{"a":' + b"9" * 400 + b".0}", "NonFiniteNumber"),
    ("nan", b'{"a":nan}', "BadJson"),
    ("inf", b'{"a":inf}', "BadJson"),
    ("5,000 digits", b'{"a":' + b"7" * 5000 + b"}", "NumberTooLarge"),
    ("-5,000 digits", b"[-" + b"7" * 5000 + b"]", "NumberTooLarge"),
    ("plus", b'{"a":+1}', "BadJson"),
    ("point first", b'{"a":.5}', "BadJson"),
    ("point last", b'{"a":5.}', "BadJson"),
    ("hexadecimal", b'{"a":0x1F}', "BadJson"),
    ("underscore", b'{"a":1_000}', "BadJson"),
    ("comma in a number", b'{"a":1,5}', "BadJson"),
    ("leading zero", b'{"a":-01}', "BadJson"),
    ("minus alone", b'{"a":-}', "BadJson"),
    ("exponent without digits", b'{"a":1e+}', "BadJson"),
    ("key twice", b'{"a":1,"a":1}', "DuplicateKey"),
    ("key twice, one escaped", b'{"\\u0061":1,"a":2}', "DuplicateKey"),
    ("key twice far inside", b'{"b":[[{"c":{"d":0,"d":0}}]]}', "DuplicateKey"),
    ("empty key twice", b'{"":1,"":2}', "DuplicateKey"),
    ("key twice, tabs", b'{"a"\t:1,\t"a"\t:2}', "DuplicateKey"),
    ("depth 100,000", DEEP, "TooDeep"),
    ("depth 65", b"[" * 65 + b"]" * 65, "TooDeep"),
    ("open depth 10,000", b'{"a":[' * 10_000, "TooDeep"),
    ("high surrogate alone", b'{"a":"\\ud83d"}', "BadJson"),
    ("low surrogate alone", b'{"a":"\\ude00 x"}', "BadJson"),
    ("surrogates turned", b'{"a":"\\ude00\\ud83d"}', "BadJson"),
    ("surrogate before a letter", b'{"a":"\\ud83dx"}', "BadJson"),
    ("surrogate in a key", b'{"\\ud800":1}', "BadJson"),
    ("surrogate as bytes", b'{"a":"\xed\xa0\xbd"}', "BadEncoding"),
    ("no UTF-8", b'{"a":"\xff"}', "BadEncoding"),
    ("no UTF-8 in a key", b'{"\xe9":1}', "BadEncoding"),
    ("cut character", b'{"a":"\xf0\x9f\x98"}', "BadEncoding"),
    ("overlong NUL", b'{"a":"\xc0\x80"}', "BadEncoding"),
    ("NUL", b'{"a":"\0"}', "BadJson"),
    ("NUL behind", b'{"a":1}\0', "BadJson"),
    ("NULs alone", b"\0" * 500, "BadJson"),
    ("tab in a string", b'{"a":"\t"}', "BadJson"),
    ("unknown escape", b'{"a":"\\x41"}', "BadJson"),
    ("short escape", b'{"a":"\\u12"}', "BadJson"),
    ("single quotes", b"{'a':1}", "BadJson"),
    ("no quotes", b"{a:1}", "BadJson"),
    ("number as key", b"{1:2}", "BadJson"),
    ("trailing comma", b'{"a":1,}', "BadJson"),
    ("comma behind", b'{"a":1},', "BadJson"),
    ("comma missing", b'{"a":1 "b":2}', "BadJson"),
    ("colon missing", b'{"a" 1}', "BadJson"),
    ("value missing", b'{"a":}', "BadJson"),
    ("comment", b'{"a":1} // one', "BadJson"),
    ("comment within", b'{"a":/* one */1}', "BadJson"),
    ("comment alone", b"# one", "BadJson"),
    ("Python", b'{"a":True,"b":None}', "BadJson"),
    ("undefined", b"undefined", "BadJson"),
    ("cut off", b'{"a":[1,2', "BadJson"),
    ("cut in a string", b'{"a":"b', "BadJson"),
    ("one bracket too many", b'{"a":1}}', "BadJson"),
    ("brackets crossed", b'{"a":[1}]', "BadJson"),
    ("two values", b'{"a":1}{"a":2}', "BadJson"),
    ("two values, space", b'{"a":1} {"a":2}', "BadJson"),
    ("carriage return between", b'{"a":1}\r{"a":2}', "BadJson"),
    ("line separator between", '{"a":1}\u2028{"a":2}'.encode(), "BadJson"),
    ("record separator", b'\x1e{"a":1}', "BadJson"),
    ("a prefix against hijacking", b")]}',", "BadJson"),
    ("CSV", b"a,b,c", "BadJson"),
    ("XML", b"<a>1</a>", "BadJson"),
    ("string with too many fields", json.dumps(dict.fromkeys(map(str, range(4097)))).encode(), "TooManyFields"),
    ("huge line", b'{"a":"' + b"z" * (1 << 20) + b'"}', "RecordTooLarge"),
]
ODD_BUT_GOOD: list[tuple[str, bytes, Any]] = [
    ("-0", b"[-0,-0.0]", [0, -0.0]),
    ("30 digits", b'{"a":123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
    ("4,300 digits", b"[" + b"7" * 4300 + b"]", [int("7" * 4300)]),
    ("denormal", b"[5e-324,1e-400]", [5e-324, 0.0]),
    ("largest float", b"[1.7976931348623157e308]", [1.7976931348623157e308]),
    ("separators in a string", '{"a":"\u2028\u2029\x85\x7f"}'.encode(), {"a": "\u2028\u2029\x85\x7f"}),
    ("escaped NUL", b'{"a":"\\u0000"}', {"a": "\0"}),
    ("surrogate pair", b'{"a":"\\ud83d\\ude00"}', {"a": "\U0001f600"}),
    ("depth 64", b"[" * 64 + b"]" * 64, json.loads("[" * 64 + "]" * 64)),
    ("brackets in strings", b'{"a":"[[[{{{\\"]]"}', {"a": '[[[{{{"]]'}),
    ("empty key", b'{"":{"":[]}}', {"": {"": []}}),
    ("string", b'"a"', "a"),
    ("true", b"true", True),
]


def lines_in_their_places() -> list[File]:
    """Each line at each place of a file, without a line end at its end or with one."""
    files = []
    tables = [*((name, line, Bad(kind)) for name, line, kind in BROKEN), *ODD_BUT_GOOD]
    for i, (name, line, comes) in enumerate(tables):
        for place, three in list(places(A, line, B))[i % 2 : i % 2 + 2]:
            outcome = tuple(comes if one is line else ROW_A if one is A else ROW_B for one in three)
            if len(line) < 100_000 or place == "between":
                data = (b"\r\n" if i % 3 == 0 else b"\n").join(three) + (b"\n" if i % 2 else b"")
                files.append(File(f"{name}, {place}", ".jsonl", data, outcome))
    return files


def _jsonl(name: str, data: bytes, *outcome: Any, error: str | None = None, **options: Any) -> File:
    return File(name, ".jsonl", data, outcome, error, options=options)


TABLE = [
    _jsonl("empty", b""),
    _jsonl("blank lines", b"\n \r\n\t\n" + A + b"\n\n", ROW_A),
    _jsonl("mark", b"\xef\xbb\xbf" + A + b"\n" + B, ROW_A, ROW_B),
    _jsonl("mark alone", b"\xef\xbb\xbf"),
    _jsonl("second mark", b"\xef\xbb\xbf" + A + b"\n\xef\xbb\xbf" + B, ROW_A, Bad("BadJson")),
    _jsonl("an array over lines", b'[\n{"a":1},\n{"a":1}\n]\n', Bad("BadJson"), Bad("BadJson"), ROW_A, Bad("BadJson")),
    _jsonl("an object over lines", b'{\n"a":1\n}\n', Bad("BadJson"), Bad("BadJson"), Bad("BadJson")),
    _jsonl("joined files", A + b"\n" + B + A + b"\n", ROW_A, Bad("BadJson")),
    _jsonl(
        "three lines with a limit",
        A + b"\n" + b'"' + b"z" * 98 + b'"\n' + B,
        ROW_A,
        Bad("RecordTooLarge"),
        ROW_B,
        max_record_bytes=100,
    ),
    _jsonl("a cut line over a limit", A + b'\n{"a":"' + b"z" * 200, ROW_A, Bad("RecordTooLarge"), max_record_bytes=100),
    _jsonl("depth 3 of 2", b"[[1]]\n[[[1]]]\n" + A, [[1]], Bad("TooDeep"), ROW_A, max_depth=2),
    _jsonl("3 fields of 2", b'{"a":1,"b":2,"c":3}\n' + A, Bad("TooManyFields"), ROW_A, max_fields=2),
    _jsonl("UTF-16 read as UTF-8", A.decode().encode("utf-16"), error="mark of utf-16.*encoding='utf-16'"),
    _jsonl("UTF-16 without a mark", '{"a":1}\n{"a":2}'.encode("utf-16-le"), error="BOM", encoding="utf-16"),
    _jsonl("UTF-16 turned", '{"a":1}\n{"a":2}'.encode("utf-16-be"), error="other order", encoding="utf-16-le"),
    _jsonl(
        "UTF-16 cut off",
        '{"a":1}\n{"a":2}\n'.encode("utf-16") + b"{",
        {"a": 1},
        {"a": 2},
        error="not in the encoding",
        encoding="utf-16",
    ),
    _jsonl("UTF-8 with a mark read as latin-1", b"\xef\xbb\xbf" + A, error="mark of utf-8", encoding="latin-1"),
    _jsonl("UTF-8 read as ASCII", '{"a":"é"}\n'.encode() + A, Bad("BadEncoding"), ROW_A, encoding="ascii"),
    _jsonl(
        "two holes that are a letter in UTF-8",
        b'{"a":"\xc3\xa1"}\n' + A,
        Bad("BadEncoding"),
        ROW_A,
        encoding="iso8859-8",
    ),
    _jsonl(
        "a hole", b'{"a":"\x81"}\n' + A + b'\n{"a":"\xfc"}', Bad("BadEncoding"), ROW_A, {"a": "ü"}, encoding="cp1252"
    ),
    _jsonl("Shift JIS broken off", A + b"\n" + b'{"a":"\x81', ROW_A, error="not in the encoding", encoding="shift_jis"),
]

FILES = [*lines_in_their_places(), *TABLE]
