"""The oracle of the fault kit finds what is lost, doubled, wrong or out of order, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipe_core import Pipe
from pipe_core.testing.faults import Number, Oracle


def oracle(count: int = 30) -> Oracle:
    return Oracle(count, invalid=lambda n: n % 10 == 0, dropped=lambda n: n % 10 == 5)


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
@pytest.mark.parametrize("errors", ["jsonl", "csv"])
def test_a_run_does_what_the_oracle_says(suffix: str, errors: str, tmp_path: Path) -> None:
    asked = oracle(250)
    source, sink, bad = asked.write(tmp_path / f"in.{suffix}"), tmp_path / f"out.{suffix}", tmp_path / f"bad.{errors}"
    report = Pipe(source, sink, schema=asked.schema, errors=bad, pre_validation_hooks=asked.hooks).run()
    asked.check_files(sink, bad)
    asked.check_counts(report.to_dict())
    assert (report.valid, report.failed, report.dropped) == (200, 25, 25)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda good, bad: good.pop(3), "the sink: 1 lost: 4"),
        (lambda good, bad: good.append(29), "the sink: 1 duplicated: 29"),
        (lambda good, bad: good.append(30), "the sink: 1 wrong: 30"),
        (lambda good, bad: good.append(10), "the sink: 1 wrong: 10; 1 out of order: 10"),
        (lambda good, bad: good.append(25), "the sink: 1 wrong: 25; 1 out of order: 25"),
        (lambda good, bad: good.insert(0, good.pop(1)), "the sink: 1 out of order: 1"),
        (lambda good, bad: bad.clear(), "the error sink: 3 lost: 0, 10, 20"),
        (lambda good, bad: bad.append(20), "the error sink: 1 duplicated: 20"),
    ],
)
def test_what_is_wrong_is_told(change: Any, words: str) -> None:
    asked = oracle()
    good, bad = asked.expected("valid"), asked.expected("invalid")
    asked.check(good, bad)
    assert not asked.findings(good, bad)
    change(good, bad)
    with pytest.raises(AssertionError) as caught:
        asked.check(good, bad)
    assert str(caught.value).startswith(f"In {words}")


def test_rows_may_be_dicts_or_objects() -> None:
    asked = Oracle(3, invalid=lambda n: n == 1)
    asked.check([{"n": "0"}, Number(n=2)], [{"position": 1}])
    assert asked.findings([{"n": 2}], [1]).sink.lost == (0,)


def test_counts_that_are_wrong_are_told() -> None:
    report = Pipe(oracle().records(), schema=Number, errors=[]).run()
    with pytest.raises(AssertionError, match="'dropped': 0}, and it should be"):
        oracle().check(oracle().expected("valid"), oracle().expected("invalid"), report)


def test_other_files_are_refused() -> None:
    with pytest.raises(ValueError, match=r"writes \.jsonl and \.csv"):
        oracle().write("numbers.parquet")
