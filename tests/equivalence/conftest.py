"""The executors that are installed, each started once, and the files that the cases read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from crossed import Started
from inputs import write_inputs
from running import Outcome, run_case


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
