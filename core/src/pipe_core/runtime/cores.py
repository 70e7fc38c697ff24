"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Final

_CGROUP: Final = Path("/sys/fs/cgroup/cpu.max")


def cores() -> int:
    """The cores that affinity and cgroups leave to this process, at least one."""
    try:
        available = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity
        available = os.cpu_count() or 1
    return max(1, min(available, _quota()))


def _quota() -> int:
    try:
        limit, period = _CGROUP.read_text(encoding="ascii").split()
        return available_without_limit() if limit == "max" else math.ceil(int(limit) / int(period))
    except (OSError, ValueError):
        return available_without_limit()


def available_without_limit() -> int:
    """The cores of the machine."""
    return os.cpu_count() or 1
