"""Malformed CSV."""

from __future__ import annotations

from typing import Any

from malformed_files import Bad, File, places

H, A, B = b"x,y", b"1,2", b"3,4"
ROW_A, ROW_B = {"x": "1", "y": "2"}, {"x": "3", "y": "4"}
ENDS = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}
LINES: list[tuple[str, bytes, str]] = [
    ("too short", b"1", "RaggedRow"),
    ("too long", b"1,2,3", "RaggedRow"),
    ("one comma too many", b"1,2,", "RaggedRow"),
    ("other delimiter", b"1;2", "RaggedRow"),
    ("tab", b"1\t2", "RaggedRow"),
    ("quoted delimiter", b'"1,2"', "RaggedRow"),
    ("spaces alone", b"   ", "RaggedRow"),
    ("empty quotes", b'""', "RaggedRow"),
    ("end of a DOS file", b"\x1a", "RaggedRow"),
    ("NUL in a cell", b"a\0b,2", "NulByte"),
    ("NUL in quotes", b'"\0",2', "NulByte"),
    ("NUL in a short row", b"\0", "NulByte"),
    ("lone continuation", b"\x80,2", "BadEncoding"),
    ("cut character", b"\xe2\x82,2", "BadEncoding"),
    ("overlong slash", b"\xc0\xaf,2", "BadEncoding"),
    ("surrogate", b"\xed\xa0\x80,2", "BadEncoding"),
    ("beyond Unicode", b"\xf4\x90\x80\x80,2", "BadEncoding"),
    ("five bytes", b"\xf8\x88\x80\x80\x80,2", "BadEncoding"),
    ("cp1252", b"M\xfcller \x80,2", "BadEncoding"),
    ("UTF-16 pasted in", b"\xff\xfea\0,2", "BadEncoding"),
]


def lines_in_their_places() -> list[File]:
    """Each bad line at each place of a file, with each line end in turn."""
    files = []
    for i, (name, line, kind) in enumerate(LINES):
        for end, mark in list(ENDS.items()) if i % 4 == 0 else [list(ENDS.items())[i % 3]]:
            for place, three in places(A, line, B):
                outcome = tuple(Bad(kind) if one is line else ROW_A if one is A else ROW_B for one in three)
                data = mark.join([H, *three]) + (b"" if place == "last" and i % 2 else mark)
                files.append(File(f"{name}, {place}, {end}", ".csv", data, outcome))
    return files


def _csv(name: str, data: bytes, *outcome: Any, error: str | None = None, suffix: str = ".csv", **options: Any) -> File:
    return File(name, suffix, data, outcome, error, options=options)


SMALL: dict[str, Any] = {"max_record_bytes": 100}
LONG = b"a" * 200
NONE: dict[str, Any] = {"header": "none"}
NAMED: dict[str, Any] = {"header": "first", "fieldnames": ["x", "y"]}
LONG_A, LONG_B = "a" * 999 + "\n", "b" * 999 + "\n"
QUOTED = f'"{LONG_A * 90}","{LONG_B * 90}"\n'.encode()
TABLE = [
    _csv("blank lines at the beginning", b"\n\r\n\nx,y\n1,2\n", ROW_A),
    _csv("mixed line ends", b"x,y\r1,2\n3,4\r\n\r\r\n1,2", ROW_A, ROW_B, ROW_A),
    _csv("line ends in quotes", b'x,y\n"1\r\n\r",2\n3,4\n', {"x": "1\r\n\r", "y": "2"}, ROW_B),
    _csv("two marks", b"\xef\xbb\xbf\xef\xbb\xbfx,y\n1,2\n", {"\ufeffx": "1", "y": "2"}),
    _csv("mark within", b"x,y\n\xef\xbb\xbf1,2\n", {"x": "\ufeff1", "y": "2"}),
    _csv("mark and quotes", b'\xef\xbb\xbf"x","y"\n1,2\n', ROW_A),
    _csv("half a mark", b"\xef\xbbx,y\n1,2\n", error="header.*not utf-8.*fieldnames"),
    _csv("half a mark alone", b"\xef\xbb", error="header.*not utf-8"),
    _csv("one empty name", b"x,,y\n1,2,3\n", {"x": "1", "": "2", "y": "3"}),
    _csv("two empty names", b"x,,\n1,2,3\n", error="names '' more than once.*fieldnames"),
    _csv("names twice and ragged", b"x,y,x\n1\n", error="names 'x' more than once"),
    _csv("NUL in the header", b"x,\0\n1,2\n", error="header.*NUL"),
    _csv("a NUL alone", b"\0", error="header.*NUL"),
    _csv("only spaces", b"   \n"),
    _csv("open quote over the file", b'x,y\n"1,2\n3,4\n1,2', Bad("OpenQuote"), ROW_B, ROW_A),
    _csv("open quote between", b'x,y\n1,2\n3,"4\n1,2\n3,4\n', ROW_A, Bad("OpenQuote"), ROW_A, ROW_B),
    _csv("three quotes", b'x,y\n""",2\n3,4\n', Bad("OpenQuote"), ROW_B),
    _csv("quotes in the middle", b'x,y\n5" pipe,a"b"c\n3,4\n', {"x": '5" pipe', "y": 'a"b"c'}, ROW_B),
    _csv("space before a quote", b'x,y\n "1",2\n3,4\n', {"x": ' "1"', "y": "2"}, ROW_B),
    _csv("space before a quoted comma", b'x,y\n "1,2",3\n3,4\n', Bad("RaggedRow"), ROW_B),
    _csv("quotes twice", b'x,y\n"a""b",2\n3,4\n', {"x": 'a"b', "y": "2"}, ROW_B),
    _csv("quotes of another kind", b"x,y\n'1,0',2\n3,4\n", Bad("RaggedRow"), ROW_B),
    _csv(
        "quotes without meaning",
        b'x,y\n"1,2"\n"a"b,c\n',
        {"x": '"1', "y": '2"'},
        {"x": '"a"b', "y": "c"},
        quotechar=None,
    ),
    _csv("escaped at the end of a line", b"x,y\na\\\nb,2\n3,4\n", {"x": "a\nb", "y": "2"}, ROW_B, escapechar="\\"),
    _csv("wrong delimiter given", b"x,y\n1,2\n", {"x,y": "1,2"}, delimiter=";"),
    _csv("decimal commas", b"x,y\n1,5,2\n3,4\n", Bad("RaggedRow"), ROW_B),
    _csv("record over a limit", b"x,y\n" + LONG + b",2\n3,4\n", Bad("RecordTooLarge"), ROW_B, **SMALL),
    _csv("last record over a limit", b"x,y\n1,2\n" + LONG, ROW_A, Bad("RecordTooLarge"), **SMALL),
    _csv("many records over a limit", b"x,y\n" + (LONG + b"\n1,2\n") * 4, *[Bad("RecordTooLarge"), ROW_A] * 4, **SMALL),
    _csv("cell over the limit of csv", b"x,y\n" + b"a" * 131_073 + b",2\n3,4\n", Bad("FieldTooLarge"), ROW_B),
    _csv("header over a limit", LONG + b",y\n1,2\n", error="header.*201|header.*bytes", **SMALL),
    _csv("first record over a limit", LONG + b"\n3,4\n", error="first record.*201 bytes.*fieldnames", **NONE, **SMALL),
    _csv(
        "first record over a limit, named",
        LONG + b"\n3,4\n",
        Bad("RecordTooLarge"),
        ROW_B,
        fieldnames=["x", "y"],
        **SMALL,
    ),
    _csv("first record is no text", b"\xff,2\n3,4\n", error="first record.*not utf-8.*fieldnames", **NONE),
    _csv("first record is no text, named", b"\xff,2\n3,4\n", Bad("BadEncoding"), ROW_B, fieldnames=["x", "y"]),
    _csv("first record has an open quote", b'"1,2\n3,4\n', error="first record.*quote.*fieldnames", **NONE),
    _csv(
        "first record is longer than a block",
        QUOTED + b"1,2\n",
        {"column_1": LONG_A * 90, "column_2": LONG_B * 90},
        {"column_1": "1", "column_2": "2"},
        **NONE,
    ),
    _csv("blank lines for a block", b"\n" * 140_000 + b"1,2\n", {"column_1": "1", "column_2": "2"}, **NONE),
    _csv("blank lines for a block before a header", b"\r\n" * 70_000 + b"x,y\n1,2\n", ROW_A),
    _csv("blank lines alone, no header", b"\n" * 300, **NONE),
    _csv(
        "too many fields without a header", b"1,2,3\n", error="3 fields, max_fields is 2.*raise", max_fields=2, **NONE
    ),
    _csv(
        "too many fields with names",
        b"1,2,3\n4,5,6\n",
        error="3 fields, max_fields is 2",
        max_fields=2,
        fieldnames=["x", "y", "z"],
    ),
    _csv(
        "too many fields in the header", b"x,y,z\n1,2,3\n", error="3 fields, max_fields is 2.*delimiter", max_fields=2
    ),
    _csv("header that is no text read over", b"M\xfc,\xff\n1,2\n", ROW_A, **NAMED),
    _csv("header with NUL read over", b"\0,\0\n1,2\n3,4\n", ROW_A, ROW_B, **NAMED),
    _csv("header with an open quote read over", b'x,"y\n1,2\n', ROW_A, **NAMED),
    _csv("header over a limit read over", b"x" * 300 + b"\n1,2\n", ROW_A, **NAMED, **SMALL),
    _csv("duplicate names read over", b"a,a\n1,2\n", ROW_A, **NAMED),
    _csv("nothing to read over", b"", **NAMED),
    _csv("skipped rows are no text", b"\xff\xff\n\0\nx,y\n1,2\n", ROW_A, skip_rows=2),
    _csv("skipped row over a limit", LONG * 3 + b"\nx,y\n1,2\n", ROW_A, skip_rows=1, **SMALL),
    _csv("stripped to nothing", b"x,y\n  , \n", {"x": None, "y": None}, strip=True, null_values=[""]),
    _csv("rejected behind max_rows", b"x,y\n1,2\n1\n", ROW_A, max_rows=1),
    _csv("TSV with commas", b"x,y\n1,2\n", {"x,y": "1,2"}, suffix=".tsv"),
    _csv("TSV, ragged", b"x\ty\n1\n1\t2\t3\n3\t4\n", Bad("RaggedRow"), Bad("RaggedRow"), ROW_B, suffix=".tsv"),
    _csv("TSV, duplicate names", b"x\tx\n1\t2\n", error="names 'x' more than once", suffix=".tsv"),
    _csv("TSV, open quote", b'x\ty\n"1\t2\n3\t4\n', Bad("OpenQuote"), ROW_B, suffix=".tsv"),
    _csv("TSV, stray quote", b'x\ty\n5" pipe\t2\n3\t4\n', {"x": '5" pipe', "y": "2"}, ROW_B, suffix=".tsv"),
    _csv("TSV, NUL", b"x\ty\n\0\t2\n3\t4\n", Bad("NulByte"), ROW_B, suffix=".tsv"),
    _csv("TSV, no text", b"x\ty\n\xfe\t2\n3\t4\n", Bad("BadEncoding"), ROW_B, suffix=".tsv"),
]


def _coded(name: str, encoding: str, text: str, *outcome: Any, behind: bytes = b"", error: str | None = None) -> File:
    return File(name, ".csv", text.encode(encoding) + behind, outcome, error, options={"encoding": encoding})


TEXT = "x,y\n1,2\n3,4\n"
ENCODED = [
    *[
        _coded(f"{encoding} with half a unit", encoding, TEXT, ROW_A, ROW_B, behind=b"5", error="not in the encoding")
        for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")
    ],
    *[
        _coded(
            f"{encoding} with a lone surrogate",
            encoding,
            TEXT,
            ROW_A,
            ROW_B,
            behind=lone + "\n".encode(encoding),
            error="not in the encoding",
        )
        for encoding, lone in (
            ("utf-16-le", b"\x00\xd8"),
            ("utf-16-be", b"\xd8\x00"),
            ("utf-32-le", b"\x00\xd8\x00\x00"),
        )
    ],
    *[
        _coded(
            f"{encoding} broken off",
            encoding,
            TEXT,
            ROW_A,
            ROW_B,
            behind=behind,
            error="not in the encoding.*encoding=",
        )
        for encoding, behind in (
            ("shift_jis", b"\x81"),
            ("gb18030", b"\x81\x30"),
            ("euc_jp", b"\xa4"),
            ("big5", b"\xa4"),
            ("iso2022_jp", b"\x1b$B\xff"),
            ("utf-7", b"+\xff"),
        )
    ],
    *[
        File(
            f"{encoding} with a hole",
            ".csv",
            b"x,y\n" + hole + b",2\n3,4\n",
            (Bad("BadEncoding"), ROW_B),
            options={"encoding": encoding},
        )
        for encoding, hole in (
            ("ascii", b"\xc3\xa9"),
            ("cp1252", b"\x81"),
            ("iso8859-8", b"\xc3\xa1"),
            ("cp1253", b"\xd2\x81"),
            ("cp874", b"\xdb"),
        )
    ],
    File(
        "UTF-16 without a mark", ".csv", TEXT.encode("utf-16-le"), (), "BOM.*utf-16-le", options={"encoding": "utf-16"}
    ),
    File(
        "UTF-16, bytes in the other order",
        ".csv",
        TEXT.encode("utf-16-be"),
        (),
        "other order",
        options={"encoding": "utf-16-le"},
    ),
    File(
        "UTF-16, the other mark",
        ".csv",
        b"\xfe\xff" + TEXT.encode("utf-16-be"),
        (),
        "other order",
        options={"encoding": "utf-16-le"},
    ),
    File("UTF-16 read as UTF-8", ".csv", TEXT.encode("utf-16"), (), "mark of utf-16.*encoding='utf-16'"),
    File("UTF-32 read as UTF-8", ".csv", TEXT.encode("utf-32"), (), "mark of utf-32.*encoding='utf-32'"),
    File(
        "UTF-8 with a mark read as cp1252",
        ".csv",
        b"\xef\xbb\xbf" + TEXT.encode(),
        (),
        "mark of utf-8.*encoding='utf-8'",
        options={"encoding": "cp1252"},
    ),
    File("UTF-16 without a mark read as UTF-8", ".csv", TEXT.encode("utf-16-le"), (), "NUL"),
    File(
        "UTF-16 with a mark, declared with its order",
        ".csv",
        b"\xff\xfe" + TEXT.encode("utf-16-le"),
        (ROW_A, ROW_B),
        options={"encoding": "utf-16-le"},
    ),
    File("EBCDIC read as UTF-8", ".csv", TEXT.encode("cp037"), (), "not utf-8"),
]

FILES = [*lines_in_their_places(), *TABLE, *ENCODED]
