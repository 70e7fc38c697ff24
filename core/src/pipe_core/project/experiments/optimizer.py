"""What an optimizer must do: say which points to try, and hear what came of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from pipe_core.project.experiments.space import Point

Best: TypeAlias = tuple[Point, float] | None
"""The best point and its value, or None where no trial gave a value."""


@runtime_checkable
class Optimizer(Protocol):
    """Looks for the point with the least value.

    It is called from one thread. Points are dictionaries by name, whatever the objective gets. The class, or a function
    that makes one, is called with the space, with `random_state` as a keyword, and with `n_calls` if it takes that.
    """

    def ask(self, n: int = 1) -> list[Point]:
        """Up to *n* points to try next. Fewer where it has no more for now; it is asked again after the next `tell`."""

    def tell(self, point: Point, value: float | None) -> None:
        """What came of a point: its value, or None where the trial failed. Points end in any order."""

    @property
    def best(self) -> Best:
        """The best point so far."""


@runtime_checkable
class ResumableOptimizer(Optimizer, Protocol):
    """An optimizer that makes use of an earlier, unfinished run. Others are told its trials one by one."""

    def resume(self, ended: Sequence[tuple[Point, float | None]], running: Sequence[Point]) -> None:
        """Go on where an earlier run was stopped. Called at most once, and first.

        Args:
            ended: What came of its trials, in the order of their numbers.
            running: Points that it had asked for and that are tried again now. They are told later.
        """


def better(best: Best, point: Point, value: float | None) -> Best:
    """The better one of *best* and another point; the earlier one of two that are equal."""
    return best if value is None or (best is not None and best[1] <= value) else (dict(point), value)


def seed_after(random_state: int | None, trials: int) -> int | None:
    """A seed for going on after so many trials: with the first one again, the first random points would come again."""
    if random_state is None or not trials:
        return random_state
    return int.from_bytes(hashlib.blake2b(f"{random_state}:{trials}".encode(), digest_size=4).digest(), "big") >> 1
