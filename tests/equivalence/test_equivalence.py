"""Every case of the corpus gives the same bytes, the same rows, the same errors and the same report everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cases import CASES
from crossed import SLOW_TO_START, installed
from running import Case, Outcome, run_case
from starting import Started

pytestmark = pytest.mark.timeout(120)

CROSSED = [
    pytest.param(case, name, id=f"{name}: {case.name}")
    for name in installed()
    for case in CASES
    if case.basic or name not in SLOW_TO_START
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_reference_counts_what_the_case_says(case: Case, reference: Callable[[Case], Outcome]) -> None:
    outcome = reference(case)
    facts = outcome.facts
    assert (outcome.error or "None").split(":")[0] == (case.raises or "None"), outcome.error
    assert tuple(facts[name] for name in ("read", "valid", "failed", "dropped", "expanded")) == case.counts
    assert sum(kind["count"] for kind in facts["histogram"]) >= facts["failed"]


@pytest.mark.parametrize(("case", "name"), CROSSED)
def test_another_executor_gives_the_same(
    case: Case, name: str, started: Started, inputs: Path, tmp_path: Path, reference: Callable[[Case], Outcome]
) -> None:
    outcome = run_case(case, started[name], inputs, tmp_path)
    assert reference(case).difference(outcome) is None


def test_the_names_of_cases_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


NAMED: list[Any] = ["threads", ("threads", {"max_workers": 1}), "loky", ("loky", {"max_workers": 1, "prefetch": 3})]
SAME = ("all hooks, chunk_size=7, lz4", "source: csv", "on_error=fail", "run-scoped hook")


@pytest.mark.parametrize("spec", NAMED, ids=str)
def test_an_executor_that_the_pipe_starts_gives_the_same(
    spec: Any, inputs: Path, tmp_path: Path, reference: Callable[[Case], Outcome]
) -> None:
    name = spec if isinstance(spec, str) else spec[0]
    if name not in installed():
        pytest.skip(f"{name} is not installed")
    for number, case in enumerate(case for case in CASES if case.name in SAME):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert reference(case).difference(run_case(case, spec, inputs, folder)) is None, case.name
