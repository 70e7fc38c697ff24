"""`ExperimentCommand`: look for the best parameters of a function."""

from __future__ import annotations

import inspect
import os
import random
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_args

from pipe_core.kernel.error_text import short_repr
from pipe_core.kernel.errors import OptionsError
from pipe_core.project.experiments.choosing import DEFAULT, choose_optimizer
from pipe_core.project.experiments.errors import ExperimentError, StudyError
from pipe_core.project.experiments.optimizer import Optimizer
from pipe_core.project.experiments.result import ExperimentResult
from pipe_core.project.experiments.running import OnError, TrialLoop, best_of
from pipe_core.project.experiments.space import Space
from pipe_core.project.experiments.study import MemoryStudy, StoredTrial, Study, check_suffix, open_study
from pipe_core.project.experiments.trial import Trial
from pipe_core.runtime.select import choose_executor


class ExperimentCommand:
    """Looks for the point of a space where a function has its least value.

    Args:
        objective_func: Is called with a point and gives a number, the less the better. It may be asynchronous. With a
            space that is a list the point is a list; with a mapping it is a dictionary.
        space: What to vary: see `Space.of`. ``{"rate": (1e-4, 1.0, "log-uniform"), "depth": (1, 9)}``.
        n_calls: How many trials there shall be, those of the study included. A grid may have fewer points.
        random_state: The seed; 0 is one. None: another one each time, which the result and the study tell.
        optimizer: Says which points to try: ``"optuna"`` (the default) and ``"skopt"`` from the package pipe-ml,
            ``"random"`` and ``"grid"`` of core, ``"module:Class"``, ``(one of these, options)``, or an `Optimizer`.
        executor: Where trials run: see `get_executor`. Default: as the settings say, then ``"sync"``.
        study: A file (``.jsonl``, ``.sqlite`` or ``.db``) that keeps every trial. If it has trials already, the
            experiment goes on from there: those that ended are not run again, those that were running are.
        max_parallel: How many trials may run at once. Default: as many as the executor has slots.
        on_error: ``"raise"``: the first trial that fails ends the experiment with its own exception, and is run again
            when the study is resumed. ``"continue"``: it is kept as failed.

    Raises:
        OptionsError: One of these is wrong.
    """

    def __init__(
        self,
        objective_func: Callable[[Any], Any],
        space: Any,
        n_calls: int = 20,
        random_state: int | None = None,
        *,
        optimizer: Any = None,
        executor: Any = None,
        study: str | os.PathLike[str] | None = None,
        max_parallel: int | None = None,
        on_error: OnError = "raise",
    ) -> None:
        if not callable(objective_func):
            raise OptionsError(f"{short_repr(objective_func)} cannot be called. Give a function of a point.")
        _check_count("n_calls", n_calls)
        if max_parallel is not None:
            _check_count("max_parallel", max_parallel)
        if random_state is not None and (isinstance(random_state, bool) or not _is_seed(random_state)):
            raise OptionsError(
                f"random_state={short_repr(random_state)} is no seed: give a whole number from 0 to 2**32 - 1."
            )
        if on_error not in get_args(OnError):
            raise OptionsError(f"on_error='{on_error}' is not known. Choose 'raise' or 'continue'.")
        if random_state is not None and _is_made(optimizer):
            raise OptionsError("The optimizer is made already and has its own seed: give random_state to it instead.")
        if study is not None:
            check_suffix(study)
        self.objective_func = objective_func
        self.space = Space.of(space)
        self.n_calls = n_calls
        self.random_state = random_state
        self.optimizer = optimizer
        self.executor = executor
        self.study = None if study is None else Path(study)
        self.max_parallel = max_parallel
        self.on_error = on_error

    def execute(self) -> ExperimentResult:
        """Run the trials.

        Raises:
            Exception: What the objective raised, with a note of which trial that was, unless ``on_error="continue"``.
            ExperimentError: No trial gave a value.
            OptimizerMissingError: The optimizer's package is not installed. Nothing was run.
            OptimizerError: The optimizer gave what is no point of the space.
            StudyError: The study cannot be written, is damaged, or is one of another experiment.
        """
        with ExitStack() as stack:
            study: Study = MemoryStudy() if self.study is None else open_study(self.study)
            stack.callback(study.close)
            seed = self._begin(study)
            chosen = choose_optimizer(self.optimizer, self.space, random_state=seed, n_calls=self.n_calls)
            executor, is_ours = choose_executor(self.executor, default="sync")
            if is_ours:
                stack.enter_context(executor)
            loop = TrialLoop(
                self.objective_func,
                self.space,
                chosen,
                executor,
                study,
                n_calls=self.n_calls,
                at_once=min(self.max_parallel or executor.slots, executor.slots),
                on_error=self.on_error,
            )
            return self._result(loop.run(), seed)

    def _begin(self, study: Study) -> int | None:
        """Make sure that the study is of this experiment, and give its seed."""
        header = study.header()
        if header is None:
            seed = None if _is_made(self.optimizer) else self.random_state
            if seed is None and not _is_made(self.optimizer):
                seed = random.SystemRandom().getrandbits(31)
            study.begin({"space": self.space.describe(), "random_state": seed, "optimizer": self._name()})
            return seed
        self._check(header)
        seed = header.get("random_state")
        return None if _is_made(self.optimizer) else seed

    def _check(self, header: Mapping[str, Any]) -> None:
        before, now, seed = header.get("space") or {}, self.space.describe(), header.get("random_state")
        if changed := [name for name in {**before, **now} if before.get(name) != now.get(name)]:
            raise self._other(f"its space is another one; what differs is {', '.join(changed)}")
        if self.random_state is not None and seed != self.random_state:
            raise self._other(f"its random_state is {seed}, not {self.random_state}")

    def _other(self, why: str) -> StudyError:
        text = f"The study {self.study} is of another experiment: {why}. Give the same as before, or another file."
        return StudyError(text, path=str(self.study))

    def _name(self) -> str:
        wanted = self.optimizer[0] if isinstance(self.optimizer, tuple) and self.optimizer else self.optimizer
        if isinstance(wanted, str):
            return wanted
        return DEFAULT if wanted is None else getattr(wanted, "__qualname__", type(wanted).__name__)

    def _result(self, ended: list[StoredTrial], seed: int | None) -> ExperimentResult:
        trials = [self._trial(trial) for trial in ended]
        best = best_of(ended)
        if best is None or best.value is None:
            last = f" The last one: {trials[-1].error}." if trials else ""
            raise ExperimentError(f"All {len(trials)} trials failed, so there is no best point.{last}", trials=trials)
        x = self.space.shaped(self.space.from_plain(best.point))
        return ExperimentResult(x, best.value, trials, self.space, self._name(), seed)

    def _trial(self, stored: StoredTrial) -> Trial:
        point = self.space.shaped(self.space.from_plain(stored.point))
        return Trial(stored.number, point, stored.value, stored.status, stored.duration, stored.error)


def _is_made(optimizer: Any) -> bool:
    return isinstance(optimizer, Optimizer) and not inspect.isclass(optimizer)


def _is_seed(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 2**32


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        text = f"{name}={short_repr(value)} is no number of trials. Give 1 or more."
        raise OptionsError(text, problems={name: "no number from 1 on"})
