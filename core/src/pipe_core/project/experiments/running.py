"""The loop of an experiment: ask for points, run the objective on them, and tell what came of it."""

from __future__ import annotations

import logging
import math
import numbers
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, Final, Literal, TypeAlias

from pipe_core.kernel.error_text import error_text, short_repr
from pipe_core.project.experiments.errors import OptimizerError, StudyError
from pipe_core.project.experiments.optimizer import Optimizer, ResumableOptimizer
from pipe_core.project.experiments.space import Point, Space
from pipe_core.project.experiments.study import StoredTrial, Study
from pipe_core.runtime.executor import Executor

OnError: TypeAlias = Literal["raise", "continue"]
"""What becomes of an experiment when a trial fails."""

_log: Final = logging.getLogger("pipe_core.project.experiments")


@dataclass(slots=True)
class _Running:
    """A trial that was submitted."""

    trial: StoredTrial
    point: Point
    began: float
    ended: float = 0.0


class TrialLoop:
    """Runs trials until there are as many as wanted.

    At most `at_once` are open, so that every point is asked for with all that is known at that time. What came of a
    trial is in the study before the optimizer hears of it.

    Args:
        objective: Is called with the point.
        space: Of the points.
        optimizer: Says which points to try.
        executor: Where the objective is called.
        study: Where trials are kept. Those that it has ended are not run again, those that it has begun are.
        n_calls: How many trials there shall be in the end, those of the study included.
        at_once: How many may be open.
        on_error: Whether a failing trial ends the experiment. Where it does, failed trials of the study are run again.
    """

    def __init__(
        self,
        objective: Callable[[Any], Any],
        space: Space,
        optimizer: Optimizer,
        executor: Executor,
        study: Study,
        *,
        n_calls: int,
        at_once: int,
        on_error: OnError,
    ) -> None:
        self._objective, self._space, self._optimizer = objective, space, optimizer
        self._executor, self._study = executor, study
        self._n_calls, self._at_once, self._on_error = n_calls, at_once, on_error
        self._ended: dict[int, StoredTrial] = {}
        self._again: list[tuple[StoredTrial, Point]] = []
        self._next = 0
        self._open: dict[Future[Any], _Running] = {}
        self._failure: BaseException | None = None

    def run(self) -> list[StoredTrial]:
        """Run them, and give all trials that ended, by their numbers.

        Raises:
            Exception: What the objective raised, where that ends the experiment. What ran beside it was waited for.
            OptimizerError: The optimizer gave what is no point.
            StudyError: The study cannot be written, or is damaged.
        """
        self._take_up()
        try:
            self._submit()
            while self._open:
                done, _ = wait(self._open, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=lambda future: self._open[future].trial.number):
                    self._end(self._open.pop(future), future)
                self._submit()
        except BaseException:
            for future in self._open:
                future.cancel()
            raise
        if self._failure is not None:
            raise self._failure
        return [self._ended[number] for number in sorted(self._ended)]

    # --- what an earlier run left ---

    def _take_up(self) -> None:
        trials = self._study.trials()
        if not trials:
            return
        points = {trial.number: self._point(trial) for trial in trials}
        is_final = {"completed": True, "failed": self._on_error == "continue", "running": False}
        self._ended = {trial.number: trial for trial in trials if is_final[trial.status]}
        self._again = [(trial, points[trial.number]) for trial in trials if trial.number not in self._ended]
        self._next = trials[-1].number + 1
        self._resume([(points[number], trial.value) for number, trial in self._ended.items()])
        _log.info("the study has %d trials; %d of them are run again", len(trials), len(self._again))

    def _point(self, trial: StoredTrial) -> Point:
        try:
            return self._space.from_plain(trial.point)
        except (ValueError, TypeError) as error:
            text = f"The study is damaged: trial {trial.number} has no point of the space: {error}. Restore the file."
            raise StudyError(text, path=self._study.path) from error

    def _resume(self, ended: list[tuple[Point, float | None]]) -> None:
        if isinstance(self._optimizer, ResumableOptimizer):
            self._optimizer.resume(ended, [point for _, point in self._again])
            return
        for point, value in ended:
            self._optimizer.tell(point, value)

    # --- the way of a trial ---

    def _submit(self) -> None:
        """Submit as many trials as may be open."""
        while self._failure is None and (room := self._room()) > 0 and (points := self._points(room)):
            for trial, point in points:
                self._begin(trial, point)

    def _room(self) -> int:
        left = self._n_calls - len(self._ended) - len(self._open)
        return min(left, self._at_once - len(self._open))

    def _points(self, room: int) -> list[tuple[StoredTrial, Point]]:
        if self._again:
            first, self._again = self._again[:room], self._again[room:]
            return [(StoredTrial(trial.number, trial.point), point) for trial, point in first]
        asked = self._optimizer.ask(room)
        if len(asked) > room:
            raise self._no_point(f"it gave {len(asked)} points where {room} were asked for")
        try:
            points = [self._space.check(point) for point in asked]
        except ValueError as error:
            raise self._no_point(str(error)) from None
        first_number, self._next = self._next, self._next + len(points)
        return [(StoredTrial(first_number + i, self._space.to_plain(one)), one) for i, one in enumerate(points)]

    def _no_point(self, why: str) -> OptimizerError:
        name = type(self._optimizer).__name__
        return OptimizerError(f"The optimizer {name} cannot be used on this space: {why}.", optimizer=name)

    def _begin(self, trial: StoredTrial, point: Point) -> None:
        self._study.write(trial)
        running = _Running(trial, point, monotonic())
        future = self._executor.submit(self._objective, self._space.shaped(point))
        self._open[future] = running
        future.add_done_callback(lambda _: setattr(running, "ended", monotonic()))

    def _end(self, running: _Running, future: Future[Any]) -> None:
        duration = max(0.0, (running.ended or monotonic()) - running.began)
        error = future.exception()
        if error is not None and not isinstance(error, Exception):
            raise error  # Ctrl-C, or the end of the process: no trial failed, this one will be run again
        if error is None:
            value, problem = _value(future.result())
            error = None if problem is None else TypeError(problem)
        trial = replace(running.trial, duration=round(duration, 6))
        if error is None:
            trial = replace(trial, status="completed", value=value)
            _log.info("trial %d: %g after %.3g s", trial.number, value, duration)
        else:
            trial = replace(trial, status="failed", error=f"{type(error).__name__}: {error_text(error)}")
            _log.warning("trial %d failed after %.3g s: %s", trial.number, duration, trial.error)
            if self._on_error == "raise":
                self._fail(error, trial)
        self._study.write(trial)
        self._ended[trial.number] = trial
        self._optimizer.tell(running.point, trial.value)

    def _fail(self, error: BaseException, trial: StoredTrial) -> None:
        if self._failure is None:
            error.add_note(f"This was trial {trial.number} of an experiment, at the point {short_repr(trial.point)}.")
            self._failure = error


def _value(result: Any) -> tuple[float, str | None]:
    """What the objective gave as a float, and what is wrong with it."""
    try:
        # Numbers of NumPy and its like are registered, or know how to become a float; text does not count.
        value = float(result) if isinstance(result, numbers.Real) or hasattr(result, "__float__") else None
    except (TypeError, ValueError, OverflowError):
        value = None
    if value is None:
        return 0.0, f"the objective returned {short_repr(result)}, which is no number"
    if not math.isfinite(value):
        return 0.0, f"the objective returned {value}: a value must be finite, or the trial must raise"
    return value, None


def best_of(trials: Iterable[StoredTrial]) -> StoredTrial | None:
    """The trial with the least value, the earlier one of two that are equal."""
    found: StoredTrial | None = None
    for trial in trials:
        if trial.value is not None and (found is None or found.value is None or trial.value < found.value):
            found = trial
    return found
