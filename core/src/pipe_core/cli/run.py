"""``pipe run``: the pipe that a YAML file describes, or a pipeline of a project."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from pipe_core.cli.errors import Mistake
from pipe_core.cli.project_options import Where, project_switches
from pipe_core.cli.project_running import How, Said, choice_switches, running_switches
from pipe_core.cli.running import check_report_path, check_resumed, execute, observers, overrides, run_switches

_EXAMPLE: Final = """\b
For example:
  pipe run daily --start-date 2025-01-01 --end-date 2025-01-31
  pipe run daily --from clean -x threads --set nodes.clean.retries=5
  pipe run orders.yaml --mode overwrite
"""
_SUFFIXES: Final = (".yaml", ".yml", ".toml", ".json", ".py")
_OF_RECORDS: Final = ("mode", "limit", "max_errors", "report", "checkpoint", "resumed", "force")
"""Switches that a project's pipeline has not."""
_INSTEAD: Final = {
    "--report": (
        "Its runs are kept: 'pipe runs' lists them, 'pipe runs RUN' shows one, --json gives it as data; and 'pipe "
        "graph PIPELINE -o FILE.html' draws it."
    )
}
"""What to use in place of such a switch, where there is something."""


@click.command(epilog=_EXAMPLE)
@click.argument("target", metavar="PIPELINE|FILE")
@choice_switches
@click.option("--start-date", metavar="DATE", help="The first day.  [default: the pipeline's, else the project's]")
@click.option("--end-date", metavar="DATE", help="The last day, alike.")
@click.option("--dry-run", is_flag=True, help="Show what would run, in which order, on what. Nothing runs.")
@click.option("--no-journal", is_flag=True, help="Keep nothing of the run: it cannot be resumed.")
@running_switches
@project_switches(traceback=False)
@run_switches
def run(target: str, where: Where, no_progress: bool, as_json: bool, executor: str | None, **switches: Any) -> int:
    """Run PIPELINE, by its name in the project around the working folder; or the pipe in FILE, with the key 'pipe:'.

    --mode, --limit, --max-errors and --report are for FILE; what says which nodes, dates, parameters and which project,
    for PIPELINE.
    """
    of_records = {name: switches.pop(name) for name in _OF_RECORDS}
    if _is_file(target, where):
        _check_kind(_given(switches, where), "the file of a record pipe", "pipelines of projects")
        return _run_file(
            target, where.allow_outside, no_progress=no_progress, as_json=as_json, executor=executor, **of_records
        )
    _check_kind(_given(of_records), "a pipeline of a project", "files of record pipes")
    return _run_pipeline(target, where, executor, How(as_json, not no_progress, switches.pop("verbose")), **switches)


def _given(switches: dict[str, Any], where: Where | None = None) -> dict[str, Any]:
    """Those of the switches that were given, as they are typed."""
    names = {"nodes": "--node", "start_from": "--from", "up_to": "--to", "resumed": "--resume"}
    found = {names.get(key, f"--{key.replace('_', '-')}"): value for key, value in switches.items() if value}
    if where is not None:
        found |= {"--env": where.env} if where.env is not None else {}
        found |= {"--set": where.settings} if where.settings else {}
    return found


def _check_kind(said: dict[str, Any], kind: str, other: str) -> None:
    """Refuse switches that are for *other* things than the *kind* of thing that was named. Raises `Mistake`."""
    if said:
        switch = next(iter(said))
        instead = _INSTEAD.get(switch, "Leave it out.")
        raise Mistake(f"{switch} is for {other}, and this is {kind}. {instead}")


def _is_file(target: str, where: Where) -> bool:
    """Whether *target* is the file of a record pipe, and no pipeline's name.

    Raises:
        Mistake: It is both, or a folder.
    """
    if where.place is not None:
        return False
    path = Path(target)
    if path.suffix.lower() in _SUFFIXES or "/" in target or os.sep in target:
        return True
    if not path.is_file():
        return False
    if _has_pipeline(target):
        raise Mistake(f"'{target}' is a file and a pipeline. Write ./{target} for the file, or add --project .")
    return True


def _has_pipeline(name: str) -> bool:
    """Whether a project around here has a pipeline of that name."""
    from pipe_core.kernel.errors import ConfigError
    from pipe_core.project.project import Project

    try:
        return name in Project.load().pipelines
    except ConfigError:
        return False


def _file(target: str) -> Path:
    path = Path(target)
    if path.is_file():
        return path
    raise _folder(path, target) if path.is_dir() else Mistake(f"There is no file '{target}'.")


def _folder(path: Path, target: str) -> Mistake:
    return Mistake(f"'{target}' is a folder. Name the YAML file in it, for example {path / 'pipe.yaml'}.")


# --- files of record pipes ---


def _run_file(
    target: str,
    allow_outside: bool,
    *,
    no_progress: bool,
    as_json: bool,
    report: str | None,
    resumed: str | None,
    force: bool,
    **switches: Any,
) -> int:
    from pipe_core.project.pipe_file import load_pipe_file

    path = _file(target)
    check_report_path(report)
    file = load_pipe_file(path, allow_outside=allow_outside)
    check_resumed(switches, resumed, force=force, in_file=bool(file.parameters.get("checkpoint")))
    given = overrides(**switches)
    if "observers" not in file.parameters:
        given["observers"] = observers(progress=not (no_progress or as_json))
    to_standard = any(_path(file.parameters.get(name)) == "-" for name in ("sink", "errors"))
    if as_json and to_standard:
        raise Mistake("--json and records would mix on standard output. Write the report to a file: --report r.json.")
    with _explained(path, typed="executor" in given):
        pipe = file.pipe(**given)
        return execute(pipe, as_json=as_json, report=report, results=not to_standard, resumed=resumed, force=force)


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


def _path(place: Any) -> Any:
    return place["path"] if isinstance(place, dict) else place


# --- pipelines of projects ---


def _run_pipeline(
    name: str,
    where: Where,
    executor: str | None,
    how: How,
    *,
    dry_run: bool,
    no_journal: bool,
    max_workers: int | None,
    **said: Any,
) -> int:
    from pipe_core.cli.project_options import typed
    from pipe_core.cli.project_running import drive, runner_of

    wanted = Said(**said)
    arguments = wanted.arguments()
    project = _project(name, where)
    _check_name(name, project)
    with typed(executor=executor, choice=wanted.chooses), runner_of(project, executor, max_workers) as runner:
        if dry_run:
            from pipe_core.cli.project_plan import show_plan

            show_plan(project, runner.prepare(runner.asked(name, **arguments)), as_json=how.as_json)
            return 0
        return drive(
            runner,
            lambda callbacks: runner.run(name, **arguments, journal=not no_journal, callbacks=callbacks),
            where,
            how,
        )


def _check_name(name: str, project: Any) -> None:
    """Tell somebody who names a node how to run one. Raises `Mistake`."""
    if name in project.pipelines or name not in project.nodes:
        return
    around = next((one.name for one in project.pipelines.values() if name in one.nodes), None)
    if around is None:
        raise Mistake(f"'{name}' is a node, and in no pipeline. Add it to the nodes of one, and run that.")
    raise Mistake(f"'{name}' is a node, and no pipeline. Run it with: pipe run {around} --node {name}")


def _project(name: str, where: Where) -> Any:
    """The project; where there is none, *name* may have been meant as a file."""
    from pipe_core.cli.project_options import NoProject

    try:
        return where.load()
    except NoProject as error:
        path = Path(name)
        if where.place is None and path.is_dir():
            raise _folder(path, name) from error
        raise Mistake(f"There is no file '{name}', and {str(error.message)[0].lower()}{error.message[1:]}") from error
