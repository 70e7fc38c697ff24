"""The example in README.md runs, and importing the package imports no library."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1].joinpath("README.md").read_text("utf-8")


def test_the_example_prints_what_it_says() -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec", dont_inherit=True), {"__name__": "example"})
    assert printed.getvalue().splitlines() == re.findall(r"# -> (.*)", code)


def test_a_library_is_imported_only_for_who_asks_for_it() -> None:
    code = (
        "import sys, pipe_ml\n"
        "from pipe_core import ExperimentCommand\n"
        "ExperimentCommand(lambda x: x[0], [(0.0, 1.0)], 2, optimizer='random').execute()\n"
        "assert 'optuna' not in sys.modules\n"
        "ExperimentCommand(lambda x: x[0], [(0.0, 1.0)], 2).execute()\n"
        "assert 'optuna' in sys.modules and 'skopt' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")
