"""What executors of tasks and of events show of themselves to those who look from outside."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipe_core.runtime.history import History, Transition
from pipe_core.tasks.audit import error_of

if TYPE_CHECKING:
    from pipe_core.tasks.errors import HistoryError


class Views(ABC):
    """Both executors are one: they have a name, a log of transitions, and counts."""

    name: str
    _history: History

    @abstractmethod
    def history(self, one: Any = None, /) -> list[Transition]:
        """The transitions of one task, or of all, in order, as far as they are remembered."""

    @property
    def history_error(self) -> HistoryError | None:
        """Why transitions are no longer kept where ``history=`` said; None while they are."""
        return error_of(self._history)

    def metrics_text(self, **labels: Any) -> str:
        """Counts and times in the text format OpenMetrics, for Prometheus and its relatives.

        Args:
            **labels: More labels of every sample, beside ``executor``, the name.

        Raises:
            OptionsError: A label's name cannot be one, or is taken.
        """
        from pipe_core.tasks.metrics import openmetrics

        return openmetrics(self, **labels)  # type: ignore[arg-type]  # whoever is viewed is one of the two

    def timeline(self, path: str | os.PathLike[str]) -> Path:
        """Write a page that shows what ran when, and how many waited, as far as transitions are remembered.

        Args:
            path: Where to. One HTML file that needs nothing beside itself.

        Returns:
            The path.
        """
        from pipe_core.tasks.timeline_page import write_timeline

        return write_timeline(self.history(), path, title=self.name, slots=getattr(self, "slots", 0))
