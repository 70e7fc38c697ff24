"""scikit-optimize as an optimizer: what its `gp_minimize` does, with a Gaussian process and ``gp_hedge``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Final

import skopt
from skopt.space import Categorical as SkoptCategorical
from skopt.space import Integer as SkoptInteger
from skopt.space import Real

from pipe_core.project.experiments import Categorical, Integer, Point, Space
from pipe_core.project.experiments.dimensions import Dimension
from pipe_core.project.experiments.optimizer import Best, better, seed_after

_SETTINGS: Final[dict[str, Any]] = {
    "base_estimator": "GP",
    "initial_point_generator": "random",
    "acq_func": "gp_hedge",
    "acq_optimizer": "auto",
}
"""Those of `gp_minimize`. Every other one is the default of both."""


class SkoptOptimizer:
    """Asks scikit-optimize which points to try.

    One after the other, the points are those of ``gp_minimize(..., random_state=random_state)``. While trials run, a
    copy of the model is told that they gave the best value so far (the *constant liar*, ``cl_min``) before it is asked
    for more. A trial that failed counts as the worst value so far.

    Args:
        space: As `Space.of` takes it.
        random_state: The seed. None: another one each time.
        n_initial_points: How many random points come first.
    """

    def __init__(self, space: Any, *, random_state: int | None = None, n_initial_points: int = 10) -> None:
        self._space = Space.of(space)
        self._seed = random_state
        self._n_initial_points = n_initial_points
        self._optimizer = self._new(random_state)
        self._open: list[list[Any]] = []
        self._untold: list[list[Any]] = []  # points of trials that failed before any had a value
        self._best: Best = None

    def _new(self, seed: int | None) -> Any:
        dimensions = [_dimension(one) for one in self._space.dimensions.values()]
        return skopt.Optimizer(dimensions, n_initial_points=self._n_initial_points, random_state=seed, **_SETTINGS)

    def ask(self, n: int = 1) -> list[Point]:
        """*n* more points."""
        return [self._asked() for _ in range(n)]

    def _asked(self) -> Point:
        with warnings.catch_warnings():
            # A small space has been seen soon; a random point follows then, which is as good as any.
            warnings.filterwarnings("ignore", "The objective has been evaluated")
            row = self._row(self._point(self._liar().ask()))
        self._open.append(row)
        return self._point(row)

    def _liar(self) -> Any:
        """What is asked: the optimizer, or a copy that believes that the open trials were good ones."""
        if not self._open or len(self._optimizer.yi) < self._n_initial_points:
            return self._optimizer
        liar = self._optimizer.copy(random_state=self._optimizer.rng.randint(0, 2**31 - 1))
        liar.tell([list(row) for row in self._open], [min(liar.yi)] * len(self._open))
        return liar

    def tell(self, point: Point, value: float | None) -> None:
        """What came of a point, also of one that was not asked for."""
        self._tell([(point, value)])

    def _tell(self, trials: Sequence[tuple[Point, float | None]]) -> None:
        """Tell of several at once: the model is fitted once."""
        rows, values = [], []
        for point, value in trials:
            row = self._row(point)
            if row in self._open:
                self._open.remove(row)
            self._best = better(self._best, point, value)
            if value is not None:
                rows.append(row)
                values.append(value)
            else:
                self._untold.append(row)
        known = [*self._optimizer.yi, *values]
        if known and self._untold:
            rows, values = rows + self._untold, values + [max(known)] * len(self._untold)
            self._untold = []
        if len(rows) == 1:
            self._optimizer.tell(rows[0], values[0])
        elif rows:
            self._optimizer.tell(rows, values)

    def resume(self, ended: Sequence[tuple[Point, float | None]], running: Sequence[Point]) -> None:
        """Go on with the trials of an earlier run, and with other random numbers."""
        self._optimizer = self._new(seed_after(self._seed, len(ended) + len(running)))
        self._tell(ended)
        self._open = [self._row(point) for point in running]

    @property
    def best(self) -> Best:
        """The best point so far."""
        return self._best

    def _row(self, point: Point) -> list[Any]:
        """*point* as scikit-optimize has it: choices by their numbers, so that they can be anything."""
        return [
            one.number(point[name]) if isinstance(one, Categorical) else point[name]
            for name, one in self._space.dimensions.items()
        ]

    def _point(self, row: Sequence[Any]) -> Point:
        return {name: _value(one, row[i]) for i, (name, one) in enumerate(self._space.dimensions.items())}


def _dimension(dimension: Dimension) -> Any:
    if isinstance(dimension, Categorical):
        return SkoptCategorical(list(range(len(dimension.choices))))
    kind = SkoptInteger if isinstance(dimension, Integer) else Real
    return kind(dimension.low, dimension.high, prior="log-uniform" if dimension.log else "uniform")


def _value(dimension: Dimension, value: Any) -> Any:
    """*value*, which may be one of NumPy's, as Python has it; what is a rounding error outside the range is in it."""
    if isinstance(dimension, Categorical):
        return dimension.choices[int(value)]
    plain = int(value) if isinstance(dimension, Integer) else float(value)
    return min(max(plain, dimension.low), dimension.high)
