"""Following a topic: ranges of offsets that are the same records each time."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from pipe_core import OptionsError, SourceError, get_format
from pipe_core.kernel.contracts import FollowableSource


def follow(
    url: str, since: Mapping[str, Any] | None, limit: int, until: Mapping[str, Any] | None = None, **options: Any
) -> Any:
    """With a source of its own each time, as another process has it."""
    source: Any = get_format("kafka", **options).source(url)
    assert isinstance(source, FollowableSource)
    with contextlib.closing(source):
        source.open()
        found = source.follow(since, limit, until)
    json.dumps(found.position)
    return found


def ids(found: Any) -> list[int]:
    return [record["id"] for record in found.records]


def test_every_record_comes_once_and_each_range_can_be_read_again(
    cluster: Any, url: str, topic: str, lines: list[bytes]
) -> None:
    since, seen, ranges = None, [], []
    while (found := follow(url, since, 3)).records:
        assert len(found.records) <= 3
        ranges.append((since, found.position, ids(found)))
        seen += ids(found)
        since = found.position
    assert sorted(seen) == list(range(10))
    cluster.send(topic, [b'{"id":10}', b'{"id":11}'], 3)
    for begin, end, expected in ranges:
        assert ids(follow(url, begin, 1, end)) == expected
    assert ids(follow(url, since, 1)) == [10]
    assert ids(follow(url, since, 9)) == [10, 11]
    assert follow(url, follow(url, since, 9).position, 9).records == []


def test_no_partition_waits_for_the_others(url: str, lines: list[bytes]) -> None:
    assert ids(follow(url, None, 4)) == [0, 1, 6, 7]
    assert ids(follow(url, None, 9)) == [0, 1, 2, 3, 4, 6, 7, 8, 9]


def test_the_first_position_says_where_it_began(cluster: Any, url: str, topic: str) -> None:
    cluster.send(topic, [b"x" * 900_000 for _ in range(4)])
    options = {"value": "bytes", "max_record_bytes": 1_000_000}
    first = follow(url, None, 2, **options)
    assert first.position["0"] == 2
    assert len(follow(url, None, 2, first.position, **options).records) == 2
    cluster.send(topic, [b"x" * 900_000 for _ in range(6)])
    with pytest.raises(SourceError, match="retention"):  # and not fewer records
        follow(url, None, 2, first.position, **options)
    with pytest.raises(SourceError, match="retention"):
        follow(url, first.position, 2, **options)


def test_positions_of_another_topic(url: str, lines: list[bytes]) -> None:
    with pytest.raises(SourceError, match="made anew"):
        follow(url, {"0": 7}, 1)
    with pytest.raises(SourceError, match="no partition 8"):
        follow(url, {"8": 0}, 1)
    with pytest.raises(SourceError, match="made anew"):
        follow(url, {"0": 0}, 1, {"0": 99})
    with pytest.raises(SourceError, match="no position"):
        follow(url, {"inode": "x"}, 1)


def test_what_cannot_be_read_is_told_and_ends_nothing(
    cluster: Any, url: str, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.send(topic, [b"bad", b"worse", b'{"id":1}', b"{", b'{"id":2}'], 2)
    first = follow(url, None, 1)
    assert ids(first) == [1]
    assert [why.message.partition(":")[0] for why in first.rejected] == [
        "The message at partition 2, offset 0",
        "The message at partition 2, offset 1",
    ]
    assert [record.levelname for record in caplog.records if "offset 1:" in record.message] == ["WARNING"]
    again = follow(url, None, 1, first.position)
    assert (ids(again), again.rejected) == (ids(first), first.rejected)
    assert ids(follow(url, first.position, 5)) == [2]
    with pytest.raises(SourceError, match="partition 2, offset 0"):
        follow(url, None, 5, malformed="error")


def test_where_a_stream_begins(url: str, lines: list[bytes]) -> None:
    found = follow(url, None, 100, start={0: 4, 2: 3})
    assert ids(found) == [4, 5, 9]
    assert ids(follow(url, None, 1, found.position)) == [4, 5, 9]
    with pytest.raises(OptionsError, match="latest"):
        follow(url, None, 1, start="latest")


def test_a_group_is_told_how_far_the_stream_has_come(cluster: Any, url: str, topic: str, lines: list[bytes]) -> None:
    first = follow(url, None, 4, group="shop")
    assert set(cluster.committed(topic, "shop").values()) == {-1001}
    follow(url, first.position, 100, group="shop")
    assert cluster.committed(topic, "shop") == {0: 2, 1: 0, 2: 2, 3: 0}
