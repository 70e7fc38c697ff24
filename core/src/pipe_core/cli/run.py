"""``pipe run``: the pipe that a YAML file describes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from pipe_core.cli.errors import Mistake
from pipe_core.cli.running import check_report_path, execute, observers, overrides, run_switches

_EXAMPLE: Final = """\b
For example:
  pipe:
    source: orders.csv
    schema: orders.py:Order
    sink: valid.jsonl
    errors: rejected.jsonl
"""


@click.command(epilog=_EXAMPLE)
@click.argument("target", metavar="FILE")
@click.option("--allow-outside", is_flag=True, help="FILE may name sources and sinks outside its folder.")
@run_switches
def run(target: str, allow_outside: bool, no_progress: bool, report: str | None, as_json: bool, **switches: Any) -> int:
    """Run the pipe in FILE, a YAML file with the key 'pipe:'. Switches overrule the file."""
    from pipe_core.project.pipe_file import load_pipe_file

    path = _file(target)
    check_report_path(report)
    file = load_pipe_file(path, allow_outside=allow_outside)
    given = overrides(**switches)
    if "observers" not in file.parameters:
        given["observers"] = observers(progress=not (no_progress or as_json))
    to_standard = any(_path(file.parameters.get(name)) == "-" for name in ("sink", "errors"))
    if as_json and to_standard:
        raise Mistake("--json and records would mix on standard output. Write the report to a file: --report r.json.")
    with _explained(path, typed="executor" in given):
        return execute(file.pipe(**given), as_json=as_json, report=report, results=not to_standard)


@contextmanager
def _explained(path: Path, *, typed: bool) -> Iterator[None]:
    """What the file at *path* says wrongly names the file; an executor that was *typed* is usage.

    Raises:
        Mistake: In place of an error about the executor that was typed.
        ConfigError: In place of an error about an option in the file.
    """
    from pipe_core.kernel.errors import ConfigError, OptionsError, PluginNotFoundError, SettingsError

    try:
        yield
    except PluginNotFoundError as error:
        if typed and error.family == "executors":
            raise Mistake(str(error)) from error
        raise
    except SettingsError:
        raise
    except OptionsError as error:
        if typed and "executor '" in str(error):
            raise Mistake(str(error)) from error
        raise ConfigError(str(error).replace("(from the call)", f"(from {path})"), path=str(path)) from error


def _file(target: str) -> Path:
    path = Path(target)
    if path.is_file():
        return path
    if path.is_dir():
        raise Mistake(f"'{target}' is a folder. Name the YAML file in it, for example {path / 'pipe.yaml'}.")
    text = f"There is no file '{target}'."
    if path.suffix.lower() not in (".yaml", ".yml"):
        text += " Pipelines of a project, by their names, cannot be run yet: give a YAML file with the key 'pipe:'."
    raise Mistake(text)


def _path(place: Any) -> Any:
    return place["path"] if isinstance(place, dict) else place
