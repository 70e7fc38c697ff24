"""A cache on disk is one for all processes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from pipe_core import Engine, Pipeline, node
from pipe_core.graph.caching.disk import DiskCache


@node
def written(folder: str, value: int) -> int:
    (Path(folder) / f"{value}-{time.monotonic_ns()}").touch()
    return value + 1


@node
def after(folder: str, written: int) -> int:
    return written * 2


@pytest.mark.parametrize("nodes", ["sync", "threads", "asyncio", "loky"])
@pytest.mark.parametrize("items", ["sync", "threads", "loky"])
def test_what_one_process_has_made_another_one_finds(nodes: str, items: str, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    ran.mkdir()
    inputs: dict[str, Any] = {"folder": str(ran), "value": range(12)}
    pipeline = Pipeline([written, after], cache=DiskCache(tmp_path / "cache"))
    with Engine(nodes, items, max_workers=2) as engine:
        for _ in range(2):
            found = pipeline.map(inputs, "value", engine=engine)
            assert found["after"] == [2 * (value + 1) for value in range(12)]
    assert len(list(ran.iterdir())) == 12
    assert pipeline.map(inputs, "value")["after"] == found["after"]
    assert len(list(ran.iterdir())) == 12
