"""The oracle: integers from 0 on go in, and each must come out once, in order, as itself or with a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from typing import Any

from pydantic import BaseModel

from pipe_core import FlowReport


class Number(BaseModel):
    n: int


def numbers(count: int) -> list[dict[str, int]]:
    return [{"n": n} for n in range(count)]


def verdict(good: Sequence[int], count: int, missing: Collection[int] = ()) -> dict[str, list[int]]:
    """What is wrong with *good*, which should hold the numbers up to *count* but for the *missing* ones."""
    wanted = set(range(count)) - set(missing)
    times = Counter(good)
    found = {
        "lost": sorted(wanted - set(good)),
        "duplicated": sorted(n for n, often in times.items() if often > 1),
        "wrong": sorted(set(good) - wanted),
        "out of order": [b for a, b in pairwise(good) if b < a],
    }
    return {name: members[:20] for name, members in found.items() if members}


def check(
    good: Iterable[dict[str, Any]],
    bad: Iterable[dict[str, Any]],
    count: int,
    culprits: Collection[int] = (),
    report: FlowReport | None = None,
) -> None:
    """Nothing is lost, doubled, wrong or out of order, and exactly the *culprits* were rejected."""
    rejected = [row["position"] for row in bad]
    assert (verdict([row["n"] for row in good], count, culprits), rejected) == ({}, sorted(culprits))
    if report is not None:
        assert (report.read, report.valid, report.failed) == (count, count - len(culprits), len(culprits))
        assert report.conserved
