"""A stream that is killed between and inside micro-batches, for `test_stream_kills.py`. FOLDER SINK COUNT DELAY."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pipe_core.project.project import Project
from pipe_core.project.runs.runner import Runner


def slowly(rows: list[dict[str, int]]) -> list[dict[str, int]]:
    time.sleep(0.003)
    return rows


def project(folder: Path, sink: dict[str, Any]) -> Project:
    """Copies `log.jsonl` into the sink, in small micro-batches."""
    node = {
        "function": slowly,
        "input": "log",
        "output": "seen",
        "streaming": {"trigger": 0.01, "batch_size": 7},
    }
    whole = {
        "nodes": {"copy": node},
        "catalog": {"log": {"path": "log.jsonl"}, "seen": {**sink, "mode": "append"}},
        "pipelines": {"live": {"nodes": ["copy"], "type": "streaming"}},
    }
    return Project.load(whole, folder=folder)


def main(folder: Path, sink: dict[str, Any], count: int, delay: float) -> None:
    runner = Runner(project(folder, sink))
    if delay:
        timer = threading.Timer(delay, os.kill, [os.getpid(), signal.SIGKILL])
        timer.daemon = True  # whoever fails must not be taken for one that was killed
        timer.start()
    running = runner.start("live", journal=False)
    state = runner.runs / "streams" / "live" / "copy" / "state.json"

    def is_done() -> bool:
        # a line has nine bytes
        return (
            state.exists() and f'"bytes": {9 * count}' in state.read_text() and '"pending": null' in state.read_text()
        )

    assert running.until(is_done, 40), running.wait(1)
    running.stop(5)
    print("done", flush=True)
    os._exit(0)


if __name__ == "__main__":
    import json

    main(Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
