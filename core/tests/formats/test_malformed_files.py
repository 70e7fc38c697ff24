"""Every file of the tables of malformed files, record by record: what is good comes as it is, the rest is named.

It is read in one piece, in the smallest pieces, and in splits, and goes through a pipe; all four must agree.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import malformed_csv
import malformed_json
import malformed_jsonl
import malformed_packed
import pytest
from malformed_files import Bad, File, distinct
from reading import Found, make, read_chunks, read_splits

from pipe_core import FlowStatus, Pipe, SourceError

FILES = [*malformed_csv.FILES, *malformed_jsonl.FILES, *malformed_json.FILES, *malformed_packed.FILES]
WHOLE = 1 << 20
LARGE = 4096
"""A file with more bytes is not read byte by byte."""


def test_there_are_at_least_three_hundred_different_files() -> None:
    assert distinct(FILES) >= 300
    assert len({file.id for file in FILES}) == len(FILES)


def outcome(found: Found) -> list[Any]:
    """The records and rejections in their order."""
    records = iter(found.records)
    return [Bad(found.rejected[i].type) if i in found.rejected else next(records) for i in range(found.read)]


def check(file: File, found: list[Any], error: Exception | None) -> None:
    if file.outcome is None:
        assert not file.whole or found == list(file.whole[: len(found)])
    else:
        assert found == list(file.outcome)
    assert (error is not None) == (file.error is not None), error
    if error is not None and file.error is not None:
        assert type(error) is SourceError
        assert re.search(file.error, str(error), re.DOTALL), str(error)
        assert f"given{file.suffix}" in str(error)
        assert error.position == len(found)
        assert len(str(error)) < 1000


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.id)
def test_what_is_good_comes_and_the_rest_is_named(file: File, tmp_path: Path) -> None:
    path = tmp_path / f"given{file.suffix}"
    path.write_bytes(file.data)
    check_reading(file, path)
    for chunk_size in (None, 1 if len(file.data) < LARGE else 100):
        check_run(file, path, chunk_size)


def check_reading(file: File, path: Path) -> None:
    made = make(file.format, **file.options)
    at_once = read_chunks(made.source(path), WHOLE, WHOLE)
    check(file, outcome(at_once), at_once.error)
    for rejection in at_once.rejected.values():
        assert rejection.message.endswith((".", "?"))
        assert len(rejection.message) < 300
    in_pieces = read_chunks(made.source(path), 1, 1)
    check(file, outcome(in_pieces), in_pieces.error)
    assert in_pieces.rejected == at_once.rejected
    if at_once.error is None:
        for size in (1, 13) if len(file.data) < LARGE else (1 << 14, 1 << 16):
            assert read_splits(made.source(path), size) in (None, at_once)


def check_run(file: File, path: Path, chunk_size: int | None) -> None:
    """Nothing of the file is lost in a pipe."""
    good: list[Any] = []
    bad: list[Any] = []
    pipe = Pipe((path, dict(file.options)), good, errors=bad, executor="sync", chunk_size=chunk_size)
    error = None
    try:
        pipe.run()
    except SourceError as problem:
        error = problem
    report = pipe.report
    assert report is not None
    assert report.conserved
    assert report.read + report.expanded == report.valid + report.failed + report.dropped
    assert (report.read, report.valid, report.failed) == (len(good) + len(bad), len(good), len(bad))
    assert report.status is (FlowStatus.COMPLETED if error is None else FlowStatus.FAILED)
    records, rejected = iter(good), {row["position"]: row["errors"][0] for row in bad}
    assert all(row["phase"] == "source" and row["errors"][0]["message"] for row in bad)
    check(file, [Bad(rejected[i]["type"]) if i in rejected else next(records) for i in range(report.read)], error)
