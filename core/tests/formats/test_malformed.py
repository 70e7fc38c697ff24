"""Every malformed file of the corpus: named rejections, or a named error behind what could be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus import CASES, COMPRESSED, Case
from reading import make, read_chunks, read_splits


def _id(case: Case) -> str:
    return f"{case.suffix[1:]}-{case.name.replace(' ', '_')}"


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    assert len(CASES) >= 100
    assert len({_id(case) for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_malformed_input_is_named_and_its_neighbours_are_read(tmp_path: Path, case: Case) -> None:
    path = tmp_path / f"case{case.suffix}"
    path.write_bytes(case.data)
    source = make(case.suffix.split(".")[1], **case.options)
    found = read_chunks(source.source(path))
    if case.good >= 0:
        assert found.types == case.bad
        assert len(found.records) == case.good
    assert found.read == len(found.records) + len(found.rejected)
    assert (found.error is not None) == case.error
    if found.error is not None:
        assert "case" in found.error.source
        assert found.error.position == found.read
        return
    in_splits = read_splits(source.source(path), 1 << 16)
    if in_splits is not None:
        assert in_splits == found


@pytest.mark.parametrize("case", [case for case in COMPRESSED if case.error and case.good != 0], ids=_id)
def test_what_came_before_the_damage_is_read(tmp_path: Path, case: Case) -> None:
    path = tmp_path / f"case{case.suffix}"
    path.write_bytes(case.data)
    found = read_chunks(make(case.suffix.split(".")[1]).source(path))
    if ".csv" in case.suffix and not found.rejected:  # gzip finds damage inside late, by its check sum
        assert [record["x"] for record in found.records] == [str(i) for i in range(len(found.records))]
    assert all(record for record in found.records)


def test_rejections_say_what_there_was(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'x,y\n1\n\xff,2\n"open,3\n')
    rejected = read_chunks(make("csv").source(path)).rejected
    assert [rejected[i].raw for i in range(3)] == [["1"], ["\\xff", "2"], '"open,3']
    assert "1 cells" in rejected[0].message
