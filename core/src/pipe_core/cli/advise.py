"""``pipe advise``: on which executor a pipe would be best off, and why."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pipe_core.cli.errors import Mistake
from pipe_core.cli.output import public, redact, table, write_json
from pipe_core.cli.run import _explained, _file
from pipe_core.cli.validate import _format, _is_bare, _schema, _typed, parse_options

if TYPE_CHECKING:
    from pipe_core.records import Pipe
    from pipe_core.records.advice.rules import Advice, Facts

_EXAMPLES: Final = """\b
Examples:
  pipe advise orders.csv --schema orders.py:Order
  pipe advise orders.csv --schema orders.py:Order --pre orders.py:look_up
  pipe advise pipe.yaml
"""


@click.command(epilog=_EXAMPLES)
@click.argument("source")
@click.option("--schema", metavar="FILE.py:MODEL", help="The schema, or package.module:MODEL.  [default: none]")
@click.option("--pre", multiple=True, metavar="HOOK", help="A hook before validation: FILE.py:HOOK, or its name.")
@click.option("--post", multiple=True, metavar="HOOK", help="A hook behind validation.")
@click.option("--format", "format_name", metavar="NAME", help="The format of SOURCE.  [default: by its suffix]")
@click.option("-o", "--option", "options", multiple=True, metavar="KEY=VALUE", help="For the format of SOURCE.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="For a run of at most so many records.")
@click.option("--allow-outside", is_flag=True, help="A pipe's file may name sources and sinks outside its folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the facts and the advice as JSON.")
@click.option("--traceback", is_flag=True, expose_value=False, help="Show where an error comes from.")
def advise(source: str, limit: int | None, allow_outside: bool, as_json: bool, **said: Any) -> None:
    """Say which executor is best for SOURCE, a path, a URL or the YAML file of a pipe.

    The first records go through hooks and schema in a process of their own, and are timed. Nothing is written; but what
    hooks do elsewhere, they do.
    """
    given = {} if limit is None else {"limit": limit}
    if Path(source).suffix.lower() in (".yaml", ".yml"):
        advice = _for_file(source, given, said, allow_outside=allow_outside)
    else:
        advice = _for_source(source, given, said)
    command = _command(source, advice.executor, limit, said)
    if as_json:
        write_json(public(_as_data(source, advice, command)))
    else:
        click.echo(redact(_as_text(source, advice, command)))


def _for_file(source: str, given: dict[str, Any], said: Mapping[str, Any], *, allow_outside: bool) -> Advice:
    from pipe_core.project.pipe_file import load_pipe_file

    path = _file(source)
    too_much = [name for name, value in said.items() if value]
    if too_much:
        switch = too_much[0].removesuffix("_name").removesuffix("s")
        raise Mistake(f"'{source}' is the file of a pipe, which says that itself: leave --{switch} out.")
    file = load_pipe_file(path, allow_outside=allow_outside)
    with _explained(path, typed=False):
        return _advice(file.pipe(**given))


def _for_source(source: str, given: dict[str, Any], said: Mapping[str, Any]) -> Advice:
    from pipe_core.records import Pipe

    if Path(source).is_dir() and said["format_name"] is None:
        raise Mistake(f"'{source}' is a folder. Name a file in it.")
    if said["format_name"] is None and _is_bare(source):
        raise Mistake(f"SOURCE '{source}' has no suffix that tells its format. Say it, for example --format csv.")
    with _typed(None):
        pipe = Pipe(
            {**parse_options(said["options"]), **_format(said["format_name"]), "path": source},
            schema=_schema(said["schema"]) if said["schema"] is not None else None,
            pre_validation_hooks=_hooks("--pre", said["pre"]),
            post_validation_hooks=_hooks("--post", said["post"]),
            **given,
        )
        return _advice(pipe)


def _advice(pipe: Pipe) -> Advice:
    from pipe_core.records.advice.auto import advise_pipe

    return advise_pipe(pipe)


def _hooks(switch: str, references: Sequence[str]) -> list[Any]:
    from pipe_core.kernel.errors import PluginNotFoundError
    from pipe_core.kernel.kernel import current_kernel
    from pipe_core.project.objects import ObjectNotFoundError, load_hook

    found: list[Any] = []
    for reference in references:
        try:
            if ":" in reference or reference.endswith(".py"):
                found.append(load_hook(reference))
            else:
                found.append(current_kernel().index.find("hooks", reference).name)
        except (ObjectNotFoundError, PluginNotFoundError) as error:
            raise Mistake(f"{switch}: {error}") from error
    return found


def _command(source: str, executor: str, limit: int | None, said: Mapping[str, Any]) -> str | None:
    """What runs it there; None where no command has such hooks."""
    if said["pre"] or said["post"]:
        return None
    if Path(source).suffix.lower() in (".yaml", ".yml"):
        words = ["pipe", "run", source]
    elif said["schema"] is None:
        return None
    else:
        words = ["pipe", "validate", source, "--schema", said["schema"]]
        words += ["--format", said["format_name"]] if said["format_name"] is not None else []
        words += [word for pair in said["options"] for word in ("-o", pair)]
    words += ["--limit", str(limit)] if limit is not None else []
    return shlex.join([*words, "-x", executor])


# --- what is shown ---


def _as_data(source: str, advice: Advice, command: str | None) -> dict[str, Any]:
    facts = {**asdict(advice.facts), "waiting_share": round(advice.facts.share, 4), "seconds": advice.facts.seconds}
    return {
        "source": source,
        "executor": advice.executor,
        "options": dict(advice.options),
        "reason": advice.reason,
        "rule": advice.rule,
        "best": advice.best,
        "install": advice.install,
        "estimates": {name: round(seconds, 3) for name, seconds in advice.estimates.items()},
        "command": command,
        "facts": facts,
    }


def _as_text(source: str, advice: Advice, command: str | None) -> str:
    from pipe_core.records.advice.rules import duration

    lines = [source, table(_facts(advice.facts), indent="  ")]
    if advice.estimates:
        fastest_first = sorted(advice.estimates.items(), key=lambda pair: (pair[1], pair[0] != "sync"))
        rows = [(name, f"about {duration(seconds)}") for name, seconds in fastest_first]
        lines += ["Hooks and schema for all records would take on", table(rows, indent="  ")]
    lines.append(f"Advice: {advice.executor}: {advice.reason}.")
    lines.append(f"Run it: {command}" if command is not None else f"Say so: {_saying(advice)}")
    return "\n".join(lines)


def _facts(facts: Facts) -> list[tuple[str, str]]:
    from pipe_core.records.advice.rules import count, duration

    input_ = "it arrives as the run goes on" if facts.live else f"{count(facts)} records"
    if facts.size is not None:
        input_ += f", {facts.size:,} bytes"
    rows = [("input", input_), ("workers read it in pieces", "yes" if facts.splittable else "no")]
    if facts.each is not None:
        rows.append(("sample", f"{facts.sampled:,} records, of which {facts.failed:,} failed"))
        rows.append(("a record takes", f"{duration(facts.each)}, {facts.share:.0%} of it waiting"))
    else:
        rows.append(("sample", f"none: {facts.unsampled}"))
    return [*rows, ("cores", str(facts.cores))]


def _saying(advice: Advice) -> str:
    name = advice.executor
    return f'executor="{name}" in Python, executor: {name} in the file of a pipe, or PIPE_EXECUTOR={name}'
