"""The page of an experiment: the best point, how it was found, and which parameters mattered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from pipe_core.looks.charts import bar, safe, section, table
from pipe_core.looks.frame import page
from pipe_core.looks.wording import duration, number, percent, several
from pipe_core.project.experiments.axes import axis_of
from pipe_core.project.experiments.importance import FEWEST
from pipe_core.project.experiments.study_drawing import STYLE, draw_history, draw_slice, written
from pipe_core.project.experiments.trial import Trial

if TYPE_CHECKING:
    from pipe_core.project.experiments.result import ExperimentResult

ROWS: Final = 200
"""Trials in the table, the best ones."""
SLICES: Final = 12
"""Parameters that have a drawing, the most important ones."""

_KEYS: Final = (
    '<p class="over"><span class="key one" aria-hidden="true"></span>a trial &emsp; '
    '<span class="key best" aria-hidden="true"></span>the best one &emsp; '
    '<span class="key fine" aria-hidden="true"></span>the best value so far &emsp; '
    '<span class="key wrong" aria-hidden="true">&times;</span>a trial that failed</p>'
)
_METHOD: Final = (
    '<p class="over">The share of the spread of the values that each parameter explains by itself: how far the ranks '
    "of the values differ between its choices, or between ranges of it that hold equally many trials, less what chance "
    "would do (epsilon squared). What only two parameters together explain is not seen, so the shares need not add up "
    "to 100 %.</p>"
)


def render_study(result: ExperimentResult, *, title: str = "experiment") -> str:
    """The page as text.

    Args:
        result: Of the experiment.
        title: What it is called.
    """
    importances = dict(result.importances())
    parts = [
        _top(title),
        _tiles(result),
        _best(result),
        section("How the value came down", draw_history(result.trials, _number_of_best(result)), _KEYS, _scale(result)),
        _importance(importances, len(result.trials) - len(result.failed)),
        _slices(result, importances),
        _trials(result),
    ]
    return page(f"{safe(title, 80)}: experiment", "\n".join(parts), style=STYLE)


def _number_of_best(result: ExperimentResult) -> int:
    return next(trial.number for trial in result.trials if trial.value == result.fun)


def _top(title: str) -> str:
    return f'<header><p class="over">Experiment</p><div class="title"><h1>{safe(title, 120)}</h1></div></header>'


def _tiles(result: ExperimentResult) -> str:
    spent = sum(trial.duration for trial in result.trials)
    failed = f"{several(len(result.failed), 'trial')} failed" if result.failed else "none failed"
    seed = "" if result.random_state is None else f"random_state {result.random_state}"
    tiles = (
        ("Best value", f"{result.fun:.4g}", f"of trial {_number_of_best(result)}"),
        ("Trials", number(len(result.trials)), failed),
        ("Time in trials", duration(spent), f"{duration(spent / len(result.trials))} each on average"),
        ("Optimizer", safe(result.optimizer.rpartition(":")[2], 40), seed),
    )
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}<small>{more}</small></dd></div>" for name, value, more in tiles)
    return f'<dl class="tiles">{cells}</dl>'


def _best(result: ExperimentResult) -> str:
    values = result.x.values() if result.space.named else result.x
    rows = [
        (safe(name, 80), safe(written(value), 120), safe(dimension, 120))
        for (name, dimension), value in zip(result.space.dimensions.items(), values, strict=True)
    ]
    heads = (("Parameter", "name"), ("Value", "number"), ("Out of", ""))
    return section("The best point", table("The parameters of the best trial.", heads, rows))


def _scale(result: ExperimentResult) -> str:
    values = [trial.value for trial in result.trials if trial.value is not None]
    return '<p class="over">The values are on a logarithmic scale.</p>' if axis_of(values).log else ""


def _importance(importances: dict[str, float], completed: int) -> str:
    if not importances:
        why = f"at least {FEWEST} are needed" if completed < FEWEST else "but all gave the same value"
        return section("Which parameters matter", f"<p>Not known: {several(completed, 'trial')} completed, {why}.</p>")
    rows = [
        (safe(name, 80), bar(share, 1, "valid" if share else "rest"), percent(share, 1))
        for name, share in importances.items()
    ]
    heads = (("Parameter", "name"), ("", "draw"), ("Explains", "number"))
    return section("Which parameters matter", _METHOD, table("The most important one first.", heads, rows))


def _slices(result: ExperimentResult, importances: dict[str, float]) -> str:
    names = list(result.space.dimensions)
    chosen = [*importances, *(name for name in names if name not in importances)][:SLICES]
    best = _number_of_best(result)
    drawings = (
        f"<figure><figcaption>{safe(name, 80)}</figcaption>"
        + draw_slice(
            result.trials, best, name, name if result.space.named else names.index(name), result.space.dimensions[name]
        )
        + "</figure>"
        for name in chosen
    )
    left = len(names) - len(chosen)
    note = f'<p class="over">{several(left, "parameter")} of less importance left out.</p>' if left else ""
    return section("The value against each parameter", note, f'<div class="slices">{"".join(drawings)}</div>')


def _trials(result: ExperimentResult) -> str:
    order = sorted(result.trials, key=lambda trial: (trial.value is None, trial.value or 0.0, trial.number))
    shown = order[:ROWS]
    left = f" {several(len(order) - ROWS, 'more trial')} were worse." if len(order) > ROWS else ""
    heads = (
        ("Trial", "number"),
        ("Value", "number"),
        ("Took", "number"),
        *((safe(name, 40), "") for name in result.space.dimensions),
    )
    return section("Trials", table(f"The best one first.{left}", heads, [tuple(_row(trial)) for trial in shown]))


def _row(trial: Trial) -> Iterator[str]:
    yield number(trial.number)
    yield f'<span class="bad">{safe(trial.error, 80)}</span>' if trial.value is None else f"{trial.value:.6g}"
    yield duration(trial.duration)
    values: Any = trial.point.values() if isinstance(trial.point, dict) else trial.point
    yield from (safe(written(value), 60) for value in values)
