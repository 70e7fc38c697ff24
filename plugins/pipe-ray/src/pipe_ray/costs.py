"""What workers cost, as seen from beside them: a worker that runs a call answers nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipe_core.runtime.costs import cost_of

PATIENCE: Final = 5.0
"""Seconds that other machines have to say it."""


def costs_of_workers(near: Iterable[int | None], far: Iterable[tuple[str, int | None]]) -> list[dict[str, Any]]:
    """The fields of the `Cost` of each worker. Those of machines that say nothing in time are left out.

    Args:
        near: The process ids of those on this machine.
        far: Of each of the others its node and its process id.
    """
    nodes = defaultdict[str, list[int | None]](list)
    for node, pid in far:
        nodes[node].append(pid)
    return [*_costs_of(near), *_asked(nodes)]


def _asked(nodes: dict[str, list[int | None]]) -> list[dict[str, Any]]:
    if not nodes:
        return []
    there: Any = ray.remote(_costs_of)
    asked = [
        there.options(
            num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)
        ).remote(pids)
        for node, pids in nodes.items()
    ]
    answered, _late = ray.wait(asked, num_returns=len(asked), timeout=PATIENCE)
    found: list[dict[str, Any]] = []
    for answer in answered:
        try:
            found += ray.get(answer)
        except RayError:  # the machine is gone
            continue
    return found


def _costs_of(pids: Iterable[int | None]) -> list[dict[str, Any]]:
    costs = [cost_of(pid) for pid in pids if pid is not None]
    return [asdict(cost) for cost in costs if cost is not None]
