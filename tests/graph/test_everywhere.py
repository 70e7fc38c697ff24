"""One corpus of pipelines over every combination of executors: the same results, errors and events."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from graph_corpus import CASES, FAILING, GOING_ON, Case, listened, outcome

from pipe_core import Engine

pytestmark = pytest.mark.timeout(120)

IN_LINE = Engine("sync", "sync")


ON_CLUSTERS = [
    case
    for case in CASES
    if case.name in ("run", "map", "zip", "no items", "nested map in a map", "ragged, three deep, mapped")
]
FAILING_ON_CLUSTERS = [
    case for case in [*FAILING, *GOING_ON] if case.name in ("a node", "an item in an item", "items with items")
]
"""Each call takes some milliseconds there."""


def by_name(case: Case) -> str:
    return case.name


def check(case: Case, engine: Engine) -> None:
    """The same comes of *case* on *engine* as in line, and callbacks hear the same."""
    expected, told = listened(case, IN_LINE)
    assert expected.errors == (), "it ends well"
    assert outcome(case, engine) == expected
    found, heard = listened(case, engine)
    assert found == expected
    assert Counter(heard) == Counter(told)


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_results_and_events_are_the_same(case: Case, combined: Engine) -> None:
    check(case, combined)


@pytest.mark.parametrize("case", ON_CLUSTERS, ids=by_name)
def test_results_and_events_are_the_same_on_clusters(case: Case, clustered: Engine) -> None:
    check(case, clustered)


@pytest.mark.parametrize("case", FAILING, ids=by_name)
def test_errors_and_their_notes_are_the_same(case: Case, combined: Engine) -> None:
    expected = outcome(case, IN_LINE)
    assert len(expected.errors[0]) == 4, "it fails, with a note"
    assert outcome(case, combined) == expected
    assert listened(case, combined)[0] == expected


@pytest.mark.parametrize("on_error", ["continue", "collect"])
@pytest.mark.parametrize("case", GOING_ON, ids=by_name)
def test_what_goes_on_comes_to_the_same(case: Case, on_error: str, combined: Engine) -> None:
    case = replace(case, options={"on_error": on_error})
    expected = outcome(case, IN_LINE)
    assert outcome(case, combined) == expected
    assert listened(case, combined)[0] == expected


@pytest.mark.parametrize("case", FAILING_ON_CLUSTERS, ids=by_name)
def test_failures_are_the_same_on_clusters(case: Case, clustered: Engine) -> None:
    case = replace(case, options={"on_error": "continue" if case in GOING_ON else "raise"})
    expected, _ = listened(case, IN_LINE)
    assert listened(case, clustered)[0] == expected
