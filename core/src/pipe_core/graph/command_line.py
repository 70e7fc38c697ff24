"""A pipeline as a command: an option for each input, its outputs as JSON, and mistakes in a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any, Final

import click

from pipe_core.graph.annotations import UNKNOWN, taken_types
from pipe_core.graph.engine import Engine
from pipe_core.graph.errors import GraphError
from pipe_core.graph.items import MODES
from pipe_core.graph.node import Node
from pipe_core.graph.pictures.words import default_words, type_words
from pipe_core.graph.text_values import TextError, TextReader, plain
from pipe_core.kernel.errors import OptionsError, PluginNotFoundError
from pipe_core.looks import exits
from pipe_core.looks.mistakes import Mistake, guarded
from pipe_core.looks.wording import one_line, several

if TYPE_CHECKING:
    from pipe_core.graph.node import Parameter
    from pipe_core.graph.pipeline import Pipeline

_OWN: Final = ("output", "engine", "map-over", "map-mode", "traceback", "help")
"""Options that are not inputs. An input of such a name has ``input-`` before it."""


class NodeFailed(click.ClickException):
    """A node has raised something, which is told with its note."""

    exit_code = exits.RUN_FAILED


def run_command(pipeline: Pipeline, argv: Sequence[str] | None) -> int:
    """Do what *argv* says with *pipeline*, and give the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: command_of(pipeline).main(words, standalone_mode=False), words)


def command_of(pipeline: Pipeline) -> click.Command:
    """The command of *pipeline*.

    Raises:
        GraphError: An input that must be given is of a type that no text can be.
    """
    inputs = {f"in_{one.name}": one for one in _inputs(pipeline)}

    def call(
        output: tuple[str, ...], engine: str | None, map_over: tuple[str, ...], map_mode: str, **said: str | None
    ) -> None:
        texts = {inputs[key].name: text for key, text in said.items() if text is not None}
        _check_names(pipeline, texts, output, map_over)
        values = {name: inputs[f"in_{name}"].value(text, many=name in map_over) for name, text in texts.items()}
        ran_by = nullcontext() if engine is None else Engine(engine, engine)
        with _told(typed=engine is not None), redirect_stdout(sys.stderr), ran_by as chosen:
            if map_over:
                found: Any = pipeline.map(values, map_over, map_mode, output or None, engine=chosen)
            else:
                found = pipeline.run(values, output or None, engine=chosen)
        click.echo(json.dumps(plain(found), indent=2, ensure_ascii=False))

    return click.Command(
        pipeline.name,
        params=[*(one.option for one in inputs.values()), *_options(pipeline)],
        callback=call,
        help=_help(pipeline),
        context_settings={
            "help_option_names": ["-h", "--help"],
            "max_content_width": 100,
            "token_normalize_func": lambda word: word.replace("_", "-"),
        },
    )


# --- inputs ---


class _Input:
    """An input as an option."""

    def __init__(self, pipeline: Pipeline, parameter: Parameter, reader: TextReader, kind: Any) -> None:
        self.name = parameter.name
        self._reader = reader
        word = self.name.replace("_", "-")
        takers = ", ".join(node.name for node in pipeline.nodes if any(p.name == self.name for p in node.parameters))
        says = "required" if parameter.is_required else f"default: {default_words(parameter)}"
        self.switch = f"--input-{word}" if word in _OWN else f"--{word}"
        self.option = click.Option(
            [self.switch, f"in_{self.name}"],
            metavar=one_line(type_words(kind), 40) or "VALUE",
            help=f"For {takers}.  [{says}]",
        )

    def value(self, text: str, *, many: bool) -> Any:
        """What *text* says; as a list for each item where there are *many*."""
        try:
            return self._reader.many(text) if many else self._reader.read(text)
        except TextError as error:
            raise click.BadParameter(f"{error}.", click.get_current_context(), self.option) from error


def _inputs(pipeline: Pipeline) -> Iterator[_Input]:
    for name, parameter in pipeline.inputs.items():
        kind = _type_of(pipeline, name)
        try:
            yield _Input(pipeline, parameter, TextReader(kind), kind)
        except TextError:
            if parameter.is_required:
                raise GraphError(
                    f"The input '{name}' is of the type {type_words(kind)}, which no text on a command line can be. "
                    f"Give it before: pipeline.bind({name}=...).cli()."
                ) from None


def _type_of(pipeline: Pipeline, name: str) -> Any:
    """The type of an input, as the first node says that takes it."""
    types = (kind for node in pipeline.nodes if _takes(node, name) for _, kind in taken_types(node, name, list))
    return next(types, UNKNOWN)


def _takes(node: Any, name: str) -> bool:
    return any(one.name == name for one in node.parameters)


def _check_names(
    pipeline: Pipeline, texts: Mapping[str, Any], outputs: tuple[str, ...], map_over: tuple[str, ...]
) -> None:
    """Make sure that outputs are there, and that inputs which they need are given.

    Raises:
        Mistake: An output is none.
        UsageError: An input is missing.
    """
    context = click.get_current_context()
    with _told(typed=False):
        needed = pipeline.wiring.inputs(pipeline.wiring.upstream(outputs or pipeline.outputs))
    free = pipeline.inputs
    missing = [name for name, one in needed.items() if one.is_required and name in free and name not in texts]
    if missing:
        switches = {option.name: option.opts[0] for option in context.command.params}
        named = ", ".join(f"'{switches[f'in_{name}']}'" for name in missing)
        raise click.UsageError(f"Missing {'option' if len(missing) == 1 else 'options'} {named}.", context)
    strange = [name for name in map_over if name not in texts]
    if strange:
        raise click.UsageError(f"--map-over {strange[0]} names no input that is given.", context)


# --- what stands beside inputs ---


def _options(pipeline: Pipeline) -> list[click.Option]:
    outputs = ", ".join(pipeline.outputs)
    return [
        click.Option(
            ["--output"], multiple=True, metavar="NAME", help=f"Compute only this; again for more. One of: {outputs}."
        ),
        click.Option(["--engine"], metavar="WORD", help="Where it runs: sync, threads, loky, or another executor."),
        click.Option(
            ["--map-over"],
            multiple=True,
            metavar="NAME",
            help="Run once for each value of this input: a JSON list, or @FILE with one on each line; again for more.",
        ),
        click.Option(
            ["--map-mode"], type=click.Choice(MODES), default="zip", show_default=True, help="How several go together."
        ),
        click.Option(["--traceback"], is_flag=True, expose_value=False, help="Show where an error comes from."),
    ]


def _help(pipeline: Pipeline) -> str:
    called = f" '{pipeline.name}'" if pipeline.name else ""
    lines = [f"Run the pipeline{called} and print what it gives as JSON.", "", "\b"]
    lines.append(f"{several(len(pipeline.nodes), 'node')}:")
    lines += [f"  {_line(node)}" for node in pipeline.wiring.nodes]
    return "\n".join(lines)


def _line(node: Any) -> str:
    text = f"{node.name} -> {', '.join(node.outputs)}"
    said = (node.fn.__doc__ or "").strip() if isinstance(node, Node) else ""
    return one_line(f"{text}: {said.splitlines()[0]}" if said else text, 98)


@contextmanager
def _told(*, typed: bool) -> Iterator[None]:
    """What was typed wrongly is a mistake; what a node raises is told with its note.

    Args:
        typed: Whether the engine was typed.

    Raises:
        Mistake: A name, or what is mapped over, cannot be; or the engine that was typed.
        NodeFailed: A node failed.
    """
    try:
        yield
    except Exception as error:
        note = next((text for text in getattr(error, "__notes__", ()) if text.startswith("In node ")), None)
        if note is not None:
            raise NodeFailed(f"{type(error).__name__}: {error}\n{note}") from error
        if isinstance(error, GraphError) or (typed and isinstance(error, PluginNotFoundError | OptionsError)):
            raise Mistake(str(error)) from error
        raise
