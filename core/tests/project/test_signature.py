"""What a function takes, from its signature."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import pytest

from pipe_core.kernel.errors import OptionsError
from pipe_core.project.project import Project
from pipe_core.project.runs.runner import Runner
from pipe_core.project.signature import Signature
from pipe_core.project.validation import validate_project

if TYPE_CHECKING:
    from pyarrow import Table  # not there when the test runs


def seed(*dfs: Any, start_date: str, end_date: str, ml_context: dict[str, Any] | None = None) -> None: ...
def plain(left: Any, right: Any = None) -> None: ...
def nothing() -> None: ...
def anything(*values: Any, **rest: Any) -> None: ...
def positional(rows: Any, start_date: str, end_date: str = "open") -> None: ...
def only_positional(start_date: Any, /) -> None: ...
def typed(rows: Table, *, start_date: date, end_date: Optional[datetime] = None) -> Table: ...  # noqa: UP045
def marked(*, start_date: Annotated[date, "day"], end_date: date | None = None, label: str = "") -> None: ...
async def later(rows: Any, *, start_date: date) -> None: ...


class Given:
    def __call__(self, rows: Any, *, start_date: date) -> None: ...


class Later:
    async def __call__(self, rows: Any) -> None: ...


class Model:
    def __init__(self, rows: Any, start_date: date) -> None: ...

    def fit(self, rows: Any, *, end_date: datetime) -> None: ...

    @classmethod
    def made(cls, rows: Any) -> None: ...


@functools.wraps(typed)
def wrapped(*args: Any, **kwargs: Any) -> Any:
    return typed(*args, **kwargs)


@pytest.mark.parametrize(
    ("function", "dates", "needed", "ml_context", "least", "most"),
    [
        (seed, {"start_date": str, "end_date": str}, {"start_date", "end_date"}, True, 0, None),
        (plain, {}, set(), False, 1, 2),
        (nothing, {}, set(), False, 0, 0),
        (anything, {"start_date": str, "end_date": str}, set(), True, 0, None),
        (positional, {"start_date": str, "end_date": str}, {"start_date"}, False, 1, 1),
        (only_positional, {}, set(), False, 1, 1),
        (typed, {"start_date": date, "end_date": datetime}, {"start_date"}, False, 1, 1),
        (wrapped, {"start_date": date, "end_date": datetime}, {"start_date"}, False, 1, 1),
        (marked, {"start_date": date, "end_date": date}, {"start_date"}, False, 0, 0),
        (later, {"start_date": date}, {"start_date"}, False, 1, 1),
        (Given(), {"start_date": date}, {"start_date"}, False, 1, 1),
        (Model, {"start_date": date}, {"start_date"}, False, 1, 1),
        (Model.__new__(Model).fit, {"end_date": datetime}, {"end_date"}, False, 1, 1),
        (Model.made, {}, set(), False, 1, 1),
        (functools.partial(plain, 1), {}, set(), False, 0, 1),
        (functools.partial(typed, None), {"start_date": date, "end_date": datetime}, {"start_date"}, False, 0, 0),
        (
            functools.partial(marked, start_date=date(2024, 1, 1)),
            {"start_date": date, "end_date": date},
            set(),
            0,
            0,
            0,
        ),
        (lambda rows, start_date: rows, {"start_date": str}, {"start_date"}, False, 1, 1),
        (len, {}, set(), False, 1, 1),
        (dict, {}, set(), False, 0, None),  # does not tell
    ],
)
def test_what_functions_take(
    function: Callable[..., Any],
    dates: dict[str, type],
    needed: set[str],
    ml_context: bool,
    least: int,
    most: int | None,
) -> None:
    found = Signature.of(function)
    assert found.dates == dates
    assert found.needed == needed
    assert found.needs_dates == bool(needed)
    assert found.ml_context == bool(ml_context)
    assert (found.least, found.most) == (least, most)


def test_what_is_awaited() -> None:
    assert Signature.of(later).is_async
    assert Signature.of(Later()).is_async
    assert Signature.of(functools.partial(later, 1)).is_async
    assert not Signature.of(seed).is_async
    assert not Signature.of(Given()).is_async


def test_dates_are_given_as_they_are_wanted() -> None:
    given = Signature.of(typed).given_dates("2024-01-31", "2024-02-29T12:30")
    assert given == {"start_date": date(2024, 1, 31), "end_date": datetime(2024, 2, 29, 12, 30)}
    assert Signature.of(typed).given_dates("2024-01-31T23:00", "2024-02-29") == {
        "start_date": date(2024, 1, 31),
        "end_date": datetime(2024, 2, 29),
    }
    assert Signature.of(seed).given_dates("2024-01-31", "2024-02-01") == {
        "start_date": "2024-01-31",
        "end_date": "2024-02-01",
    }
    assert Signature.of(plain).given_dates("2024-01-31", "2024-02-01") == {}


def test_without_dates_a_default_stays_and_what_is_needed_is_none() -> None:
    assert Signature.of(positional).given_dates(None, None) == {"start_date": None}
    assert Signature.of(anything).given_dates(None, None) == {}
    assert Signature.of(seed).given_dates(None, None) == {"start_date": None, "end_date": None}


@pytest.mark.parametrize(
    ("function", "room"),
    [
        (lambda start_date, rows: rows, (0, "start_date")),
        (lambda rows, end_date, *more: rows, (1, "end_date")),
        (lambda rows, ml_context, more=None: rows, (1, "ml_context")),
        (lambda rows, start_date, end_date: rows, None),
        (lambda *rows, start_date: rows, None),
        (lambda rows, *, start_date, label="": rows, None),
        (only_positional, None),
        (seed, None),
    ],
)
def test_a_date_that_an_input_would_be_taken_for(
    function: Callable[..., Any], room: tuple[int, str] | None, tmp_path: Path
) -> None:
    assert Signature.of(function).room == room
    if room is None:
        return
    nodes = {
        "one": {"function": lambda: 1},
        "two": {"function": lambda: 2},
        "use": {"function": function, "dependencies": ["one", "two"][: room[0] + 1]},
    }
    runner = Runner(Project.load({"nodes": nodes, "pipelines": {"main": list(nodes)}}, folder=tmp_path))
    with pytest.raises(OptionsError, match=f"has its parameter '{room[1]}' before an input"):
        runner.run("main", start_date="2025-01-01", end_date="2025-01-31")


def test_a_context_that_nobody_gives_is_missed_before_anything_runs(tmp_path: Path) -> None:
    def train(*, ml_context: dict[str, Any]) -> Any:
        return ml_context["hyperparams"]

    assert Signature.of(train).needs_context
    assert not Signature.of(seed).needs_context
    whole: dict[str, Any] = {"nodes": {"train": {"function": train}}, "pipelines": {"main": ["train"]}}
    with pytest.raises(OptionsError, match="'train' takes ml_context, and only nodes of machine learning"):
        Runner(Project.load(whole, folder=tmp_path)).run("main")
    report = validate_project(Project.load(whole, folder=tmp_path))
    assert [problem.key for problem in report.errors] == ["nodes.train.type"]
    for other in (
        {"nodes": {"train": {"function": train, "type": "ml"}}},
        {"pipelines": {"main": {"nodes": ["train"], "type": "ml"}}},
    ):
        project = Project.load({**whole, **other}, folder=tmp_path)
        assert validate_project(project).ok
        assert Runner(project).run("main", hyperparams={"k": 1})["train"] == {"k": 1}
