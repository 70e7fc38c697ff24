"""What all tests of the scheduler kit stand on: making schedulers and tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pipe_core.kernel.access import get_scheduler
from pipe_core.kernel.contracts import Scheduler
from pipe_core.testing.kit import Conformance
from pipe_core.testing.waiting import SLOTS, WaitingTask, mixed


class Ground(Conformance):
    """Attributes and tools of `SchedulerConformance`."""

    scheduler: ClassVar[str] = ""
    options: ClassVar[Mapping[str, Any]] = {}
    ordered: ClassVar[bool] = False
    starves: ClassVar[bool] = False
    examples: ClassVar[int] = 200

    # --- what a subclass may change ---

    def make_scheduler(self) -> Scheduler:
        """A fresh scheduler. Override it to test one that is not installed."""
        return get_scheduler(self.scheduler, **self.options)

    def make_task(self, sequence: int, **key: Any) -> Any:
        """The task that was submitted as number *sequence*, with whatever the scheduler looks at.

        *key* are some of band, number, tag and since; the others are those of a task about which nobody said anything.
        """
        return WaitingTask(sequence, **key)

    # --- helpers ---

    def _scheduler(self, slots: int = SLOTS) -> Scheduler:
        """A fresh scheduler as an executor with so many slots makes it ready."""
        scheduler = self.make_scheduler()
        if (bind := getattr(scheduler, "bind", None)) is not None:
            bind(slots)
        return scheduler

    def _tasks(self, count: int, kind: str = "alike") -> list[Any]:
        return [self.make_task(sequence, **(mixed(sequence) if kind == "mixed" else {})) for sequence in range(count)]

    def _pushed(self, scheduler: Scheduler, count: int, kind: str = "alike") -> list[Any]:
        tasks = self._tasks(count, kind)
        for task in tasks:
            scheduler.push(task)
        return tasks
