"""The package: how a plugin describes itself, and how it does in a script of its own."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, cast

import pytest
from pydantic import BaseModel

from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.kernel import Choice
from pipe_core.kernel.specs import Capabilities, ExecutorSpec
from pipe_core.runtime.executor import Executor
from pipe_core.runtime.select import get_executor
from pipe_core.testing.executing.gates import alive, wait_until
from pipe_core.testing.executing.ground import Ground
from pipe_core.testing.executing.limits import limited

_SCRIPT: Final = """
import json, os, sys
from concurrent.futures import ThreadPoolExecutor
from pydantic import BaseModel, field_validator
from pipe_core import get_executor
import beside

class Person(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def tidy(cls, value):
        return value.strip().title()

class Moved(Exception):
    pass

def greet(person):
    return Person(name=f" {person.name} again ")

def fail():
    raise Moved("away")

name, options = json.loads(sys.argv[1])
executor = get_executor(name, **options)
found = executor.submit(greet, Person(name=" ada "), ).result()
found = {
    "model": [type(found) is Person, found.name],
    "calls": sorted(executor.map(lambda i: beside.double(i), range(5))),
    "beside": executor.submit(beside.double, 4).result(),
    "error": str(executor.submit(fail).exception()),
    "folders": sorted(set(executor.map(lambda _: os.getcwd(), range(8)))),
    "pids": sorted(set(executor.map(lambda _: os.getpid(), range(8)))),
}
print("found", json.dumps(found), flush=True)
"""

_ENDING: Final = """
late = executor.submit(lambda: __import__("time").sleep(0.2))
late.add_done_callback(lambda _: print("late call ended", flush=True))
"""

_IMPORTS: Final = """
import json, sys
import pipe_core
from pydantic import BaseModel
from pipe_core import ExecutorSpec, hookimpl, get_executor
from pipe_core.kernel.kernel import current_kernel
before = set(sys.modules)
current_kernel().spec("executors", sys.argv[1])
print(json.dumps(sorted(set(sys.modules) - before)))
"""


@limited
class PackageTests(Ground):
    """What a plugin says of itself, and what it does where nothing else is set up."""

    # --- the spec ---

    def test_an_unknown_option_is_refused(self) -> None:
        """By its name."""
        choice = self._named()
        with pytest.raises(OptionsError, match="no_such_option"):
            get_executor(choice.entry.name, no_such_option=1)

    def test_options_are_frozen_and_closed(self) -> None:
        """A pydantic model with ``frozen=True`` and ``extra="forbid"``."""
        options = self._named().spec.options
        assert issubclass(options, BaseModel)
        assert options.model_config.get("frozen") is True, f"{options.__name__} is not frozen"
        assert options.model_config.get("extra") == "forbid", f'{options.__name__} has not extra="forbid"'

    def test_it_describes_itself(self, ready: Executor) -> None:
        """With a line for ``pipe plugins list``, and capabilities that are those of its executor."""
        spec = self._named().spec
        assert isinstance(spec, ExecutorSpec)
        assert isinstance(spec.capabilities, Capabilities)
        assert spec.summary
        assert "\n" not in spec.summary
        assert ready.capabilities == spec.capabilities
        assert ready.name == self._named().entry.name

    def test_its_module_imports_nothing_heavy(self, tmp_path: Path) -> None:
        """Being listed must not import the system that it is about: that is what the factory is for."""
        choice = self._named()
        heavy = self.heavy if self.heavy is not None else _needs_of(choice)
        done = self._python(tmp_path, "-c", _IMPORTS, choice.entry.name)
        assert done.returncode == 0, done.stderr
        imported = {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
        assert imported & set(heavy) == set(), "describing the plugin imports what only its factory should"

    def test_two_executors_share_nothing(self, ready: Executor) -> None:
        """The end of one does not touch the other."""
        with self._made() as other:
            assert other is not ready
            self._check_alive(other)
        self._check_alive(ready)

    # --- scripts ---

    def test_a_script_without_a_guard_runs(self, tmp_path: Path) -> None:
        """What it defines runs everywhere, models with validators and a module beside it too; it ends by itself."""
        choice = self._named()
        (tmp_path / "scripts").mkdir()
        (tmp_path / "scripts" / "beside.py").write_text("def double(value):\n    return 2 * value\n", "utf-8")
        script = tmp_path / "scripts" / "script.py"
        script.write_text(_SCRIPT + _ENDING, "utf-8")
        options = choice.options.model_dump(mode="json", exclude_unset=True) | self._defaults(self._asked())
        done = self._python(tmp_path, str(script), json.dumps([choice.entry.name, options]))
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        found = json.loads(re.findall(r"^found (.*)$", done.stdout, re.MULTILINE)[0])
        assert found["model"] == [True, "Ada Again"]
        assert found["calls"] == [0, 2, 4, 6, 8]
        assert found["beside"] == 8
        assert "away" in found["error"]
        assert found["folders"] == [str(tmp_path.resolve())], "workers run elsewhere than their driver"
        assert "late call ended" in done.stdout, f"a call that was submitted before the end did not run: {output}"
        assert "leaked" not in done.stderr, output
        if not cast(ExecutorSpec, choice.spec).capabilities.in_process:
            pids = found["pids"]
            wait_until(lambda: not any(map(alive, pids)), self.patience, lambda: f"{pids} outlive their script")

    # --- helpers ---

    def _named(self) -> Choice:
        choice = self._choice()
        if choice is None:
            pytest.skip("it was made by a factory, not chosen by a name")
        return choice

    def _python(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A Python of its own in *folder*."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PIPE_")}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=kept,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=self.start_seconds + self.patience,
        )


def _needs_of(choice: Choice) -> set[str]:
    """The modules of the distributions that the plugin's one asks for, those of core aside."""
    asked = importlib.metadata.requires(choice.entry.distribution) or []
    names = {re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in asked if "extra ==" not in line}
    core = {"pipe-core", *(re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in _requires("pipe-core"))}
    wanted = {_plain(name) for name in names} - {_plain(name) for name in core}
    found: dict[str, Any] = dict(importlib.metadata.packages_distributions())
    return {module for module, owners in found.items() if wanted & {_plain(owner) for owner in owners}}


def _requires(distribution: str) -> list[str]:
    return importlib.metadata.requires(distribution) or []


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
