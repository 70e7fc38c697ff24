from __future__ import annotations

import random
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pipe_core.kernel.errors import PipeError
from pipe_core.project.experiments import ExperimentCommand, ExperimentResult, Space, Trial, parameter_importances
from pipe_core.project.experiments.axes import Axis, axis_of
from pipe_core.project.experiments.study_drawing import draw_history


def result_of(objective: Any, space: Any, n_calls: int = 60, **more: Any) -> ExperimentResult:
    return ExperimentCommand(objective, space, n_calls, 0, **{"optimizer": "random", **more}).execute()


# --- which parameters matter ---


def test_a_parameter_that_decides_alone_explains_all_and_one_without_effect_nothing() -> None:
    space = {"none": (0.0, 1.0), "kind": ["a", "b", "c"], "all": (0.0, 1.0)}

    shares = result_of(lambda point: point["all"], space, 200).importances()

    assert next(iter(shares)) == "all"
    assert shares["all"] > 0.95
    assert shares["none"] < 0.1
    assert shares["kind"] < 0.1


def test_a_choice_and_a_valley_are_seen_as_well_as_a_slope() -> None:
    space = {"valley": (-1.0, 1.0), "kind": ["a", "b"], "none": (1, 9)}

    shares = result_of(lambda point: abs(point["valley"]) + (point["kind"] == "b") * 0.5, space, 300).importances()

    assert shares["valley"] > 0.3
    assert shares["kind"] > 0.2
    assert shares["none"] < 0.1


def test_one_huge_value_does_not_decide() -> None:
    space = {"slope": (0.0, 1.0), "none": (0.0, 1.0)}

    shares = result_of(lambda p: 1e9 if p["none"] > 0.97 else p["slope"], space, 200).importances()

    assert shares["slope"] > 0.8


def test_by_chance_nothing_is_explained_on_average() -> None:
    draw = random.Random(0)
    space = Space.of({"x": (0.0, 1.0)})
    found = []
    for _ in range(200):
        trials = [Trial(i, {"x": draw.random()}, draw.random(), "completed", 0.0) for i in range(20)]
        found.append(parameter_importances(trials, space)["x"])

    assert sum(found) / len(found) < 0.08


def test_nothing_is_said_of_few_trials_or_of_equal_values() -> None:
    assert result_of(lambda point: point[0], [(0.0, 1.0)], 7).importances() == {}
    assert result_of(lambda point: 1.0, [(0.0, 1.0)], 50).importances() == {}


# --- axes ---


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(0.0, 10.0), [0, 2, 4, 6, 8, 10]),
        (Axis(-0.03, 0.04), [-0.03, -0.02, -0.01, 0, 0.01, 0.02, 0.03, 0.04]),
        (Axis(1e-4, 1.0, log=True), [1e-4, 1e-3, 1e-2, 1e-1, 1]),
        (Axis(3.0, 30.0, log=True), [5, 10, 20]),
        (Axis(1e-30, 1.0, log=True), [1e-30, 1e-26, 1e-22, 1e-18, 1e-14, 1e-10, 1e-6, 1e-2]),
    ],
)
def test_ticks_are_round_and_few(axis: Axis, ticks: list[float]) -> None:
    assert axis.ticks() == pytest.approx(ticks)


def test_an_axis_has_room_for_what_is_drawn() -> None:
    for values in ([1.0, 2.0], [3.0], [0.0], [-5.0, -5.0], [0.001, 900.0], [-1.0, 1e6], [1e300, 2e300]):
        axis = axis_of(values)
        assert all(0 < axis.share(value) < 1 for value in values), values
        assert axis.ticks()
    assert axis_of([0.001, 900.0]).log
    assert not axis_of([0.0, 900.0]).log


# --- the page ---


class Tags(HTMLParser):
    """Checks that what is opened is closed, and keeps the classes of the marks."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.marks: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        if tag == "circle" or facts.get("class") == "wrong":
            self.marks.append(str(facts["class"]))
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def objective(point: dict[str, Any]) -> float:
    if point["rate"] < 0.1:
        raise ValueError("<b>no & model</b>")
    return float(point["rate"] * 3 + (point["kind"] == "<i>b</i>"))


def test_the_page_shows_every_trial_and_needs_nothing_beside_itself(tmp_path: Path) -> None:
    space = {"rate": (0.001, 1.0, "log-uniform"), "kind": ["a", "<i>b</i>"]}
    result = result_of(objective, space, 30, on_error="continue")

    page = result.to_html(tmp_path / "page.html", title="a <b>").read_text("utf-8")

    tags = Tags()
    tags.feed(page)
    failed, completed = len(result.failed), 30 - len(result.failed)
    assert failed > 3
    assert tags.open == []
    assert tags.marks.count("wrong") == failed
    assert tags.marks.count("best") == 3, "once in each drawing"
    assert tags.marks.count("one") == 3 * (completed - 1)
    assert "<i>" not in page.replace("<i class", "")
    assert "<b>" not in page
    assert "&lt;b&gt;no &amp; model&lt;/b&gt;" in page
    assert not re.search(r"https?:|<script|<link|url\(", page)
    assert f"{result.fun:.6g}" in page


def test_a_page_of_few_trials_says_what_it_cannot_know(tmp_path: Path) -> None:
    page = result_of(lambda point: point[0], [(0.0, 1.0)], 1).to_html(tmp_path / "one.html").read_text("utf-8")

    assert "Not known: 1 trial completed, at least 8 are needed" in page


def test_the_line_of_the_best_value_goes_down_only_and_ends_with_the_last_trial() -> None:
    values = [5.0, None, 7.0, 3.0, 4.0]
    trials = [Trial(i, [0.0], value, "failed" if value is None else "completed", 0.0) for i, value in enumerate(values)]

    (path,) = re.findall(r'class="fine" d="([^"]*)"', draw_history(trials, 3))

    heights = [float(y) for y in re.findall(r"(?:V|M[\d.]+ )([\d.]+)", path)]
    assert heights == sorted(heights), "from top to bottom"
    assert len(heights) == 5
    assert len(set(heights)) == 2


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    result = result_of(lambda point: point[0], [(0.0, 1.0)], 1)
    with pytest.raises(PipeError, match="pages' first") as raised:
        result.to_html(tmp_path / "pages" / "one.html")
    assert isinstance(raised.value, FileNotFoundError)
