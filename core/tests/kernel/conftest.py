from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_distributions import Site  # found through the line above

from pipe_core.kernel.kernel import Kernel


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Where made-up distributions are installed; gone after the test, and so are the modules that it imported."""
    before = set(sys.modules)
    yield Site(tmp_path / "site", monkeypatch)
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """A kernel that sees neither the environment nor any settings file of the machine."""
    return Kernel(environ={}, folder=tmp_path)
