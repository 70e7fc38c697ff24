"""``pipe graph``: a pipeline, of functions or of a project, as text, as a picture, as data, or as what it would do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pipe_core.cli.errors import Mistake
from pipe_core.cli.output import public, redact, write_json
from pipe_core.cli.project_options import NoProject, Where, project_switches

if TYPE_CHECKING:
    from pipe_core.graph.engine import Engine
    from pipe_core.graph.pipeline import Pipeline
    from pipe_core.graph.preview import Preview

_EXAMPLES: Final = """\b
Examples:
  pipe graph texts.py:pipeline
  pipe graph texts.py:pipeline -o texts.svg --depth all --style dark
  pipe graph daily -o daily.png
  pipe graph package.module:pipeline --plan
  pipe graph texts.py:pipeline --plan --timings yesterday.json
"""


def _levels(ctx: click.Context, param: click.Parameter, value: str | None) -> int | str | None:
    """The number; ``all`` stays a word, since None is what was not said."""
    if value is None or value == "all":
        return value
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(f"{value!r} is neither a whole number from 1 on nor 'all'.", ctx, param)
    return int(value)


@click.command(epilog=_EXAMPLES)
@click.argument("reference", metavar="FILE:PIPELINE|NAME")
@click.option("-o", "--output", metavar="FILE", help="Draw it there, as .svg, .png, .html, .mmd or .txt.")
@click.option("--depth", callback=_levels, metavar="N", help="How many levels are open, or 'all'.  [default: 1]")
@click.option("--orient", type=click.Choice(("TB", "LR")), help="From top to bottom or from left to right.")
@click.option("--style", metavar="NAME", help="default, dark, minimal or monochrome.")
@click.option("--plan", "as_plan", is_flag=True, help="Show what a run would do: levels, and where nodes run.")
@click.option(
    "--timings", metavar="FILE", help="With --plan: estimate how long it takes from what RunRecorder.save wrote there."
)
@click.option("--json", "as_json", is_flag=True, help="Print nodes, inputs, outputs and edges, or the plan, as JSON.")
@project_switches()
def graph(
    reference: str,
    where: Where,
    output: str | None,
    as_plan: bool,
    timings: str | None,
    as_json: bool,
    **drawn: Any,
) -> None:
    """Show the pipeline of functions in FILE.py or package.module, or the pipeline NAME of a project.

    Nothing of it runs.
    """
    said = {name: value for name, value in drawn.items() if value is not None}
    _check(output, as_plan=as_plan, as_json=as_json, said=said)
    if timings is not None and not as_plan:
        raise Mistake("--timings is for what a run would do. Add --plan, or leave it out.")
    pipeline, engine = _pipeline(reference, where)
    if as_plan:
        preview = _plan(pipeline, engine, timings)
        write_json(public(preview.to_dict())) if as_json else click.echo(redact(str(preview)))
    elif as_json:
        write_json(public(_as_data(pipeline)))
    elif output is None:
        click.echo(redact(pipeline.visualize(**_depth(said)).text), nl=False)
    else:
        _draw(pipeline, output, _depth(said))


def _check(output: str | None, *, as_plan: bool, as_json: bool, said: dict[str, Any]) -> None:
    """Refuse switches that would do nothing.

    Raises:
        Mistake: There is one.
    """
    what = "--plan" if as_plan else "--json" if as_json else ""
    if what and output is not None:
        raise Mistake(f"{what} prints, and -o writes a picture. Leave one of them out.")
    if what and said:
        raise Mistake(f"--{next(iter(said))} is for pictures, and {what} shows none. Leave one of them out.")
    looks = [name for name in ("orient", "style") if name in said]
    if looks and (output is None or output.lower().endswith((".txt", ".text"))):
        raise Mistake(f"--{looks[0]} is for pictures, and this is text. Add -o picture.svg, or leave it out.")
    if output is not None and Path(output).is_dir():
        raise Mistake(f"'{output}' is a folder. Name a file in it.")
    if output is not None and not Path(output).absolute().parent.is_dir():
        raise Mistake(f"There is no folder '{Path(output).parent}' to write '{output}' to.")


def _pipeline(reference: str, where: Where) -> tuple[Pipeline, Engine | None]:
    """The pipeline, and of one of a project what it would run on."""
    from pipe_core.project.objects import ObjectNotFoundError, load_pipeline

    if ":" not in reference and not reference.endswith(".py"):
        from pipe_core.cli.project_graph import project_pipeline

        try:
            return project_pipeline(reference, where)
        except NoProject as error:
            text = f"For a pipeline of functions write file.py:{reference.rpartition('/')[2]}. For one of a project:"
            raise Mistake(f"{text} {error.message[0].lower()}{error.message[1:]}") from error
    if where != Where():
        raise Mistake(f"'{reference}' is in no project: leave out --project, --env, --set and --allow-outside.")
    try:
        return load_pipeline(reference), None
    except ObjectNotFoundError as error:
        raise Mistake(str(error)) from error


def _plan(pipeline: Pipeline, engine: Engine | None, timings: str | None) -> Preview:
    from pipe_core.kernel.errors import OptionsError

    if engine is not None:  # what nodes of a project take from no other one is loaded
        pipeline = pipeline.bind(**dict.fromkeys(pipeline.inputs, "it is loaded"))
    try:
        return pipeline.plan(engine=engine, timings=timings)
    except OptionsError as error:
        if timings is None or timings not in str(error):
            raise
        raise Mistake(str(error)) from error


def _depth(said: dict[str, Any]) -> dict[str, Any]:
    return {**said, "depth": None} if said.get("depth") == "all" else said


def _draw(pipeline: Pipeline, output: str, said: dict[str, Any]) -> None:
    """Write the picture.

    Raises:
        Mistake: There is no such format or style.
        ConfigError: What draws it is not installed.
    """
    from pipe_core.graph.errors import GraphError
    from pipe_core.graph.pictures import PictureError
    from pipe_core.kernel.errors import ConfigError

    try:
        pipeline.visualize(output, **said)
    except GraphError as error:
        if isinstance(error, PictureError) and error.missing is not None:
            raise ConfigError(str(error), path=output) from error
        raise Mistake(str(error).replace(", or say it as format", "")) from error
    click.echo(f"Wrote {output}")


# --- as data ---


def _as_data(pipeline: Pipeline) -> dict[str, Any]:
    from pipe_core.graph.annotations import given_types

    wiring = pipeline.wiring
    types = {name: kind for node in pipeline.nodes for name, kind in given_types(node).items()}
    edges = [
        {"from": wiring.nodes[wiring.givers[one.name]].name, "to": node.name, "name": one.name}
        for node in wiring.nodes
        for one in node.parameters
        if one.name in wiring.givers
    ]
    return {
        "pipeline": pipeline.name,
        "inputs": [_input(pipeline, name) for name in wiring.inputs()],
        "outputs": [{"name": name, "type": _words(kind)} for name, kind in types.items()],
        "nodes": [_node(node) for node in wiring.nodes],
        "edges": edges,
    }


def _input(pipeline: Pipeline, name: str) -> dict[str, Any]:
    from pipe_core.graph.pictures.words import default_words

    one, is_bound = pipeline.wiring.inputs()[name], name in pipeline.bound_inputs
    is_required = one.is_required and not is_bound
    default = None if one.is_required or is_bound else default_words(one)
    return {"name": name, "type": _words(one.type), "required": is_required, "bound": is_bound, "default": default}


def _node(node: Any) -> dict[str, Any]:
    from pipe_core.graph.nesting import PipelineNode

    found = {"name": node.name, "takes": [one.name for one in node.parameters], "gives": list(node.outputs)}
    if isinstance(node, PipelineNode):
        found |= {"map_over": list(node.map_over), "pipeline": _as_data(node.pipeline)}
    return found


def _words(kind: Any) -> str | None:
    from pipe_core.graph.pictures.words import type_words

    return type_words(kind) or None
