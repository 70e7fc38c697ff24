"""Runs that are killed at any moment and resumed: the stored outputs are those of a run that nobody disturbed."""

from __future__ import annotations

import random
import runpy
from pathlib import Path
from typing import Any

KILLING: Any = runpy.run_path(str(Path(__file__).with_name("killing.py")))


def test_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    assert KILLING["run_once"](tmp_path / "whole", "sync").stdout == "completed 0\n"
    kills = KILLING["run_with_kills"](tmp_path / "killed", ["sync"], random.Random(5), longest=0.2)
    expected = KILLING["stored"](tmp_path / "whole")
    assert KILLING["stored"](tmp_path / "killed") == expected
    assert len(expected) >= 16
    assert kills
