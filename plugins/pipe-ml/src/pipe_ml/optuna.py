"""Optuna as an optimizer: the tree-structured Parzen estimator (TPE), or any other of its samplers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from pipe_core.kernel.errors import OptionsError
from pipe_core.project.experiments import Categorical, Integer, Point, Space
from pipe_core.project.experiments.dimensions import Dimension
from pipe_core.project.experiments.optimizer import Best, seed_after

_quiet_lock: Final = threading.Lock()


class OptunaOptimizer:
    """Asks Optuna which points to try.

    Trials that run are known to it, and TPE keeps away from them (its *constant liar*), so points can be asked for
    before the last ones have ended. On ``sync`` the points follow from `random_state`; where trials run at once, the
    order in which they end has a say.

    Args:
        space: As `Space.of` takes it.
        random_state: The seed of the sampler. None: another one each time.
        sampler: Another way to choose points: a function that gets the seed and gives a sampler of Optuna, such as
            ``lambda seed: CmaEsSampler(seed=seed)``. Default: `TPESampler`, whose first 10 points are random.
    """

    def __init__(
        self, space: Any, *, random_state: int | None = None, sampler: Callable[[int | None], BaseSampler] | None = None
    ) -> None:
        self._space = Space.of(space)
        self._seed = random_state
        self._sampler = sampler or _tpe
        self._distributions = {name: _distribution(one) for name, one in self._space.dimensions.items()}
        self._study = self._new_study(random_state)
        self._open: dict[tuple[Any, ...], list[int]] = {}  # numbers of trials; there may be two at one point

    def _new_study(self, seed: int | None) -> optuna.Study:
        sampler = self._sampler(seed)
        if not isinstance(sampler, BaseSampler):
            raise OptionsError(f"sampler={self._sampler!r} made {sampler!r}, which is no sampler of Optuna.")
        with _quietly():
            return optuna.create_study(direction=StudyDirection.MINIMIZE, sampler=sampler)

    def ask(self, n: int = 1) -> list[Point]:
        """*n* more points."""
        return [self._asked() for _ in range(n)]

    def _asked(self) -> Point:
        trial = self._study.ask(self._distributions)
        self._open.setdefault(self._key(trial.params), []).append(trial.number)
        return {name: _value(one, trial.params[name]) for name, one in self._space.dimensions.items()}

    def tell(self, point: Point, value: float | None) -> None:
        """What came of a point, also of one that was not asked for."""
        params = self._params(point)
        key = self._key(params)
        numbers = self._open.get(key)
        if not numbers:
            self._study.add_trial(self._frozen(params, value))
            return
        number = numbers.pop(0)
        if not numbers:
            del self._open[key]
        if value is None:
            self._study.tell(number, state=TrialState.FAIL)
        else:
            self._study.tell(number, value)

    def resume(self, ended: Sequence[tuple[Point, float | None]], running: Sequence[Point]) -> None:
        """Go on with the trials of an earlier run, and with other random numbers."""
        self._study = self._new_study(seed_after(self._seed, len(ended) + len(running)))
        for point, value in ended:
            self.tell(point, value)
        for point in running:
            with _quietly():
                self._study.enqueue_trial(self._params(point))
            self._asked()

    @property
    def best(self) -> Best:
        """The best point so far."""
        try:
            trial = self._study.best_trial
        except ValueError:  # none has ended well
            return None
        if trial.value is None:
            return None
        return {name: _value(one, trial.params[name]) for name, one in self._space.dimensions.items()}, trial.value

    def _frozen(self, params: dict[str, Any], value: float | None) -> FrozenTrial:
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        return create_trial(state=state, value=value, params=params, distributions=self._distributions)

    def _params(self, point: Point) -> dict[str, Any]:
        """*point* as Optuna has it: choices by their numbers, so that they can be anything."""
        return {
            name: one.number(point[name]) if isinstance(one, Categorical) else point[name]
            for name, one in self._space.dimensions.items()
        }

    def _key(self, params: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(params[name] for name in self._space.dimensions)


def _tpe(seed: int | None) -> BaseSampler:
    with _quietly():  # older versions call the argument experimental
        return TPESampler(seed=seed, constant_liar=True)


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Categorical):
        return CategoricalDistribution(range(len(dimension.choices)))
    if isinstance(dimension, Integer):
        return IntDistribution(dimension.low, dimension.high, log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _value(dimension: Dimension, param: Any) -> Any:
    if isinstance(dimension, Categorical):
        return dimension.choices[param]
    return int(param) if isinstance(dimension, Integer) else float(param)


@contextmanager
def _quietly() -> Iterator[None]:
    """Optuna tells everybody on standard error about studies that it keeps in memory."""
    import warnings

    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
        try:
            yield
        finally:
            optuna.logging.set_verbosity(before)
