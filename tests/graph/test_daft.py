"""The corpus of pipelines on Daft data frames: the same results, errors and events as in line."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from graph_corpus import CASES, FAILING, GOING_ON, Case, listened, outcome

from pipe_core import Engine

pytest.importorskip("daft", reason="Daft is not installed")

from pipe_daft import DaftEngine

os.environ["DO_NOT_TRACK"] = "1"  # else Daft tells its makers that it is used

IN_LINE = Engine("sync", "sync")
DAFT: Any = DaftEngine()


def by_name(case: Case) -> str:
    return case.name


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_results_and_events_are_the_same(case: Case) -> None:
    expected, told = listened(case, IN_LINE)
    assert expected.errors == (), "it ends well"
    assert outcome(case, DAFT) == expected
    found, heard = listened(case, DAFT)
    assert found == expected
    assert Counter(heard) == Counter(told)


@pytest.mark.parametrize("case", FAILING, ids=by_name)
def test_errors_and_their_notes_are_the_same(case: Case) -> None:
    expected = outcome(case, IN_LINE)
    assert len(expected.errors[0]) == 4, "it fails, with a note"
    assert outcome(case, DAFT) == expected
    assert listened(case, DAFT)[0] == expected


@pytest.mark.parametrize("on_error", ["continue", "collect"])
@pytest.mark.parametrize("case", GOING_ON, ids=by_name)
def test_what_goes_on_comes_to_the_same(case: Case, on_error: str) -> None:
    case = replace(case, options={"on_error": on_error})
    expected, told = listened(case, IN_LINE)
    assert outcome(case, DAFT) == expected
    found, heard = listened(case, DAFT)
    assert found == expected
    assert Counter(heard) == Counter(told)


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_data_frames_hold_the_same(case: Case) -> None:
    expected = case.call(IN_LINE)
    frame = case.call(DaftEngine(collect=False))  # type: ignore[arg-type]  # an engine as good as any
    columns = expected.columns() if case.over is not None else {name: [value] for name, value in expected.items()}
    assert frame.to_pydict() == columns
    assert frame.to_pydict() == columns, "once more"
