"""What is installed: the executors that the cases are crossed with."""

from __future__ import annotations

from importlib.metadata import entry_points

OURS = ("threads", "asyncio", "loky", "dask", "ray")
SLOW_TO_START = ("dask", "ray")
"""They run the cases that are marked as basic; what one of them could do wrong, another one of those does too."""


def installed() -> list[str]:
    """The executors that are installed, but for the reference."""
    names = entry_points(group="pipe_core.executors").names
    return [name for name in OURS if name in names]
