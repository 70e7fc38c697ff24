"""The example of the README."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pipe_core

README = Path(__file__).parents[1] / "README.md"


def test_the_example_prints_what_it_says(cluster: Any, tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    (expected,) = re.findall(r"^print\(.*#\s*(.*)$", example, re.MULTILINE)
    example = example.replace("broker:9092", cluster.servers)
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.stdout.strip() == expected, done.stderr


def test_asking_what_there_is_imports_no_client() -> None:
    code = "import sys, pipe_core; pipe_core.Kernel().spec('formats', 'kafka'); print('confluent_kafka' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout.strip() == "False"
    assert pipe_core.Kernel().format_for_scheme("kafka") == "kafka"
