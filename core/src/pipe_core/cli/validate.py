"""``pipe validate``: the records of a source against a schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pipe_core.cli.errors import Mistake
from pipe_core.cli.running import check_report_path, check_resumed, execute, observers, overrides, run_switches

if TYPE_CHECKING:
    from pipe_core.kernel.errors import OptionsError

STANDARD: Final = "-"

_IN_PYTHON: Final = "for another format say {'format': 'csv'}."
_HERE: Final = "--format csv says another format for SOURCE, --to and --errors go by their suffix."


_EXAMPLES: Final = """\b
Examples:
  pipe validate orders.csv --schema orders.py:Order
  pipe validate orders.csv --schema orders.py:Order --to good.jsonl --errors bad.jsonl -x loky
  pipe validate bad.jsonl --replay --schema orders.py:Order --to more.jsonl --errors still_bad.jsonl
  pipe validate export.csv --schema orders.py:Order -o delimiter=';' -o encoding=cp1252
"""


@click.command(epilog=_EXAMPLES)
@click.argument("source")
@click.option("--schema", required=True, metavar="FILE.py:MODEL", help="The schema, or package.module:MODEL.")
@click.option("--to", "sink", metavar="SINK", help="Where valid records go.  [default: they are only counted]")
@click.option("--errors", metavar="SINK", help="Where rejected records go, with the reasons.")
@click.option("--format", "format_name", metavar="NAME", help="The format of SOURCE.  [default: by its suffix]")
@click.option("-o", "--option", "options", multiple=True, metavar="KEY=VALUE", help="For the format of SOURCE.")
@click.option("--replay", is_flag=True, help="SOURCE is what --errors wrote: try its records again.")
@run_switches
def validate(
    source: str,
    schema: str,
    replay: bool,
    sink: str | None,
    errors: str | None,
    format_name: str | None,
    options: tuple[str, ...],
    no_progress: bool,
    report: str | None,
    as_json: bool,
    resumed: str | None,
    force: bool,
    **switches: Any,
) -> int:
    """Check the records of SOURCE, a path, a URL or - for standard input, against a schema."""
    from pipe_core.records import Pipe
    from pipe_core.records.replay import Replay

    _check_places(source, sink, errors, format_name, as_json=as_json)
    check_report_path(report)
    check_resumed(switches, resumed, force=force)
    with _typed(switches["executor"]):
        given = {**parse_options(options), **_format(format_name), "path": source}
        pipe = Pipe(
            Replay(given) if replay else given,
            sink,
            schema=_schema(schema),
            errors=errors,
            observers=observers(progress=not (no_progress or as_json)),
            **overrides(**switches),
        )
        results = STANDARD not in (sink, errors)
        return execute(pipe, as_json=as_json, report=report, results=results, resumed=resumed, force=force)


def parse_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Options from ``KEY=VALUE``. A value in brackets is a list, a backslash with ``t`` a tab; the rest is text.

    Raises:
        Mistake: One has no ``=``, or a key comes twice.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        key = key.strip().replace("-", "_")
        if not separator or not key:
            raise Mistake(f"The option '{pair}' is not KEY=VALUE. For example: -o delimiter=';'")
        if key in found:
            raise Mistake(f"The option '{key}' was given twice. For a list write -o '{key}=[one, two]'")
        found[key] = _value(value)
    return found


def _value(text: str) -> Any:
    if text == "\\t":
        return "\t"
    if not (text.startswith("[") and text.endswith("]")):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return [word.strip() for word in text[1:-1].split(",")]


def _format(name: str | None) -> dict[str, str]:
    return {"format": name} if name is not None else {}


def _schema(reference: str) -> Any:
    from pipe_core.project.objects import ObjectNotFoundError, load_schema

    try:
        return load_schema(reference)
    except ObjectNotFoundError as error:
        raise Mistake(f"--schema: {error}") from error


def _check_places(source: str, sink: str | None, errors: str | None, format_name: str | None, *, as_json: bool) -> None:
    if STANDARD == sink == errors:
        raise Mistake("--to - and --errors - would mix on standard output. Give one of them a file.")
    if as_json and STANDARD in (sink, errors):
        raise Mistake("--json and records would mix on standard output. Write the report to a file: --report r.json.")
    if sink is not None and sink == errors:
        raise Mistake(f"--to and --errors are both {sink}. Give rejected records a place of their own.")
    for place in (source, sink, errors):
        if place is not None and Path(place).is_dir():
            raise Mistake(f"'{place}' is a folder. Name a file in it.")
    if format_name is None and _is_bare(source):
        raise Mistake(f"SOURCE '{source}' has no suffix that tells its format. Say it, for example --format csv.")
    for switch, place in (("--to", sink), ("--errors", errors)):
        if place is not None and _is_bare(place):
            raise Mistake(f"{switch} '{place}' has no suffix that tells its format. For example: {place}.jsonl")


def _is_bare(place: str) -> bool:
    return place != STANDARD and "://" not in place and not Path(place).suffix


@contextmanager
def _typed(executor: str | None) -> Iterator[None]:
    """Names and options that a person typed are usage; the same from settings are configuration.

    Raises:
        Mistake: In place of an error about what was typed.
    """
    from pipe_core.kernel import errors as kinds

    try:
        yield
    except kinds.PluginNotFoundError as error:
        if error.family == "formats" or (error.family == "executors" and executor is not None):
            raise Mistake(str(error).replace(_IN_PYTHON, _HERE)) from error
        raise
    except kinds.OptionsError as error:
        if _is_from_elsewhere(error):
            raise
        raise Mistake(str(error).replace(" (from the call)", "")) from error


def _is_from_elsewhere(error: OptionsError) -> bool:
    """Whether a wrong option came from the environment or a settings file: then its problem says from which."""
    from pipe_core.kernel.errors import SettingsError

    problems = error.problems.values()
    return isinstance(error, SettingsError) or any("(from " in one and "(from the call)" not in one for one in problems)
