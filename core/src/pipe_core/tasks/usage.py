"""What an executor costs now: cores and memory of this process, its children, and workers elsewhere."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

from pipe_core.kernel.errors import OptionsError, PipeError
from pipe_core.runtime.cores import cores
from pipe_core.runtime.costs import Cost, cost_of, family, resident

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
        self._before: tuple[float, dict[tuple[str, int], float]] | None = None

    def cpu(self) -> float:
        """Per cent of the cores that the workers can use, since the last call, or since now at the first one."""
        now, spent = time.monotonic(), {(cost.machine, cost.pid): cost.cpu for cost in self._costs()}
        before, self._before = self._before, (now, spent)
        if before is None or now <= before[0]:
            return 0.0
        usable = self._executor.slots
        if self._executor.capabilities.isolation != "remote":
            usable = min(usable, cores())
        busy = sum(max(0.0, cpu - before[1].get(process, cpu)) for process, cpu in spent.items())
        return min(100.0, 100.0 * busy / (now - before[0]) / usable)

    def memory(self) -> int:
        """Bytes in memory."""
        return sum(cost.memory for cost in self._costs())

    def _costs(self) -> list[Cost]:
        """Of this process with its children, and of each worker elsewhere."""
        here = cost_of()
        try:
            workers = self._executor.costs()
        except PipeError:  # the cluster is gone
            workers = []
        ours = family() if workers else set()
        return [*([here] if here else []), *(one for one in workers if (one.machine, one.pid) not in ours)]


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
