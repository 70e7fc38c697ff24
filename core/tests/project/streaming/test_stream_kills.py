"""Streams that are killed at any moment: each record is stored once."""

from __future__ import annotations

import json
import random
import runpy
from pathlib import Path
from typing import Any

KILLING: Any = runpy.run_path(str(Path(__file__).with_name("stream_killing.py")))


def test_each_record_comes_through_once(tmp_path: Path) -> None:
    kills = KILLING["stream_with_kills"](tmp_path, {"path": "seen.jsonl"}, 5, random.Random(1), 0.3)
    seen = [json.loads(line)["n"] for line in (tmp_path / "seen.jsonl").read_text().splitlines()]
    assert seen == KILLING["EXPECTED"]
    assert kills
