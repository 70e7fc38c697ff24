"""What processes cost now: seconds of a core that they have spent, and bytes that they have in memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process costs, its children included.

    Attributes:
        machine: The name of the machine where it runs.
        pid: Its number there.
        cpu: Seconds of a core that they have spent since they began.
        memory: Bytes that they have in memory.
    """

    machine: str
    pid: int
    cpu: float
    memory: int


def cost_of(pid: int | None = None) -> Cost | None:
    """Of a process of this machine, by default this one. None when there is none with that number."""
    import psutil

    try:
        return _cost_of(psutil.Process(pid))
    except psutil.Error:
        return None


def family() -> set[tuple[str, int]]:
    """This process and its children: the machine and the number of each."""
    import platform

    import psutil

    me = psutil.Process()
    return {(platform.node(), one.pid) for one in [me, *me.children(recursive=True)]}


def resident() -> int:
    """Bytes that this process and its children have in memory."""
    cost = cost_of(os.getpid())
    return 0 if cost is None else cost.memory


def _cost_of(process: Any) -> Cost:
    import platform

    import psutil

    cpu, memory = 0.0, 0
    for one in [process, *process.children(recursive=True)]:
        try:
            with one.oneshot():
                times, resident = one.cpu_times(), one.memory_info().rss
        except psutil.Error:
            continue  # it has ended in this moment
        cpu += times.user + times.system
        cpu += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)  # those that have ended
        memory += resident
    return Cost(platform.node(), process.pid, cpu, memory)
