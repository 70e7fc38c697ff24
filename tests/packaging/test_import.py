"""`import pipe_core` is quick because it imports next to nothing."""

import json
import subprocess
import sys
from pathlib import Path

HEAVY = {
    "click",
    "cloudpickle",
    "lz4",
    "msgpack",
    "pluggy",
    "psutil",
    "pydantic",
    "pydantic_core",
    "rich",
    "stevedore",
    "yaml",
}
BACKENDS = {"dask", "distributed", "loky", "ray"}


def modules_after(statement: str, folder: Path) -> set[str]:
    code = f"import sys, json\n{statement}\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder, timeout=50
    )
    return set(json.loads(done.stdout))


def test_import_loads_no_dependency_and_no_backend(tmp_path: Path) -> None:
    loaded = modules_after("import pipe_core", tmp_path) - modules_after("pass", tmp_path)
    assert "pipe_core" in loaded
    assert {name.partition(".")[0] for name in loaded} & (HEAVY | BACKENDS) == set()


def test_import_scans_no_entry_points(tmp_path: Path) -> None:
    loaded = modules_after("import pipe_core", tmp_path) - modules_after("pass", tmp_path)
    assert "importlib.metadata" not in loaded


def test_import_takes_less_than_60_milliseconds_of_the_processor(tmp_path: Path) -> None:
    code = "import time\nstart = time.process_time()\nimport pipe_core\nprint(time.process_time() - start)"
    seconds = []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=50
        )
        seconds.append(float(done.stdout))
    assert min(seconds) < 0.060, f"best of five: {min(seconds):.3f} s"
