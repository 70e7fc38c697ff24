"""What an executor costs now: cores and memory of this process, its children, and workers elsewhere."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any, Final

from pipe_core.kernel.errors import OptionsError, UnsupportedCapabilityError
from pipe_core.runtime.cores import cores

if TYPE_CHECKING:
    from pipe_core.runtime.executor import Executor

_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_FRESH: Final = 0.05
"""For so many seconds a look at the memory is good: it costs some microseconds a process."""


class MemoryLimit:
    """How much memory this process and its children may have.

    Args:
        limit: Bytes, or text with a unit: ``"8GB"`` (10**9), ``"8GiB"`` (2**30), ``"512MB"``.

    Raises:
        OptionsError: It is neither.
    """

    def __init__(self, limit: int | str) -> None:
        self.limit = _bytes(limit)
        self.used = 0
        self._seen = 0.0

    def exceeded(self) -> bool:
        """Whether they have more than that."""
        now = time.monotonic()
        if now - self._seen > _FRESH:
            self._seen, self.used = now, resident()
        return self.used > self.limit


class Usage:
    """Cores and memory of one executor.

    Args:
        executor: It.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._before: tuple[float, float] | None = None

    def cpu(self) -> float:
        """Per cent of the cores that the workers can use, since the last call, or since now at the first one."""
        now, spent = time.monotonic(), _cpu_seconds() + sum(float(one["cpu"]) for one in self._elsewhere())
        before, self._before = self._before, (now, spent)
        if before is None or now <= before[0]:
            return 0.0
        usable = self._executor.slots
        if self._executor.capabilities.isolation != "remote":
            usable = min(usable, cores())
        return max(0.0, min(100.0, 100.0 * (spent - before[1]) / (now - before[0]) / usable))

    def memory(self) -> int:
        """Bytes in memory."""
        return resident() + sum(int(one["memory"]) for one in self._elsewhere())

    def _elsewhere(self) -> list[dict[str, float]]:
        """What workers say that are no children of this process."""
        if self._executor.capabilities.isolation != "remote":
            return []
        try:
            outcomes = self._executor.everywhere(_look, _family())
        except (UnsupportedCapabilityError, RuntimeError):
            return []
        return [outcome.value for outcome in outcomes if outcome.value]


def resident() -> int:
    """Bytes that this process and its children have in memory."""
    return sum(process.memory_info().rss for process in _living())


def _living() -> list[Any]:
    import psutil

    me = psutil.Process()
    found = [me]
    for child in me.children(recursive=True):
        try:
            child.memory_info()
        except psutil.Error:
            continue
        found.append(child)
    return found


def _family() -> tuple[str, list[int]]:
    """Where this process runs, and it and its children: they are counted already."""
    import platform

    return platform.node(), [process.pid for process in _living()]


def _cpu_seconds() -> float:
    import psutil

    total: float = 0.0
    for process in _living():
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += float(times.user + times.system)
    return total


def _look(family: tuple[str, list[int]]) -> dict[str, float] | None:
    """On a worker: what it costs; None when somebody counts it already."""
    import platform

    import psutil

    if family[0] == platform.node() and os.getpid() in family[1]:
        return None
    me = psutil.Process()
    times = me.cpu_times()
    return {"cpu": times.user + times.system, "memory": me.memory_info().rss}


def _bytes(limit: int | str) -> int:
    if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0:
        return limit
    found = (
        re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*", limit, re.IGNORECASE)
        if isinstance(limit, str)
        else None
    )
    if found is None or not float(found[1]):
        raise OptionsError(f"memory_limit wants bytes, or text such as '8GB' or '512MiB', not {limit!r}.")
    units = _BINARY if found[3] else _UNITS
    return int(float(found[1]) * units[found[2].upper()])
