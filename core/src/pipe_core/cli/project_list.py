"""``pipe list`` and ``pipe info``: what a project has, and what is known of one pipeline, node or data set of it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pipe_core.cli.errors import Mistake
from pipe_core.cli.output import public, redact, table, write_json
from pipe_core.cli.project_options import Where, project_switches
from pipe_core.looks.wording import several

if TYPE_CHECKING:
    from pydantic import BaseModel

    from pipe_core.project.project import Project

_JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
_SECTIONS: Final = {"pipeline": "pipelines", "node": "nodes", "dataset": "catalog"}
"""The kinds of things that have names, and the top key of each."""


@click.command("list")
@_JSON
@project_switches()
def list_pipelines(where: Where, as_json: bool) -> None:
    """List the pipelines of the project."""
    project = where.load()
    if as_json:
        write_json(
            [{"name": one.name, "type": one.type, "nodes": list(one.nodes)} for one in project.pipelines.values()]
        )
        return
    if not project.pipelines:
        click.echo(f"The project {project.name} has no pipelines: say them under pipelines: in {_file(project)}.")
        return
    rows = [(one.name, one.type, ", ".join(one.nodes), one.description) for one in project.pipelines.values()]
    wide = 4 if any(row[3] for row in rows) else 3
    click.echo(redact(table([row[:wide] for row in rows], ("pipeline", "type", "nodes", "description")[:wide])))


@click.command()
@click.argument("name", required=False, metavar="[NAME]")
@_JSON
@project_switches()
def info(name: str | None, where: Where, as_json: bool) -> None:
    """Show what is known of the project; or of the pipeline, the node or the data set NAME.

    Where one name is several of these, write pipeline:NAME, node:NAME or dataset:NAME.
    """
    project = where.load()
    facts = public(_of_project(project) if name is None else _of_thing(project, *_found(project, name)))
    if as_json:
        write_json(facts)
    else:
        rows = [(f"{key}:", text) for key, value in facts.items() if (text := _words(value)) not in ("", "no")]
        click.echo(redact(table(rows)))


def _file(project: Project) -> str:
    return project.path.name if project.path is not None else "the project"


def _found(project: Project, name: str) -> tuple[str, str]:
    """The kind of the thing that is called *name*, and its name.

    Raises:
        Mistake: There is none, or there are several.
    """
    from pipe_core.kernel.index import suggestion

    things: dict[str, Mapping[str, Any]] = {
        "pipeline": project.pipelines,
        "node": project.nodes,
        "dataset": project.datasets,
    }
    kind, separator, rest = name.partition(":")
    if separator and kind in things and rest in things[kind]:
        return kind, rest
    kinds = [kind for kind, there in things.items() if name in there]
    if len(kinds) == 1:
        return kinds[0], name
    if kinds:
        raise Mistake(f"'{name}' is {' and '.join(f'a {one}' for one in kinds)}. Write {kinds[0]}:{name}, for example.")
    known = [one for there in things.values() for one in there]
    raise Mistake(
        f"The project {project.name} has no pipeline, node or data set '{name}'.{suggestion(name, known)} Pipelines: "
        f"{_some(project.pipelines)}. Nodes: {_some(project.nodes)}. Data sets: {_some(project.datasets)}."
    )


def _some(names: Mapping[str, Any]) -> str:
    known = list(names)
    return (", ".join(known[:10]) or "none") + (f" and {len(known) - 10} more" if len(known) > 10 else "")


# --- facts ---


def _of_project(project: Project) -> dict[str, Any]:
    from pipe_core.cli.project_plan import executor_of

    settings = project.settings
    return {
        "project": project.name,
        "description": settings.description,
        "file": str(project.path or ""),
        "env": project.env,
        "environments": list(project.environments),
        "executor": executor_of(settings.executor),
        "max_workers": settings.max_workers,
        "start_date": settings.start_date,
        "end_date": settings.end_date,
        "pipelines": list(project.pipelines),
        "nodes": list(project.nodes),
        "datasets": list(project.datasets),
        "runs": str(project.folder / settings.runs),
    }


def _of_thing(project: Project, kind: str, name: str) -> dict[str, Any]:
    thing: BaseModel = {"pipeline": project.pipelines, "node": project.nodes, "dataset": project.datasets}[kind][name]
    said = thing.model_dump(mode="python", exclude_none=True, by_alias=True, exclude={"name", "function", "schema"})
    facts = {kind: name, "place": project.place(_SECTIONS[kind], name)}
    more = {"pipeline": _pipeline, "node": _node, "dataset": _dataset}[kind]
    return {**facts, **more(project, name), **{key: _plain(value) for key, value in said.items() if key not in facts}}


def _pipeline(project: Project, name: str) -> dict[str, Any]:
    return {}


def _node(project: Project, name: str) -> dict[str, Any]:
    function = project.function(name)
    used = [one.name for one in project.pipelines.values() if name in one.nodes]
    doc = (inspect.getdoc(function) or "").partition("\n")[0]
    return {"function": _called(function), "code": _code(project, function), "does": doc, "pipelines": used}


def _dataset(project: Project, name: str) -> dict[str, Any]:
    from pipe_core.kernel.errors import PipeError

    makes = [node.name for node in project.nodes.values() if name in node.output]
    takes = [node.name for node in project.nodes.values() if name in node.input]
    schema = project.datasets[name].record_schema
    try:
        there = "yes" if project.catalog.exists(name) else "not yet"
    except (PipeError, OSError) as error:
        there = f"nobody can tell: {error}"
    called = {} if schema is None else {"schema": _called(schema)}
    return {"exists": there, "made_by": makes, "taken_by": takes, **called}


def _called(thing: Any) -> str:
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', thing)}"


def _code(project: Project, function: Any) -> str:
    """Where the function is: ``steps.py:12``."""
    try:
        plain = inspect.unwrap(function)
        path, line = Path(inspect.getfile(plain)), inspect.getsourcelines(plain)[1]
    except (TypeError, OSError):  # it has no source
        return ""
    shown = path.relative_to(project.folder) if path.is_relative_to(project.folder) else path
    return f"{shown}:{line}"


def _plain(value: Any) -> Any:
    """*value* as what JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool | None) else _called(value)


# --- as text ---


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_words(inner)}" for key, inner in value.items() if inner not in (None, [], {}, ""))
    if isinstance(value, list):
        return ", ".join(map(_words, value)) if len(value) <= 20 else f"{several(len(value), 'name')}: see --json"
    return "" if value is None else str(value)
