"""The drawings of an experiment, as SVG: how the value came down, and the value against each parameter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from pipe_core.looks.charts import safe
from pipe_core.project.experiments.axes import Axis, axis_of
from pipe_core.project.experiments.dimensions import Categorical, Dimension
from pipe_core.project.experiments.trial import Trial

WIDTH: Final = 1_000.0
HEIGHT: Final = 330.0
SMALL: Final = (440.0, 250.0)
"""How wide and high the drawing of one parameter is."""
LEFT: Final = 74.0
RIGHT: Final = 22.0
TOP: Final = 16.0
BOTTOM: Final = 34.0
MOST: Final = 2_000
"""Trials drawn, the last ones."""
_CHOICES: Final = 12
"""Choices that have names under a drawing."""

STYLE: Final = """
.wide+.wide{margin-top:1.1rem}
figure{margin:0}figcaption{font-weight:600;font-size:.9375rem;margin:0 0 .3rem}
.slices{display:grid;grid-template-columns:repeat(auto-fit,minmax(19rem,1fr));gap:1.1rem}
svg{display:block;width:100%;height:auto}.wide>svg{min-width:40rem}
svg text{fill:var(--soft);font-size:12px;font-variant-numeric:tabular-nums}
svg .grid{stroke:var(--line);stroke-width:1}
svg .one{fill:var(--read);fill-opacity:.55}svg .late{fill:var(--read)}
svg .fine{fill:none;stroke:var(--valid);stroke-width:2}
svg .best{fill:var(--valid);stroke:var(--ink);stroke-width:1.5}
svg .wrong{stroke:var(--failed);stroke-width:2;fill:none}
.key.one{background:var(--read);border-radius:50%}.key.best{background:var(--valid);outline:1.5px solid var(--ink);
border-radius:50%}.key.fine{background:var(--valid);height:.2rem;vertical-align:.2em}
.key.wrong{background:none;height:auto;width:auto;color:var(--failed);font-weight:700;line-height:1;margin-right:.4rem}
"""


class _Frame:
    """A drawing with two axes."""

    def __init__(self, width: float, height: float, across: Axis, up: Axis) -> None:
        self.width, self.height, self.across, self.up = width, height, across, up
        self.low = height - BOTTOM

    def x(self, value: float) -> float:
        return LEFT + (self.width - LEFT - RIGHT) * self.across.share(value)

    def y(self, value: float) -> float:
        return self.low - (self.low - TOP) * self.up.share(value)

    def heights(self) -> Iterator[str]:
        """Lines across, and their values."""
        for tick in self.up.ticks():
            y = self.y(tick)
            yield f'<line class="grid" x1="{LEFT:g}" x2="{self.width - RIGHT:g}" y1="{y:.2f}" y2="{y:.2f}"/>'
            yield f'<text x="{LEFT - 8:g}" y="{y + 4:.2f}" text-anchor="end">{tick:g}</text>'

    def below(self, labels: Iterable[tuple[float, str]]) -> Iterator[str]:
        """What is written under the drawing."""
        for value, label in labels:
            yield f'<text x="{self.x(value):.2f}" y="{self.low + 20:g}" text-anchor="middle">{label}</text>'

    def svg(self, label: str, parts: Iterable[str]) -> str:
        return (
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
        )


def draw_history(trials: Sequence[Trial], best: int) -> str:
    """Every trial by its number and its value, and the best value so far.

    Args:
        trials: Those of a result; at least one has a value.
        best: The number of the best one.
    """
    shown = trials[-MOST:]
    values = [trial.value for trial in shown if trial.value is not None]
    values.append(min(trial.value for trial in trials if trial.value is not None))  # the line begins with it
    first, last = shown[0].number, shown[-1].number
    room = max(1.0, 0.02 * (last - first))
    frame = _Frame(WIDTH, HEIGHT, Axis(first - room, last + room), axis_of(values))
    whole = [tick for tick in frame.across.ticks() if tick == int(tick) and first <= tick <= last]
    parts = [
        *frame.heights(),
        *frame.below((tick, f"trial {tick:g}" if tick == whole[0] else f"{tick:g}") for tick in whole),
        f'<path class="fine" d="{"".join(_steps(frame, trials, first))}"/>',
        *(_mark(frame, trial, trial.number, trial.number == best) for trial in _last(shown, best)),
    ]
    return f'<div class="wide">{frame.svg("The value of each trial, and the best one so far", parts)}</div>'


def draw_slice(trials: Sequence[Trial], best: int, name: str, key: Any, dimension: Dimension) -> str:
    """Every trial by the value of one parameter and by what it gave.

    Args:
        trials: Those of a result.
        best: The number of the best one.
        name: Of the parameter.
        key: Where it is in a point.
        dimension: It.
    """
    done = [trial for trial in trials if trial.value is not None][-MOST:]
    across, labels = _across(dimension)
    frame = _Frame(*SMALL, across, axis_of([trial.value for trial in done if trial.value is not None]))
    places = ((trial, _place(dimension, trial.point[key])) for trial in _last(done, best))
    parts = [
        *frame.heights(),
        *frame.below(labels),
        *(_mark(frame, trial, place, trial.number == best) for trial, place in places),
    ]
    return frame.svg(f"The value against {safe(name, 80)}", parts)


def _last(trials: Sequence[Trial], best: int) -> list[Trial]:
    """*trials* with the best one at the end, so that no other mark is drawn over it."""
    return sorted(trials, key=lambda trial: trial.number == best)


def _across(dimension: Dimension) -> tuple[Axis, list[tuple[float, str]]]:
    if isinstance(dimension, Categorical):
        count = len(dimension.choices)
        labels = [(float(i), safe(choice, 12)) for i, choice in enumerate(dimension.choices)]
        return Axis(-0.6, count - 0.4), labels if count <= _CHOICES else []
    low, high, log = float(dimension.low), float(dimension.high), dimension.log
    axis = Axis(low, high, log)
    return axis, [(tick, f"{tick:g}") for tick in axis.ticks()]


def _place(dimension: Dimension, value: Any) -> float:
    return float(dimension.number(value)) if isinstance(dimension, Categorical) else float(value)


def _steps(frame: _Frame, trials: Sequence[Trial], first: int) -> Iterator[str]:
    """The line of the best value so far, from the trial *first* on."""
    least: float | None = None
    begun = False
    for trial in trials:
        if trial.value is not None and (least is None or trial.value < least):
            least = trial.value
        if least is not None and trial.number >= first:
            x, y = frame.x(trial.number), frame.y(least)
            yield f"H{x:.2f}V{y:.2f}" if begun else f"M{x:.2f} {y:.2f}"
            begun = True


def _mark(frame: _Frame, trial: Trial, across: float, is_best: bool) -> str:
    words = f"<title>trial {trial.number}: {_outcome(trial)}; {safe(_shown(trial.point), 200)}</title>"
    x = frame.x(across)
    if trial.value is None:
        y = frame.low - 6
        return f'<path class="wrong" d="M{x - 4:.2f} {y - 4:g}l8 8m0 -8l-8 8">{words}</path>'
    kind, size = ("best", 6) if is_best else ("one", 4)
    return f'<circle class="{kind}" cx="{x:.2f}" cy="{frame.y(trial.value):.2f}" r="{size}">{words}</circle>'


def _outcome(trial: Trial) -> str:
    return safe(trial.error, 120) if trial.value is None else f"{trial.value:g}"


def _shown(point: Any) -> str:
    if isinstance(point, dict):
        return ", ".join(f"{name} = {written(value)}" for name, value in point.items())
    return ", ".join(map(written, point))


def written(value: Any) -> str:
    """The value of a parameter for people."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
