"""Projects: ``projects_run.py NODES CHECKED``. Prints JSON: microseconds a node, seconds."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from pipe_core import Pipeline
from pipe_core.graph.node import Node
from pipe_core.project.project import Project
from pipe_core.project.runs.runner import Runner


def nothing(*_: Any) -> int:
    """A node that costs nothing."""
    return 1


def chain(count: int) -> Pipeline:
    """So many no-ops as a bare graph."""
    made: dict[str, Any] = {}
    lines = [f"def f{n}({f'of{n - 1}' if n else ''}): return 1" for n in range(count)]
    exec("\n".join(lines), made)  # its own text
    return Pipeline([Node(made[f"f{n}"], f"of{n}") for n in range(count)])


def overhead(folder: Path, count: int) -> dict[str, float]:
    """What a run of a project adds to each node."""
    nodes = {f"n{n}": {"function": nothing, "dependencies": [f"n{n - 1}"] if n else []} for n in range(count)}
    project = Project.load({"nodes": nodes, "pipelines": {"all": {"nodes": list(nodes)}}}, folder=folder)
    graph = chain(count)
    found: dict[str, list[float]] = {"bare": [], "journal": [], "plain": []}
    with Runner(project, "sync") as runner:
        runs = {
            "bare": lambda: graph.run({}),
            "journal": lambda: runner.run("all"),
            "plain": lambda: runner.run("all", journal=False),
        }
        for _ in range(9):
            for name, run in runs.items():
                started = time.perf_counter()
                run()
                found[name].append((time.perf_counter() - started) / count * 1e6)
    bare = median(found["bare"])
    return {"bare": bare, **{name: median(found[name]) - bare for name in ("journal", "plain")}}


def check(folder: Path, count: int) -> float:
    """Seconds of ``pipe check``."""
    (folder / "work.py").write_text("def run(*given):\n    return 1\n")
    lines = ["nodes:"]
    for n in range(count):
        needs = f", dependencies: [n{n - 1}]" if n % 10 else ""
        lines.append(f"  n{n}: {{function: work.run, retries: 2, tags: [t{n % 7}]{needs}}}")
    lines += ["pipelines:", f"  all: {{nodes: [{', '.join(f'n{n}' for n in range(count))}]}}", ""]
    (folder / "pipe.yaml").write_text("\n".join(lines))
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "pipe_core.cli", "check"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def start(folder: Path) -> float:
    """Seconds from the end of a node to the beginning of the one that needs it, while another one goes on."""
    at: dict[str, float] = {}

    def sleeps(name: str, seconds: float) -> Any:
        def node(*_: Any) -> None:
            at[f"{name} begins"] = time.perf_counter()
            time.sleep(seconds)
            at[f"{name} ends"] = time.perf_counter()

        return node

    nodes = {
        "a": {"function": sleeps("a", 0.05)},
        "b": {"function": sleeps("b", 2.0)},
        "c": {"function": sleeps("c", 0.0), "dependencies": "a"},
    }
    project = Project.load({"nodes": nodes, "pipelines": {"all": {"nodes": list(nodes)}}}, folder=folder)
    with Runner(project, "threads", 4) as runner:
        runner.run("all")
    return at["c begins"] - at["a ends"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name in ("overhead", "check", "start"):
            (folder / name).mkdir()
        told = overhead(folder / "overhead", int(sys.argv[1]))
        told["check"] = check(folder / "check", int(sys.argv[2]))
        told["start"] = start(folder / "start")
        print(json.dumps(told))
