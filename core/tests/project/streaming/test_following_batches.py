"""Streams that follow what a batch node of the same pipeline stores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipe_core.project.project import Project
from pipe_core.project.runs.runner import Runner


@pytest.mark.parametrize("said", [{"input": "events"}, {"dependencies": "first"}])
def test_a_stream_follows_what_a_batch_node_stores(tmp_path: Path, said: dict[str, str]) -> None:
    runs = iter([[{"n": 1}, {"n": 2}], [{"n": 3}]])
    live = {"function": lambda rows: rows, "output": "seen", "streaming": {"trigger": "available_now"}, **said}
    whole = {
        "catalog": {
            "events": {"path": "events.jsonl", "mode": "append"},
            "seen": {"path": "seen.jsonl", "mode": "append"},
        },
        "nodes": {"first": {"function": lambda: next(runs), "output": "events"}, "live": live},
        "pipelines": {"main": {"nodes": ["first", "live"], "type": "hybrid"}},
    }
    with Runner(Project.load(whole, folder=tmp_path)) as runner:
        for _ in range(2):
            assert runner.run("main").statuses == {"first": "completed", "live": "completed"}
    seen = [json.loads(line)["n"] for line in (tmp_path / "seen.jsonl").read_text().splitlines()]
    assert seen == [1, 2, 3]
