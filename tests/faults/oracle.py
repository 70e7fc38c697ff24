"""The oracle of `pipe_core.testing.faults`, for tests that name the numbers which must be rejected."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from pipe_core import FlowReport
from pipe_core.testing.faults import Number as Number
from pipe_core.testing.faults import Oracle


def numbers(count: int) -> list[dict[str, int]]:
    return [{"n": n} for n in range(count)]


def verdict(good: Sequence[int], count: int, missing: Collection[int] = ()) -> dict[str, list[int]]:
    """What is wrong with *good*, which should hold the numbers up to *count* but for the *missing* ones."""
    found = _oracle(count, missing).findings(good, missing).sink
    kinds = {
        "lost": found.lost,
        "duplicated": found.duplicated,
        "wrong": found.wrong,
        "out of order": found.out_of_order,
    }
    return {name: list(members[:20]) for name, members in kinds.items() if members}


def check(
    good: Iterable[dict[str, Any]],
    bad: Iterable[dict[str, Any]],
    count: int,
    culprits: Collection[int] = (),
    report: FlowReport | None = None,
) -> None:
    """Nothing is lost, doubled, wrong or out of order, and exactly the *culprits* were rejected."""
    _oracle(count, culprits).check(good, bad, report)
    assert report is None or report.conserved


def _oracle(count: int, rejected: Collection[int]) -> Oracle:
    return Oracle(count, invalid=frozenset(rejected).__contains__)
