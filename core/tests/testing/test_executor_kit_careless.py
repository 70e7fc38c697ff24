"""The kit for executors fails an installed package that is wrong in whatever only an installed one can be."""

from __future__ import annotations

from pathlib import Path

from executor_runs import Run

CARELESS = {
    "careless-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: careless\nVersion: 1.0\n",
    "careless-1.0.dist-info/entry_points.txt": "[pipe_core.executors]\ncareless = careless\n",
    "careless.py": """
import os
import wave  # stands for something large
from concurrent.futures import ThreadPoolExecutor
from pydantic import BaseModel
from pipe_core import Capabilities, ExecutorSpec, hookimpl
from pipe_core.runtime.foreign import ForeignBackend

POOL = ThreadPoolExecutor(2)


class Options(BaseModel):
    max_workers: int | None = None


class Careless(ForeignBackend):
    def __init__(self, options):
        os.chdir("/")
        super().__init__(POOL, in_process=True)

    def stop(self, kill=False):
        POOL.shutdown()


@hookimpl
def pipe_executor(name):
    if name == "careless":
        return ExecutorSpec(Careless, Options, "", capabilities=Capabilities(isolation="thread"))
""",
    "test_made.py": """
from pipe_core.testing import ExecutorConformance

class TestCareless(ExecutorConformance):
    executor = "careless"
    heavy = ["wave"]
    patience = 2.0
""",
}
"""A package that is installed and wrong in whatever only an installed one can be."""

CARELESS_IN = [
    "test_an_unknown_option_is_refused",
    "test_options_are_frozen_and_closed",
    "test_it_describes_itself",
    "test_its_module_imports_nothing_heavy",
    "test_two_executors_share_nothing",
    "test_a_script_without_a_guard_runs",
]


def test_the_kit_fails_a_package_that_is_careless(tmp_path: Path) -> None:
    for name, text in CARELESS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    tests = [f"test_made.py::TestCareless::{test}" for test in CARELESS_IN]
    output = Run(tmp_path, CARELESS["test_made.py"], *tests).output()
    assert [test for test in tests if f"FAILED {test}" not in output] == [], output
