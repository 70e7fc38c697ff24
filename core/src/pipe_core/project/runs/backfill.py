"""Backfills: a pipeline run for each piece of a window of dates, with a status for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from pipe_core.project.dates import DateWindow
from pipe_core.project.errors import RunFailedError
from pipe_core.project.runs.history import PastRun, past_runs

if TYPE_CHECKING:
    from pipe_core.project.runs.runner import Runner

_ASKED: Final = frozenset({"nodes", "start_from", "up_to", "tags", "model_version", "hyperparams"})
"""Those options of `Runner.run` that say what runs."""

PieceStatus = Literal["completed", "done before", "failed"]


@dataclass(frozen=True, slots=True)
class Piece:
    """How a piece of a backfill ended.

    Attributes:
        window: Its dates.
        status: ``done before`` where an earlier run had completed it.
        run: The id of the run.
        resumed: Whether an earlier run of it was resumed.
        error: Why it failed.
    """

    window: DateWindow
    status: PieceStatus
    run: str
    resumed: bool = False
    error: RunFailedError | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "start": self.window.start,
            "end": self.window.end,
            "status": self.status,
            "run": self.run,
            "resumed": self.resumed,
            "error": None if self.error is None else str(self.error),
        }


def backfill(
    runner: Runner,
    pipeline: str,
    window: DateWindow,
    every: str,
    *,
    again: bool = False,
    stop_at_failure: bool = False,
    begins: Callable[[DateWindow], None] | None = None,
    **options: Any,
) -> Iterator[Piece]:
    """Run *pipeline* for each piece of *window*, one after the other.

    A piece that an earlier run has completed does not run again, and one that an earlier run has begun is resumed: a
    backfill that was stopped is repeated with the same words, and goes on.

    Args:
        runner: Runs them.
        pipeline: The name of the pipeline.
        window: From when to when.
        every: How long a piece is: ``1d``, ``1w``, ``1 month``.
        again: Run also what is done, from the beginning.
        stop_at_failure: Whether a piece that fails is the last one. Default: the others run.
        begins: Is called before each piece that runs.
        **options: As `Runner.run`.

    Raises:
        OptionsError: *every* is no length of time, or nothing in the pipeline depends on dates.
        PipeError: The pipeline cannot run as it was asked for.
    """
    pieces = list(window.split(every))
    said = {key: value for key, value in options.items() if key in _ASKED}
    runner.prepare(runner.asked(pipeline, start_date=window.start, end_date=window.end, **said)).check_pieces()
    before = {} if again else _before(runner, pipeline, options)
    for piece in pieces:
        past = before.get((piece.start, piece.end))
        if past is not None and past.status == "completed":
            yield Piece(piece, "done before", past.run)
            continue
        if begins is not None:
            begins(piece)
        try:
            if past is not None:
                result = runner.resume(
                    past.run, keep=options.get("keep", False), callbacks=options.get("callbacks", ())
                )
            else:
                result = runner.run(pipeline, start_date=piece.start, end_date=piece.end, **options)
        except RunFailedError as error:
            yield Piece(piece, "failed", error.result.run, past is not None, error)
            if stop_at_failure:
                return
        else:
            yield Piece(piece, "completed", result.run, past is not None)


def _before(runner: Runner, pipeline: str, options: dict[str, Any]) -> dict[tuple[str, str], PastRun]:
    """The last run for each window that was asked for in the same words, where nothing goes on with it now."""
    found: dict[tuple[str, str], PastRun] = {}
    wanted = {
        "env": runner.project.env,
        "pipeline": pipeline,
        "of_nodes": None,
        "model_version": options.get("model_version"),
        "hyperparams": dict(options.get("hyperparams") or {}),
        "choice": {key: _listed(options.get(key, ())) for key in ("nodes", "start_from", "up_to", "tags")},
    }
    for past in past_runs(runner.runs):
        asked = past.asked
        if past.status != "running" and all(asked.get(key) == value for key, value in wanted.items()):
            found[asked["start_date"], asked["end_date"]] = past
    return found


def _listed(names: Any) -> list[str]:
    return [names] if isinstance(names, str) else list(names)
