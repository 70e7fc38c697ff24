from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from part_cases import QUOTED

from pipe_core.formats import joined_sink, part_sink


@pytest.fixture(params=["sync", "two threads", "loky"])
def executor(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "two threads":
        with ThreadPoolExecutor(2) as pool:
            yield pool
        return
    if request.param == "loky" and importlib.util.find_spec("pipe_loky") is None:
        pytest.skip("loky is not installed: pip install pipe-loky")
    yield request.param


@pytest.fixture(params=[1, 10**9], ids=["by workers", "by the driver"])
def least(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """From how many bytes on rows are written by workers."""
    for module in (part_sink, joined_sink):
        monkeypatch.setattr(module, "LEAST", request.param)
    return int(request.param)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Line ends in quotes: many splits begin at a wrong guess and are read again."""
    path = tmp_path / "in" / "in.csv"
    path.parent.mkdir()
    path.write_text(QUOTED, encoding="utf-8")
    return path
