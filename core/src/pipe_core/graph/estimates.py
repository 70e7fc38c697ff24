"""Estimates: how long a run will take, if its calls last as long as they did before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Bound = tuple[str, ...]
"""What lets only so many calls run at once: an executor, whose name is the first part, or a node."""
Work = Mapping[Bound, tuple[float, int | None]]
"""By what bounds them, seconds of calls, and how many of them run at once; None where only a cluster knows."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long something takes, if calls last as long as they did before. What is not known counts as nothing.

    Attributes:
        seconds: How long it takes: no less than its longest chain, nor than all calls of an executor on all of its
            workers. Starting workers, and bringing values there, is not in it.
        work: How long all calls take together.
        chain: How long those take that wait for one another.
        unknown: The nodes of which nothing is known, by name, and what else is not.
        bounds: The executors, and the nodes that may only run so many at once, each with the seconds of its calls and
            how many of those run at once.
    """

    seconds: float
    work: float
    chain: float
    unknown: tuple[str, ...] = ()
    bounds: Work = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether everything is known."""
        return not self.unknown

    def to_dict(self) -> dict[str, Any]:
        """It as plain data."""
        return {"seconds": self.seconds, "work": self.work, "chain": self.chain, "unknown": list(self.unknown)}


NOTHING = Estimate(0.0, 0.0, 0.0)


def of_call(name: str, seconds: float | None, bounds: Mapping[Bound, int | None]) -> Estimate:
    """Of one call of the node *name*, which *bounds* allow to run so often at once."""
    if seconds is None:
        return Estimate(0.0, 0.0, 0.0, (name,))
    return Estimate(seconds, seconds, seconds, (), {key: (seconds, many) for key, many in bounds.items()})


def of_items(one: Estimate, name: str, count: float | None) -> Estimate:
    """Of *one* for each of so many items of the map *name*, at the same time as far as may be."""
    if count is None:
        return Estimate(0.0, 0.0, 0.0, (*one.unknown, f"how many items '{name}' has"))
    if not count:
        return NOTHING
    bounds = {key: (seconds * count, many) for key, (seconds, many) in one.bounds.items()}
    return _bounded(one.chain, one.work * count, one.chain, one.unknown, bounds)


def of_steps(steps: Sequence[Estimate], followers: Sequence[Iterable[int]], *, serial: bool) -> Estimate:
    """Of *steps* in their order, each of which the *followers* of it wait for.

    Args:
        steps: Each behind those that it needs.
        followers: The places of those that need it.
        serial: Whether they run one after the other, whatever they need.
    """
    begins = [0.0] * len(steps)
    chains = [0.0] * len(steps)
    for place, step in enumerate(steps):
        for follower in followers[place]:
            begins[follower] = max(begins[follower], begins[place] + step.seconds)
            chains[follower] = max(chains[follower], chains[place] + step.chain)
    last = max((begin + step.seconds for begin, step in zip(begins, steps, strict=True)), default=0.0)
    chain = max((begin + step.chain for begin, step in zip(chains, steps, strict=True)), default=0.0)
    if serial:
        last, chain = sum(step.seconds for step in steps), sum(step.chain for step in steps)
    bounds: dict[Bound, tuple[float, int | None]] = {}
    for step in steps:
        for key, (seconds, many) in step.bounds.items():
            bounds[key] = bounds.get(key, (0.0, many))[0] + seconds, many
    unknown = tuple(dict.fromkeys(name for step in steps for name in step.unknown))
    return _bounded(last, sum(step.work for step in steps), chain, unknown, bounds)


def _bounded(last: float, work: float, chain: float, unknown: Sequence[str], bounds: Work) -> Estimate:
    """Of something that ends after *last* seconds, if there are workers for all that could run at once."""
    seconds = max([last, *(each / many for each, many in bounds.values() if many)])
    open_ended = [key[0] for key, (each, many) in bounds.items() if not many and each > seconds]
    everything = dict.fromkeys([*unknown, *(f"how many calls '{name}' runs at once" for name in open_ended)])
    return Estimate(seconds, work, chain, tuple(everything), bounds)
