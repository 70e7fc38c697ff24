"""Tables that are appended to while they are read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from pipe_core import SourceError, get_format
from pipe_core.kernel.contracts import FollowableSource, Followed
from pipe_core.project.catalog import Catalog


def follow(path: Path, *asked: Any, **options: Any) -> Followed:
    source = get_format("delta", **options).source(path)
    assert isinstance(source, FollowableSource)
    source.open()
    try:
        found = source.follow(*asked)
    finally:
        source.close()
    return Followed([row["id"] for row in found.records], json.loads(json.dumps(found.position)))


def append(path: Path, first: int, count: int, **more: Any) -> None:
    rows = [{"id": i, "day": f"2025-01-0{1 + i % 2}"} for i in range(first, first + count)]
    write_deltalake(path, pa.Table.from_pylist(rows), mode="append", **more)


def all_of(path: Path, limit: int, since: Any = None, **options: Any) -> tuple[list[int], Any]:
    """What comes in pieces, each of which comes again by its two positions."""
    records: list[int] = []
    while (found := follow(path, since, limit, **options)).records:
        assert len(found.records) <= limit
        assert follow(path, since, 0, found.position, **options).records == found.records
        records += found.records
        since = found.position
    return records, since


@pytest.mark.parametrize("limit", [1, 3, 4, 100])
@pytest.mark.parametrize("partition_by", [None, ["day"]])
def test_what_comes_is_followed(tmp_path: Path, limit: int, partition_by: list[str] | None) -> None:
    path = tmp_path / "t"
    append(path, 0, 4, partition_by=partition_by)
    append(path, 4, 3)
    first, position = all_of(path, limit)
    assert sorted(first) == list(range(7))
    assert follow(path, position, 10).records == []
    append(path, 7, 5)
    DeltaTable(path).optimize.compact()  # changes no record
    append(path, 12, 1)
    second, _ = all_of(path, limit, position)
    assert sorted(second) == list(range(7, 13))
    window = {"column": "day", "start": "2025-01-02", "before": "2025-01-03"}
    assert sorted(all_of(path, limit, window=window)[0]) == list(range(1, 13, 2))
    if partition_by:
        assert sorted(all_of(path, limit, version=0, partitions={"day": "2025-01-01"})[0]) == list(range(0, 13, 2))


def test_what_cannot_be_followed_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t"
    append(path, 0, 4)
    position = follow(path, None, 2).position
    append(tmp_path / "other", 0, 4)
    with pytest.raises(SourceError, match="another table"):
        follow(tmp_path / "other", position, 2)
    with pytest.raises(SourceError, match="the position is none"):
        follow(path, {"bytes": 1}, 2)
    append(path, 4, 1)
    DeltaTable(path).delete("id = 0")
    with pytest.raises(SourceError, match="version 2 has changed records"):
        follow(path, position, 100)


def test_entries_that_were_tidied_up_are_told_of(tmp_path: Path) -> None:
    append(tmp_path / "t", 0, 4)
    position = follow(tmp_path / "t", None, 2).position
    append(tmp_path / "t", 4, 2)
    DeltaTable(tmp_path / "t").create_checkpoint()
    os.unlink(tmp_path / "t" / "_delta_log" / f"{1:020}.json")
    with pytest.raises(SourceError, match="version 1 was removed from the log"):
        follow(tmp_path / "t", position, 100)
    assert len(follow(tmp_path / "t", None, 100).records) == 6


def test_a_catalog_follows_a_table(tmp_path: Path) -> None:
    append(tmp_path / "t.delta", 0, 4)
    data = Catalog({"t": {"path": "t.delta", "as": "records"}}, folder=tmp_path)
    found = data.follow("t", None, 3)
    later = data.follow("t", found.position, 3)
    assert (len(found.records), len(later.records)) == (3, 1)
    assert {row["id"] for row in [*found.records, *later.records]} == set(range(4))
