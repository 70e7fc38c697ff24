"""``pipe backfill``: a pipeline of a project, run for each piece of a window of dates."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from pipe_core.cli import exits
from pipe_core.cli.errors import Mistake
from pipe_core.cli.output import public, redact, table, write_json
from pipe_core.cli.project_failures import RunFailed, failed
from pipe_core.cli.project_options import Where, project_switches, typed
from pipe_core.cli.project_running import How, Said, choice_switches, runner_of, running_switches
from pipe_core.kernel.errors import OptionsError
from pipe_core.looks.wording import one_line, several

if TYPE_CHECKING:
    from pipe_core.project.dates import DateWindow
    from pipe_core.project.runs.backfill import Piece
    from pipe_core.project.runs.plan import Asked, RunPlan
    from pipe_core.project.runs.runner import Runner


@click.command()
@click.argument("pipeline", metavar="PIPELINE")
@click.option("--start", metavar="DATE", help="The first day, or a time.  [default: the pipeline's, the project's]")
@click.option("--end", metavar="DATE", help="The last day, or a time.")
@click.option("--every", default="1d", show_default=True, metavar="TIME", help="1d, 7d, 1w, 12h, '1 month', 1y.")
@click.option("--again", is_flag=True, help="Run also what is done, from the beginning.")
@click.option("--stop-at-failure", is_flag=True, help="End with the first window that fails.")
@choice_switches
@click.option("-x", "--executor", metavar="SPEC", help="Where it runs: sync, threads, loky, dask, ray, or a URL.")
@running_switches
@click.option("--no-progress", is_flag=True, help="Show no progress on standard error.")
@click.option("--json", "as_json", is_flag=True, help="Print a list with each window as JSON.")
@project_switches()
def backfill(
    pipeline: str,
    start: str | None,
    end: str | None,
    every: str,
    again: bool,
    stop_at_failure: bool,
    where: Where,
    executor: str | None,
    max_workers: int | None,
    verbose: int,
    no_progress: bool,
    as_json: bool,
    **said: Any,
) -> int:
    """Run PIPELINE for each piece of a window of dates, one after the other.

    What an earlier run has completed does not run again, and what it has begun is resumed: repeat the command to go on.
    """
    wanted = Said(**said, start_date=start, end_date=end)
    how = How(as_json, not no_progress, verbose)
    project = where.load()
    with typed(executor=executor, choice=wanted.chooses), runner_of(project, executor, max_workers) as runner:
        asked = runner.asked(pipeline, **wanted.arguments())
        _check(runner.prepare(asked))
        options = {"again": again, "stop_at_failure": stop_at_failure, **wanted.chosen()}
        return _drive(runner, asked, every, options, where, how)


def _drive(runner: Runner, asked: Asked, every: str, options: dict[str, Any], where: Where, how: How) -> int:
    from pipe_core.cli.project_running import ended_by_node
    from pipe_core.cli.project_stopping import Stopping
    from pipe_core.project.runs import backfill as backfills

    window = _window(asked)
    found: list[Piece] = []
    hint = "What is done is kept. Repeat the command to go on."
    with how.shown(runner) as callbacks, Stopping(runner, hint) as stopping:
        begins = _say if callbacks or how.verbose else None
        pieces = backfills.backfill(
            runner, asked.pipeline.name, window, every, begins=begins, callbacks=callbacks, **options
        )
        try:
            found.extend(pieces)  # one by one: it has what has run, also where a signal ends it
        except KeyboardInterrupt:
            _show(asked, found, how)
            if stopping.received is None:
                raise ended_by_node("KeyboardInterrupt", runner) from None
            return stopping.tell()
        except SystemExit as error:
            raise ended_by_node(f"SystemExit: {error.code}", runner) from None
    _show(asked, found, how)
    errors = [one.error for one in found if one.error is not None]
    if errors:
        first = failed(errors[0], runner.project.folder, where)
        raise RunFailed(
            f"{len(errors)} of {several(len(found), 'window')} failed. The first one, {errors[0].result.window}:\n"
            f"{first.message}\nOr repeat the command: what is done does not run again."
        ) from errors[0]
    return exits.OK


def _check(plan: RunPlan) -> None:
    try:
        plan.check_pieces()
    except OptionsError as error:  # what it names are parameters of functions, not switches
        raise Mistake(str(error)) from error


def _window(asked: Asked) -> DateWindow:
    if asked.window is None:
        raise Mistake("Say from when to when: --start 2025-01-01 --end 2025-01-31.")
    return asked.window


def _say(window: DateWindow) -> None:
    print(f"--- {window}", file=sys.stderr, flush=True)


def _show(asked: Asked, found: list[Piece], how: How) -> None:
    if how.as_json:
        write_json(public([one.to_dict() for one in found]))
        return
    rows = [
        (one.window.start, one.window.end, one.status + (", resumed" if one.resumed else ""), one.run, _why(one))
        for one in found
    ]
    click.echo(redact(table(rows, ("start", "end", "status", "run", "error"))))


def _why(piece: Piece) -> str:
    if piece.error is None:
        return ""
    error = piece.error.result.error
    return one_line(f"{type(error).__name__}: {error}" if error is not None else piece.error, 100)
