"""The executors that are installed, each started once, and the files that the cases read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "executors"))
sys.path.insert(0, str(Path(__file__).parent))

from inputs import write_inputs
from running import Case, Outcome, run_case
from starting import Started


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
def reference(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Outcome]:
    """What a case gives on `sync`, worked out once."""
    known: dict[str, Outcome] = {}

    def outcome(case: Case) -> Outcome:
        if case.name not in known:
            known[case.name] = run_case(case, "sync", inputs, tmp_path_factory.mktemp("sync"))
        return known[case.name]

    return outcome
