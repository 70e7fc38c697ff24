"""Files that grow, read from a position on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipe_core import SourceError, get_format
from pipe_core.kernel.contracts import FollowableSource, Followed
from pipe_core.kernel.errors import PositionLostError


def follow(path: Path, since: Any = None, limit: int = 100, until: Any = None, **options: Any) -> Followed:
    source = get_format(path.suffix[1:], **options).source(path)
    assert isinstance(source, FollowableSource)
    source.open()
    try:
        return source.follow(since, limit, until)
    finally:
        source.close()


def roundtrip(position: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(position))


def test_what_comes_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"n":1}\n\n{"n":2}\n{"n":3')
    first = follow(path)
    assert list(first.records) == [{"n": 1}, {"n": 2}]
    assert not follow(path, roundtrip(first.position)).records
    with path.open("a") as file:
        file.write('}\n{"n":4}\n')
    second = follow(path, roundtrip(first.position))
    assert list(second.records) == [{"n": 3}, {"n": 4}]
    assert list(follow(path, None, 1, roundtrip(second.position)).records) == [{"n": n} for n in (1, 2, 3, 4)]
    assert list(follow(path, first.position, 1, second.position).records) == [{"n": 3}, {"n": 4}]


def test_no_more_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(f'{{"n":{n}}}\n' for n in range(10)))
    position, seen = None, []
    while (found := follow(path, position, 3)).records:
        assert len(found.records) <= 3
        seen += [row["n"] for row in found.records]
        position = found.position
    assert seen == list(range(10))


def test_rows_of_csv_hold_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b'\xef\xbb\xbfid,text\r\n1,"a\nb"\r\n2,"half\n')
    first = follow(path)
    assert list(first.records) == [{"id": "1", "text": "a\nb"}]
    with path.open("ab") as file:
        file.write(b'""x"""\r\n3,y\r\n')
    second = follow(path, first.position)
    assert list(second.records) == [{"id": "2", "text": 'half\n"x"'}, {"id": "3", "text": "y"}]


def test_an_empty_file_has_nothing_yet(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.touch()
    first = follow(path)
    assert not first.records
    path.write_text('{"n":1}\n')
    assert list(follow(path, first.position).records) == [{"n": 1}]


def test_a_header_that_comes_later_is_a_header(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.touch()
    position, seen = None, []
    for text in ("", "id,am", "ount\n1,", "2\n3", "4,5\n"):
        with path.open("a") as file:
            file.write(text)
        found = follow(path, position)
        position = roundtrip(found.position)
        seen += found.records
    assert seen == [{"id": "1", "amount": "2"}, {"id": "34", "amount": "5"}]


@pytest.mark.parametrize("header", ["", "id,am"])
def test_a_header_that_comes_while_the_file_is_opened_is_a_header(tmp_path: Path, header: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text(header)
    source: Any = get_format("csv").source(path)
    source.open()
    path.write_text("id,amount\n1,2\n")
    found = source.follow(None, 10)
    source.close()
    assert not found.records
    assert list(follow(path, roundtrip(found.position)).records) == [{"id": "1", "amount": "2"}]


def test_another_file_under_its_name_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"n":1}\n{"n":2}\n')
    position = follow(path).position
    path.write_text('{"n":1}\n')
    with pytest.raises(PositionLostError, match="has 8 bytes, and 16 of it were read before"):
        follow(path, position)
    path.write_text('{"n":9}\n{"n":2}\n{"n":3}\n')
    with pytest.raises(PositionLostError, match="begins otherwise"):
        follow(path, position)


def test_a_record_that_cannot_be_read_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"n":1}\n{"n":\n')
    with pytest.raises(SourceError, match=r"Record 1 behind byte 0 .*[^.]\. Correct it, and"):
        follow(path)


def test_what_cannot_be_followed_is_refused(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "log.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"n":1}\n'))
    source: Any = get_format("jsonl").source(path)
    source.open()
    with pytest.raises(SourceError, match="cannot be followed"):
        source.follow(None, 1)
    source.close()
    (tmp_path / "log.csv").write_text("a\n1\n")
    with pytest.raises(SourceError, match="cannot be followed"):
        follow(tmp_path / "log.csv", escapechar="\\")
