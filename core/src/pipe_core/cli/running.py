"""What `pipe validate`, `pipe run` and `pipe demo` share: the switches of a run, running it, showing the result."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from pipe_core.cli import exits
from pipe_core.cli.errors import Mistake, is_broken_pipe
from pipe_core.cli.output import public, redact, table, write_json

if TYPE_CHECKING:
    from pipe_core.records import FlowReport, Pipe

Command = TypeVar("Command", bound=Callable[..., Any])

MODES: Final = ("error", "overwrite", "append", "ignore")

_SWITCHES: Final = (
    click.option("-x", "--executor", metavar="SPEC", help="Where it runs: sync, threads, loky, dask, ray, or a URL."),
    click.option("--mode", type=click.Choice(MODES), help="What to do when a target exists.  [default: error]"),
    click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Read at most so many records."),
    click.option("--max-errors", type=click.IntRange(min=1), metavar="N", help="Stop when more records fail."),
    click.option("--no-progress", is_flag=True, help="Show no progress on standard error."),
    click.option("--report", type=click.Path(), metavar="FILE", help="Write the report: .html a page, .json data."),
    click.option("--json", "as_json", is_flag=True, help="Print the report as JSON."),
    click.option("--traceback", is_flag=True, expose_value=False, help="Show where an error comes from."),
)


def run_switches(command: Command) -> Command:
    """The switches of every command that runs a pipe."""
    for switch in reversed(_SWITCHES):
        command = switch(command)
    return command


def overrides(executor: str | None, mode: str | None, limit: int | None, max_errors: int | None) -> dict[str, Any]:
    """Parameters of `Pipe` for the switches that were given."""
    given = {"executor": executor, "mode": mode, "limit": limit, "max_errors": max_errors}
    return {name: value for name, value in given.items() if value is not None}


def check_report_path(path: str | None) -> None:
    """Find a report that could not be written before the run rather than after it.

    Raises:
        Mistake: Its folder does not exist, or its suffix says neither.
    """
    if path is None:
        return
    if Path(path).suffix.lower() not in (".html", ".htm", ".json"):
        raise Mistake(f"The report '{path}' must end in .html for a page or .json for data.")
    if not Path(path).absolute().parent.is_dir():
        raise Mistake(f"The folder of the report '{path}' does not exist. Make it first.")


def observers(*, progress: bool) -> list[Any] | None:
    """The observers of the settings and the progress display; None for the settings' own."""
    from pipe_core.kernel.errors import PluginBlockedError, PluginError
    from pipe_core.kernel.kernel import current_kernel

    if not progress:
        return None
    kernel = current_kernel()
    wanted = list(kernel.settings.get("observers", ()).value or ())
    try:
        kernel.spec("observers", "progress")
    except PluginBlockedError:
        return None
    except PluginError as error:
        click.echo(f"No progress display: {redact(str(error))}", err=True)
        return None
    return wanted if "progress" in wanted else [*wanted, "progress"]


def execute(pipe: Pipe, *, as_json: bool, report: str | None, results: bool = True) -> int:
    """Run *pipe*, show what became of it, and give the exit code.

    Args:
        pipe: What to run.
        as_json: Show the report as JSON.
        report: Also write it to this file.
        results: Whether standard output is free for results; else they go to standard error.

    Raises:
        PipeError: The run failed; what there is of its report was shown.
    """
    try:
        with warnings_shown():
            flow = pipe.run(handle_sigterm=True)
    except Exception as error:
        if pipe.report is not None and pipe.report.read and not is_broken_pipe(error):
            _show(pipe.report, as_json=as_json, report=report, results=results)
        raise
    _show(flow, as_json=as_json, report=report, results=results)
    return exits.RECORDS_FAILED if flow.failed else exits.OK


def _show(flow: FlowReport, *, as_json: bool, report: str | None, results: bool) -> None:
    if report is not None:
        _save(flow, report)
    if as_json:
        write_json(public(flow.to_dict()))
    else:
        click.echo(redact(summary(flow)), err=not results)
        if report is not None:
            click.echo(f"Report: {report}", err=not results)


def _save(flow: FlowReport, path: str) -> None:
    try:
        flow.save(path)
    except OSError as error:
        raise Mistake(f"The report '{path}' cannot be written: {error.strerror or error}.") from error


def summary(flow: FlowReport) -> str:
    """What became of a run, for people: counts, reasons, places."""
    facts = flow.to_dict()
    counts = [(name, facts[name]) for name in ("read", "valid", "failed", "dropped", "expanded")]
    kept = [(name, count) for name, count in counts if count or name in ("read", "valid", "failed")]
    rate = f"{facts['records_per_second']:,.0f} records/s on {facts['executor']}"
    lines = [f"{facts['status']} in {facts['duration']:.2f} s, {rate}", table(kept, indent="  ")]
    if facts["histogram"]:
        lines += ["Why records failed:", _reasons(facts["histogram"])]
    return "\n".join([*lines, *_places(flow), *(f"note: {note}" for note in facts["notes"])])


def _places(flow: FlowReport) -> list[str]:
    if flow.exception is not None:
        return []  # the targets of a run that failed are as they were
    lines = [f"valid records: {flow.sink}"] if flow.sink else []
    if flow.errors:
        lines.append(f"rejected records: {flow.errors}")
    elif flow.failed:
        lines.append("Rejected records were only counted: --errors FILE, or 'errors:' in a pipe's file, keeps them.")
    return lines


def _reasons(histogram: list[Mapping[str, Any]]) -> str:
    rows = [
        (kind["count"], kind["location"] or kind["phase"], kind["type"], _example(kind["examples"]))
        for kind in histogram[:10]
    ]
    more = len(histogram) - len(rows)
    return table(rows, indent="  ") + (f"\n  and {more} kinds more" if more else "")


def _example(examples: list[Mapping[str, Any]]) -> str:
    if not examples:
        return ""
    text = str(examples[0]["message"]).partition("\n")[0]
    return f"{text[:90]} (record {examples[0]['position']})"


class _Warnings(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"Warning: {redact(record.getMessage())}", err=True)


def _is_news(record: logging.LogRecord) -> bool:
    """That records failed is what the summary says anyway."""
    return "no error sink was given" not in str(record.msg)


@contextmanager
def warnings_shown(*, but: str = "") -> Iterator[None]:
    """Warnings of the library on standard error, in one line each, while the block lasts.

    Args:
        but: The name of a logger whose warnings are told in another way.
    """
    logger, handler = logging.getLogger("pipe_core"), _Warnings(logging.WARNING)
    handler.addFilter(_is_news)
    handler.addFilter(lambda record: record.name != but)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
