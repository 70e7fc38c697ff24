"""A pattern reads many files as one source, in the order of their names."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from pipe_core import Pipe, SourceError, SourceNotFoundError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for day in range(3):
        rows = "".join(f"{day}{n:04},day {day}\n" for n in range(500))
        (tmp_path / f"orders-{day}.csv").write_text("number,label\n" + rows, encoding="utf-8")
    return tmp_path


def numbers(folder: Path, pattern: str, **how: object) -> list[int]:
    got: list[dict[str, str]] = []
    report = Pipe(str(folder / pattern), got, **how).run()  # type: ignore[arg-type]  # any parameter of a pipe
    assert report.conserved
    return [int(record["number"]) for record in got]


def test_files_are_read_one_after_the_other(folder: Path) -> None:
    expected = [day * 10_000 + n for day in range(3) for n in range(500)]
    assert numbers(folder, "orders-*.csv") == expected
    assert numbers(folder, "orders-*.csv", limit=700) == expected[:700]


def test_compressed_files_are_read_whole_beside_split_ones(folder: Path) -> None:
    middle = folder / "orders-1.csv"
    (folder / "orders-1.csv.gz").write_bytes(gzip.compress(middle.read_bytes()))
    middle.unlink()
    assert numbers(folder, "orders-*") == [day * 10_000 + n for day in range(3) for n in range(500)]


def test_positions_go_on_from_file_to_file(folder: Path) -> None:
    (folder / "orders-2.csv").write_text("number,label\n1,a\nragged\n", encoding="utf-8")
    report = Pipe(str(folder / "orders-*.csv")).run()
    assert [failure["position"] for failure in report.first_failures] == [1001]


def test_no_such_file_is_an_error_before_anything_runs(folder: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"No file is called like .*bills-\*\.csv"):
        Pipe(str(folder / "bills-*.csv")).run()


def test_other_fields_end_the_run_with_both_headers(folder: Path) -> None:
    (folder / "orders-1.csv").write_text("id,label\n1,a\n", encoding="utf-8")
    with pytest.raises(SourceError, match=r"orders-1\.csv.*\(id, label\).*\(number, label\)"):
        Pipe(str(folder / "orders-*.csv")).run()
