"""What came of an experiment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipe_core.project.experiments.space import Space
from pipe_core.project.experiments.trial import Trial


@dataclass(frozen=True, slots=True)
class ExperimentResult:
    """The best point of an experiment, and how it was found.

    Attributes:
        x: The best point, in the form in which the objective gets it. The earliest one, where several are as good.
        fun: Its value.
        trials: All trials by their numbers, the failed ones and those of earlier runs of the study included.
        space: What was varied.
        optimizer: The name of the optimizer.
        random_state: The seed. None where an optimizer was given that has its own.
    """

    x: Any
    fun: float
    trials: list[Trial]
    space: Space = field(repr=False)
    optimizer: str = ""
    random_state: int | None = None

    @property
    def failed(self) -> list[Trial]:
        """The trials that failed."""
        return [trial for trial in self.trials if trial.status == "failed"]

    def importances(self) -> Mapping[str, float]:
        """How much each parameter matters, from 0 to 1: see `parameter_importances`."""
        from pipe_core.project.experiments.importance import parameter_importances

        return parameter_importances(self.trials, self.space)

    def to_html(self, path: str | os.PathLike[str], *, title: str = "experiment") -> Path:
        """Write a page that shows the trials and which parameters mattered to *path*, and return that.

        Raises:
            NoFolderError: The folder of *path* does not exist.
        """
        from pipe_core.looks.folders import check_folder
        from pipe_core.project.experiments.study_page import render_study

        target = Path(path)
        check_folder(target)
        target.write_text(render_study(self, title=title), "utf-8", errors="backslashreplace")
        return target
