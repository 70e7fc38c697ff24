"""A project of twenty nodes that is killed while it runs, for `test_kills.py`. As a program: FOLDER EXECUTOR DELAY."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pipe_core.project.project import Project
from pipe_core.project.runs.result import RunResult
from pipe_core.project.runs.runner import Runner
from pipe_core.runs.errors import ResumeError
from pipe_core.runs.folder import run_ids

COUNT = 20


def make(*given: Any, number: int) -> list[dict[str, int]]:
    time.sleep(0.004)
    total = sum(row["value"] for rows in given for row in rows)
    return [{"node": number, "row": row, "value": (total * 31 + number * 7 + row) % 1_000_003} for row in range(50)]


def function(number: int) -> Any:
    def node(*given: Any) -> list[dict[str, int]]:
        return make(*given, number=number)

    return node


def project(folder: Path) -> Project:
    """Each node takes the results of up to three before it. What they store is overwritten, appended to, or parts."""
    nodes, catalog = {}, {}
    for number in range(COUNT):
        before = [f"n{other}" for other in {number - 1, number // 2, number - 5} if 0 <= other < number]
        stored = number % 5 != 4  # the results of the others are handed over only
        nodes[f"n{number}"] = {"function": function(number), "dependencies": sorted(before)}
        if stored:
            nodes[f"n{number}"]["output"] = [f"d{number}"]
            kind = ("jsonl", "json", "jsonl.gz", "jsonl")[number % 4]
            path = f"out/d{number}/" if number % 7 == 3 else f"out/d{number}.{kind}"
            said: dict[str, Any] = {"path": path, "format": kind.split(".")[0]}
            if path.endswith("l"):
                said["mode"] = "append" if number % 8 == 0 else "overwrite"
            catalog[f"d{number}"] = said
    whole = {"nodes": nodes, "catalog": catalog, "pipelines": {"all": {"nodes": list(nodes)}}}
    return Project.load(whole, folder=folder)


def gone_on(runner: Runner, runs: list[str]) -> RunResult:
    """The end of the last run; of a new one where that was killed before it could say what it was."""
    if runs:
        try:
            return runner.resume(runs[-1])
        except ResumeError as error:
            if "killed at once" not in str(error):
                raise
    return runner.run("all")


def main(folder: Path, executor: str, delay: float) -> None:
    made = project(folder)
    runs = run_ids(folder / "runs")
    with Runner(made, executor, 3) as runner:
        if delay:
            timer = threading.Timer(delay, os.kill, [os.getpid(), signal.SIGKILL])
            timer.daemon = True  # whoever fails must not be taken for one that was killed
            timer.start()
        result = gone_on(runner, runs)
    print(result.status, sum(one.restored for one in result.nodes.values()), flush=True)
    os._exit(0)  # whatever the timer would do


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
