"""The optimizer ``random``: points drawn one by one, without regard to what came of the others."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pipe_core.project.experiments.optimizer import Best, better
from pipe_core.project.experiments.space import Point, Space


class RandomSearch:
    """Points from all over the space.

    The point number *i* follows from `random_state` and *i* alone. So trials may end in any order, and an experiment
    that was stopped and resumed tries the same points as one that was not.

    Args:
        space: As `Space.of` takes it.
        random_state: The seed. None: others each time.
    """

    def __init__(self, space: Any, *, random_state: int | None = None) -> None:
        self._space = Space.of(space)
        self._seed = random.SystemRandom().getrandbits(64) if random_state is None else random_state
        self._drawn = 0
        self._known: Counter[str] = Counter()  # points of an earlier run that were not drawn again yet
        self._best: Best = None

    def ask(self, n: int = 1) -> list[Point]:
        """*n* more points."""
        return [self._asked() for _ in range(n)]

    def _asked(self) -> Point:
        while True:
            point = self._point(self._drawn)
            self._drawn += 1
            key = self._key(point)
            if not self._known[key]:
                return point
            self._known[key] -= 1

    def _point(self, number: int) -> Point:
        draw = random.Random(f"{self._seed}:{number}").random
        return {name: dimension.at(draw()) for name, dimension in self._space.dimensions.items()}

    def _key(self, point: Point) -> str:
        return repr(self._space.to_plain(point))

    def tell(self, point: Point, value: float | None) -> None:
        """Remember the best one."""
        self._best = better(self._best, point, value)

    def resume(self, ended: Sequence[tuple[Point, float | None]], running: Sequence[Point]) -> None:
        """Leave out the points of an earlier run."""
        self._known = Counter(self._key(point) for point in (*(point for point, _ in ended), *running))
        for point, value in ended:
            self.tell(point, value)

    @property
    def best(self) -> Best:
        """The best point so far."""
        return self._best
