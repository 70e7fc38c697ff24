"""What `pipe validate`, `pipe run` and `pipe demo` share: the switches of a run, running it, showing the result."""

from __future__ import annotations

import logging
import os
import shlex
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

LAST: Final = "last"
RUNS: Final = "runs"
"""Where runs are kept when nobody says where."""
MODES: Final = ("error", "overwrite", "append", "ignore")

_SWITCHES: Final = (
    click.option("-x", "--executor", metavar="SPEC", help="Where it runs: sync, threads, loky, dask, ray, or a URL."),
    click.option("--mode", type=click.Choice(MODES), help="What to do when a target exists.  [default: error]"),
    click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Read at most so many records."),
    click.option("--max-errors", type=click.IntRange(min=1), metavar="N", help="Stop when more records fail."),
    click.option("--checkpoint", metavar="DIR", help="Keep in DIR how far it comes, for 'pipe resume'."),
    click.option("--resume", "resumed", metavar="RUN", help="Go on with RUN, which was kept: its id or 'last'."),
    click.option("--force", is_flag=True, help="With --resume: also where the input or the pipe has changed."),
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


def overrides(
    executor: str | None, mode: str | None, limit: int | None, max_errors: int | None, checkpoint: str | None
) -> dict[str, Any]:
    """Parameters of `Pipe` for the switches that were given."""
    given = {"executor": executor, "mode": mode, "limit": limit, "max_errors": max_errors, "checkpoint": checkpoint}
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


def check_resumed(switches: dict[str, Any], resumed: str | None, *, force: bool, in_file: bool = False) -> None:
    """A run that is resumed is kept in ``runs`` where nobody says otherwise.

    Raises:
        Mistake: ``--force`` without ``--resume``.
    """
    if force and resumed is None:
        raise Mistake("--force is for --resume RUN: it goes on with a run although the input or the pipe has changed.")
    if resumed is not None and switches["checkpoint"] is None and not in_file:
        switches["checkpoint"] = RUNS


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


def execute(
    pipe: Pipe,
    *,
    as_json: bool,
    report: str | None,
    results: bool = True,
    resumed: str | None = None,
    force: bool = False,
) -> int:
    """Run *pipe*, or go on with a run of it, show what became of it, and give the exit code.

    Args:
        pipe: What to run.
        resumed: The run to go on with, or ``"last"``.
        force: Go on with it also where it is not what it was.
        as_json: Show the report as JSON.
        report: Also write it to this file.
        results: Whether standard output is free for results; else they go to standard error.

    Raises:
        PipeError: The run failed; what there is of its report was shown.
    """
    pipe.origin = origin()
    try:
        with warnings_shown(), resuming_errors():
            if resumed is None:
                flow = pipe.run(handle_sigterm=True)
            else:
                flow = pipe.resume(None if resumed == LAST else resumed, force=force, handle_sigterm=True)
    except BaseException as error:
        stopped = not isinstance(error, Exception)
        known = pipe.report
        if known is not None and known.read and known.executor and not stopped and not is_broken_pipe(error):
            _show(known, as_json=as_json, report=report, results=results)
        _tell_how_to_go_on(pipe)
        raise
    _show(flow, as_json=as_json, report=report, results=results)
    return exits.RECORDS_FAILED if flow.failed else exits.OK


def origin() -> dict[str, Any] | None:
    """The words of this command and where it was typed, for `pipe resume`; None where one may hold a secret."""
    from pipe_core.project.runs.overrides import may_be_kept

    context = click.get_current_context(silent=True)
    words = None if context is None else context.find_root().obj
    if not words:
        return None
    said = [part for word in words for part in word.removeprefix("-").partition("=")]
    if not all(may_be_kept(key, key) for key in said if key):
        return None
    return {"words": words, "folder": os.getcwd()}


@contextmanager
def resuming_errors() -> Iterator[None]:
    """A run that cannot be resumed as it was typed is a mistake of typing.

    Raises:
        Mistake: In place of an error about the run that was named.
    """
    from pipe_core.runs import errors as kinds

    try:
        yield
    except (kinds.RunNotFoundError, kinds.RunLockedError, kinds.ResumeError) as error:
        raise Mistake(str(error).replace("resume with force", "add --force")) from error


def _tell_how_to_go_on(pipe: Pipe) -> None:
    report = pipe.report
    if report is None or report.resumable_at is None:
        return
    here = pipe.checkpoint is not None and pipe.checkpoint.absolute() == Path(RUNS).absolute()
    place = "" if here else f" --runs {shlex.quote(str(pipe.checkpoint))}"
    done = f"{report.resumable_at:,} records are done and kept." if report.resumable_at else "Nothing is done yet."
    click.echo(f"{done} Go on with: pipe resume {report.run}{place}", err=True)


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
    resumed = f", resumed behind record {flow.resumed_at:,}" if flow.resumed_at else ""
    lines = [f"{facts['status']} in {facts['duration']:.2f} s, {rate}{resumed}", table(kept, indent="  ")]
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
