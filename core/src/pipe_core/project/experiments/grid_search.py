"""The optimizer ``grid``: all combinations of some values of each parameter."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from typing import Any

from pipe_core.kernel.errors import OptionsError
from pipe_core.project.experiments.dimensions import Categorical
from pipe_core.project.experiments.optimizer import Best, better
from pipe_core.project.experiments.space import Point, Space


class GridSearch:
    """All combinations of all choices and of some values of each range, at equal steps from bound to bound.

    Args:
        space: As `Space.of` takes it.
        random_state: Shuffles the order of the points. None: the last parameter changes first.
        n_calls: How many points there may be at most.
        steps: How many values of each range. Default: as many as `n_calls` allows, 5 where that is not given.

    Raises:
        OptionsError: There are more combinations than `n_calls`.
    """

    def __init__(
        self, space: Any, *, random_state: int | None = None, n_calls: int | None = None, steps: int | None = None
    ) -> None:
        self._space = Space.of(space)
        if steps is not None and steps < 1:
            text = f"steps={steps} leaves nothing of a range. Give 1 or more."
            raise OptionsError(text, problems={"steps": "below 1"})
        steps = steps or (5 if n_calls is None else _most_steps(self._space, n_calls))
        self._check(_size(self._space, steps), n_calls)
        self._points = _grid(self._space, steps)
        self._n_calls = n_calls
        if random_state is not None:
            random.Random(random_state).shuffle(self._points)
        self._next = 0
        self._best: Best = None

    def _check(self, points: int, n_calls: int | None) -> None:
        if n_calls is not None and points > n_calls:
            raise OptionsError(
                f"The grid has {points:,} points, and n_calls={n_calls} lets some of them be left out. Give "
                f"n_calls={points}, fewer steps or choices, or optimizer='random'.",
                problems={"n_calls": f"below {points}"},
            )

    def __len__(self) -> int:
        return len(self._points)

    def ask(self, n: int = 1) -> list[Point]:
        """The next *n* points; fewer when the grid is at its end."""
        points = [dict(point) for point in self._points[self._next : self._next + n]]
        self._next += len(points)
        return points

    def tell(self, point: Point, value: float | None) -> None:
        """Remember the best one."""
        self._best = better(self._best, point, value)

    def resume(self, ended: Sequence[tuple[Point, float | None]], running: Sequence[Point]) -> None:
        """Leave out the points of an earlier run.

        Raises:
            OptionsError: What is left does not fit into `n_calls`: that run had a grid of other steps.
        """
        tried = {_key(self._space, point) for point in (*(point for point, _ in ended), *running)}
        self._points = [point for point in self._points if _key(self._space, point) not in tried]
        self._check(len(self._points) + len(ended) + len(running), self._n_calls)
        for point, value in ended:
            self.tell(point, value)

    @property
    def best(self) -> Best:
        """The best point so far."""
        return self._best


def _grid(space: Space, steps: int) -> list[Point]:
    values = [dimension.grid(steps) for dimension in space.dimensions.values()]
    return [dict(zip(space.dimensions, combination, strict=True)) for combination in itertools.product(*values)]


def _most_steps(space: Space, n_calls: int) -> int:
    if all(isinstance(dimension, Categorical) for dimension in space.dimensions.values()):
        return 1
    steps, too_many = 1, n_calls + 1
    while too_many - steps > 1:
        middle = (steps + too_many) // 2
        if _size(space, middle) <= n_calls:
            steps = middle
        else:
            too_many = middle
    return steps


def _size(space: Space, steps: int) -> int:
    return math.prod(len(dimension.grid(steps)) for dimension in space.dimensions.values())


def _key(space: Space, point: Point) -> tuple[Any, ...]:
    return tuple((type(value).__name__, value) for value in space.to_plain(point).values())
