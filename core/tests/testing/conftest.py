from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def _run_pytest(folder: Path, text: str, *arguments: str) -> str:
    (folder / "pytest.ini").write_text("[pytest]\nxfail_strict = true\n")
    (folder / "test_made.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=50)
    return result.stdout + result.stderr


@pytest.fixture
def run_pytest(tmp_path: Path) -> Callable[..., str]:
    """The output of pytest on a file that holds a text."""
    return lambda text, *arguments: _run_pytest(tmp_path, text, *arguments)


@pytest.fixture(scope="module")
def failed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The tests that failed, for each class ``Test…`` of the module's `MUTANTS`: by name, and with their parameters.

    Where the module has an expression `CHOSEN`, only the tests that it chooses run.
    """
    text: str = request.module.MUTANTS
    chosen = ["-k", request.module.CHOSEN] if hasattr(request.module, "CHOSEN") else []
    output = _run_pytest(tmp_path_factory.mktemp("mutants"), text, "--tb=no", *chosen)
    found: dict[str, set[str]] = {name: set() for name in re.findall(r"^class Test(\w+)", text, re.MULTILINE)}
    assert " passed" in output, output
    for name, test in re.findall(r"^FAILED test_made\.py::Test(\w+)::(\S+)", output, re.MULTILINE):
        found[name] |= {test, test.partition("[")[0]}
    return found
