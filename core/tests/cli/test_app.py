from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from pipe_core.cli.app import COMMANDS, app
from pipe_core.looks import exits

Pipe = Callable[..., Result]

_IMPORTED = """
import json, sys
from pipe_core.cli import main
try:
    main()
except SystemExit as stop:
    sys.stderr.write(json.dumps([stop.code or 0, sorted(sys.modules)]))
"""


def _modules(*words: str) -> tuple[int, set[str]]:
    done = subprocess.run([sys.executable, "-c", _IMPORTED, *words], capture_output=True, text=True, check=True)
    code, names = json.loads(done.stderr)
    return code, set(names)


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("plugins", "list"), ("plugins", "list", "--json")])
def test_what_only_lists_imports_nothing_heavy_and_no_plugin(words: tuple[str, ...]) -> None:
    code, modules = _modules(*words)

    assert code == 0
    heavy = {"pydantic", "pydantic_core", "rich", "yaml", "stevedore", "pluggy", "msgpack", "cloudpickle", "asyncio"}
    assert not heavy & modules
    plugins = {"executors", "schedulers", "codecs", "hooks", "formats", "observers"}
    assert not {name for name in modules if name.startswith("pipe_core.") and name.split(".")[1] in plugins}


@pytest.mark.skipif(os.name == "nt", reason="Windows does not tell the time of children")
@pytest.mark.parametrize("words", [("--help",), ("--version",), ("plugins", "list")])
def test_what_only_lists_takes_less_than_a_quarter_of_a_second(words: tuple[str, ...]) -> None:
    times = []
    for _ in range(5):
        before = os.times()
        subprocess.run([sys.executable, "-m", "pipe_core.cli", *words], capture_output=True, check=True)
        after = os.times()
        # Time of the processor: on a busy machine the clock on the wall tells about the neighbours.
        times.append(after.children_user - before.children_user + after.children_system - before.children_system)

    assert 0 < min(times) < 0.25


def test_help_shows_every_command(pipe: Pipe) -> None:
    result = pipe("--help")

    assert result.exit_code == 0
    for name, (_, line) in COMMANDS.items():
        assert name in result.stdout
        assert line in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_its_line_is_the_one_in_the_table(pipe: Pipe, name: str) -> None:
    result = pipe(name, "--help")

    assert result.exit_code == 0
    assert "Usage: pipe" in result.stdout


def test_without_a_command_the_help_is_shown_once(pipe: Pipe) -> None:
    result = pipe()

    assert result.exit_code == exits.USAGE
    assert result.stderr.count("Usage:") == 1
    assert "Error" not in result.stderr


def test_a_wrong_command_is_told_with_the_nearest(pipe: Pipe) -> None:
    result = pipe("vlidate")

    assert result.exit_code == exits.USAGE
    assert "There is no command 'vlidate'. Did you mean 'validate'?" in result.stderr


def test_the_version_names_pipe_and_python(pipe: Pipe) -> None:
    assert pipe("--version").stdout.startswith("pipe-core ")


@pytest.mark.parametrize("how", ["--traceback", "PIPE_TRACEBACK"])
def test_a_traceback_is_shown_when_asked_for(pipe: Pipe, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["validate", "nope.csv", "--schema", "orders.py:Order"]
    assert "Traceback" not in pipe(*words).stderr
    if how == "--traceback":
        words.append(how)
    else:
        monkeypatch.setenv(how, "1")

    result = pipe(*words)

    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Error: ")


def test_a_bug_is_one_line_and_says_what_to_do(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, ctx: object) -> list[str]:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(type(app), "list_commands", broken)
    monkeypatch.setattr(type(app), "get_command", broken)

    result = pipe("doctor")

    assert result.exit_code == exits.RUN_FAILED
    assert "Traceback" not in result.stderr
    assert "report what it shows" in result.stderr


def test_the_table_of_exit_codes_names_every_code() -> None:
    codes = {value for name, value in vars(exits).items() if name.isupper()}

    assert all(f"| {code} |" in str(exits.__doc__) for code in codes)


def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    rows = "\n".join(f"{i},1" for i in range(100_000))
    (folder / "big.csv").write_text(f"id,amount\n{rows}\n", encoding="utf-8")
    words = ["validate", "big.csv", "--schema", "orders.py:Order", "--to", "-", "--no-progress"]

    with subprocess.Popen(
        [sys.executable, "-m", "pipe_core.cli", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()

    assert process.returncode == exits.PIPE_CLOSED
    assert errors == b""
