"""``pipe check``: everything that is wrong with a project, with file and line. Nothing of it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipe_core.cli import exits
from pipe_core.cli.output import public, redact, write_json
from pipe_core.cli.project_options import Where, project_switches, typed
from pipe_core.cli.project_running import check_place
from pipe_core.looks.wording import several

if TYPE_CHECKING:
    from pipe_core.project.project import Project
    from pipe_core.project.validation import ValidationProblem


@click.command()
@click.option("-x", "--executor", metavar="SPEC", help="Where it would run.  [default: as the project says]")
@click.option("--json", "as_json", is_flag=True, help="Print what is wrong as JSON.")
@project_switches()
def check(where: Where, executor: str | None, as_json: bool) -> int:
    """Check the project: its files, its functions, and how each pipeline would run. Nothing runs.

    Exits with 3 where something is wrong.
    """
    project, problems = _problems(where, executor)
    name = None if project is None else project.name
    wrong = [one for one in problems if one["severity"] == "error"]
    if as_json:
        write_json(public({"project": name, "ok": not wrong, "problems": problems}))
        return exits.CONFIGURATION if wrong else exits.OK
    for one in problems:
        click.echo(redact(_line(one)))
    if wrong:
        click.echo(f"{several(len(wrong), 'problem')}.")
        return exits.CONFIGURATION
    assert project is not None  # it could be loaded
    click.echo(
        f"{project.name}: {several(len(project.pipelines), 'pipeline')}, {several(len(project.nodes), 'node')} and "
        f"{several(len(project.datasets), 'data set')} are fine."
    )
    return exits.OK


def _line(problem: dict[str, Any]) -> str:
    place = problem["file"] + (f":{problem['line']}" if problem["line"] else "")
    start = ": ".join(one for one in (place, problem["key"]) if one)
    word = "" if problem["severity"] == "error" else f"{problem['severity']}: "
    return f"{start}: {word}{problem['text']}"


def _problems(where: Where, executor: str | None) -> tuple[Project | None, list[dict[str, Any]]]:
    """The project, if it can be loaded, and all that is wrong with it."""
    from pipe_core.project.config.problems import ProjectConfigError
    from pipe_core.project.validation import validate_project

    try:
        project = where.load()
    except ProjectConfigError as error:
        return None, [_problem("error", one.text, one.path, one.line, one.key) for one in error.problems]
    with typed(executor=executor):
        check_place(executor, project)
        report = validate_project(project, executor=executor)
    return project, [_found(project, one) for one in report.problems]


def _found(project: Project, problem: ValidationProblem) -> dict[str, Any]:
    file, _, line = problem.place.rpartition(":")
    if not line.isdecimal():
        file, line = problem.place, ""
    path = str(project.folder / file)
    return _problem(problem.severity, problem.text, path, int(line) if line else None, problem.key)


def _problem(severity: str, text: str, file: str, line: int | None, key: str | None) -> dict[str, Any]:
    path, here = Path(file), Path.cwd()
    shown = str(path.relative_to(here)) if path.is_relative_to(here) else file
    return {"severity": severity, "file": shown, "line": line, "key": key, "text": text}
