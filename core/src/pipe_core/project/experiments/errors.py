"""What can go wrong with an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipe_core.kernel.errors import PipeError, RunError

if TYPE_CHECKING:
    from pipe_core.project.experiments.trial import Trial


class ExperimentError(RunError):
    """An experiment has no result. `trials` are those that ended."""

    def __init__(self, message: str, *, trials: Sequence[Trial] = ()) -> None:
        super().__init__(message)
        self.trials = list(trials)


class OptimizerError(PipeError, RuntimeError):
    """An optimizer gave what is no point of the space, or cannot go on. `optimizer` is its name."""

    def __init__(self, message: str, *, optimizer: str) -> None:
        super().__init__(message)
        self.optimizer = optimizer


class OptimizerMissingError(OptimizerError, ImportError):
    """The package of an optimizer is not installed. `missing` is the package, `install` the command that helps."""

    def __init__(self, message: str, *, optimizer: str, missing: str, install: str) -> None:
        super().__init__(message, optimizer=optimizer)
        self.missing = missing
        self.install = install

    def __str__(self) -> str:  # ImportError has its own idea of str()
        return str(self.args[0])


class StudyError(PipeError, OSError):
    """The file of a study is damaged, is of another experiment, or cannot be written. `path` names it."""

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path

    def __str__(self) -> str:  # OSError has its own idea of str()
        return str(self.args[0])


class StudyInUseError(StudyError):
    """Another experiment, here or in another process, is writing to the study."""
