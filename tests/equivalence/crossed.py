"""What is installed: the executors that the cases are crossed with."""

from __future__ import annotations

from importlib.metadata import entry_points

from pipe_core import Executor, get_executor

OURS = ("threads", "asyncio", "loky", "dask", "ray")
SLOW_TO_START = ("dask", "ray")
"""They run the cases that are marked as basic; what one of them could do wrong, another one of those does too."""


def installed() -> list[str]:
    """The executors that are installed, but for the reference."""
    names = entry_points(group="pipe_core.executors").names
    return [name for name in OURS if name in names]


class Started:
    """Executors by name, each started when a case wants it first, with two workers."""

    def __init__(self) -> None:
        self._executors: dict[str, Executor] = {}

    def __getitem__(self, name: str) -> Executor:
        if name not in self._executors:
            self._executors[name] = get_executor(name) if name == "sync" else get_executor(name, max_workers=2)
        return self._executors[name]

    def shutdown(self) -> None:
        for executor in self._executors.values():
            executor.shutdown()
