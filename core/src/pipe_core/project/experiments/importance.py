"""Which parameters matter: the share of the spread of the values that each one explains by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from pipe_core.project.experiments.dimensions import Categorical, Dimension
from pipe_core.project.experiments.space import Space
from pipe_core.project.experiments.trial import Trial

FEWEST: Final = 8
"""Completed trials below which nothing can be said."""
_MOST_GROUPS: Final = 8


def parameter_importances(trials: Sequence[Trial], space: Space) -> dict[str, float]:
    """How much each parameter matters by itself, from 0 (not at all) to 1 (it alone decides).

    The values are replaced by their ranks, so that a few huge ones do not decide. For each parameter the completed
    trials are put into groups, by choice or by range with equally many trials in each, about the square root of their
    number. The share of the variance of the ranks that lies between the groups, less what chance would put there, is
    the result (epsilon squared: Kelley, "An unbiased correlation ratio measure", 1935). It sees relations of any
    shape, but none that needs two parameters at once; the shares need not add up to 1.

    Args:
        trials: Those of a result.
        space: What was varied.

    Returns:
        Shares by parameter, the greatest one first. Empty for fewer than 8 completed trials, or where all values are
        equal.
    """
    done = [trial for trial in trials if trial.value is not None]
    ranks = _ranks([trial.value for trial in done if trial.value is not None])
    if len(done) < FEWEST or len(set(ranks)) < 2:
        return {}
    shares = {}
    for i, (name, dimension) in enumerate(space.dimensions.items()):
        values = [trial.point[name if space.named else i] for trial in done]
        shares[name] = _share(_groups(values, dimension), ranks)
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _ranks(values: Sequence[float]) -> list[float]:
    """The place of each value in their order; equal ones share the middle of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    first = 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and values[order[last + 1]] == values[order[first]]:
            last += 1
        for place in range(first, last + 1):
            ranks[order[place]] = (first + last) / 2
        first = last + 1
    return ranks


def _groups(values: Sequence[Any], dimension: Dimension) -> list[int]:
    """The group of each value."""
    if isinstance(dimension, Categorical):
        return [dimension.number(value) for value in values]
    most = min(_MOST_GROUPS, math.isqrt(len(values)))
    places = _ranks(values)  # equal values are in one group
    return [min(int(place * most / len(values)), most - 1) for place in places]


def _share(groups: Sequence[int], ranks: Sequence[float]) -> float:
    count, whole = len(ranks), sum(ranks) / len(ranks)
    members: dict[int, list[float]] = {}
    for group, rank in zip(groups, ranks, strict=True):
        members.setdefault(group, []).append(rank)
    if len(members) < 2 or len(members) >= count:
        return 0.0
    total = sum((rank - whole) ** 2 for rank in ranks)
    between = sum(len(some) * (sum(some) / len(some) - whole) ** 2 for some in members.values())
    by_chance = (len(members) - 1) * (total - between) / (count - len(members))
    return max(0.0, (between - by_chance) / total)
