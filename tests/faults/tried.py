"""What is installed: the executors that faults are tried on."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

INSTALLED = frozenset(entry_points(group="pipe_core.executors").names)
PROCESSES = [name for name in ("loky", "dask", "ray") if name in INSTALLED]
"""Where workers are processes, which may die."""
ALL = [name for name in ("sync", "threads", "asyncio") if name in INSTALLED] + PROCESSES
NEEDS_LOKY = pytest.mark.skipif("loky" not in INSTALLED, reason="loky is not installed")
NEEDS_THREADS = pytest.mark.skipif("threads" not in INSTALLED, reason="threads is not installed")
