"""The executors that are installed, each started once, and the files that the cases read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from inputs import write_inputs
from running import Outcome, run_case

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


@pytest.fixture(scope="session")
def started() -> Iterator[Started]:
    executors = Started()
    yield executors
    executors.shutdown()


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the files that cases read."""
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder)
    return folder


@pytest.fixture(scope="session")
def reference(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> object:
    """What a case gives on `sync`, worked out once."""
    known: dict[str, Outcome] = {}

    def outcome(case: object) -> Outcome:
        name = case.name  # type: ignore[attr-defined]  # a Case
        if name not in known:
            known[name] = run_case(case, "sync", inputs, tmp_path_factory.mktemp("sync"))  # type: ignore[arg-type]
        return known[name]

    return outcome
