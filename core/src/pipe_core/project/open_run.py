"""What a run has open while it goes on: its folder, its journal, and the lock on both."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pipe_core.project.journal import Journal
from pipe_core.project.manifest import write_manifest
from pipe_core.project.run_folder import RunFolder, new_run

if TYPE_CHECKING:
    from pipe_core.project.run_folder import Lease
    from pipe_core.project.run_plan import RunPlan
    from pipe_core.project.run_result import RunResult


class OpenRun:
    """What a run has open: its folder, its journal and the lock on both, or nothing of it."""

    def __init__(self, plan: RunPlan, runs: Path | None, taken: tuple[RunFolder, Lease] | None = None) -> None:
        self.folder: RunFolder | None = None
        self.journal: Journal | None = None
        self._lease: Lease | None = None
        self._plan = plan
        if runs is not None:
            self.folder, self._lease = new_run(runs) if taken is None else taken
            self.journal = Journal(self.folder.journal)

    @property
    def run(self) -> str:
        """The id of the run; empty where nothing is kept."""
        return "" if self.folder is None else self.folder.run

    def __enter__(self) -> Self:
        if self.journal is not None and self.folder is not None:
            plan = self._plan
            self.journal.write(
                "run",
                durable=True,
                run=self.folder.run,
                epoch=self.folder.epoch,
                pipeline=plan.pipeline.name,
                nodes=list(plan.wiring.nodes),
                start_date=None if plan.window is None else plan.window.start,
                end_date=None if plan.window is None else plan.window.end,
                executor=None if plan.executor is None else str(plan.executor),
                model_version=plan.model_version,
                hyperparams=plan.hyperparams,
            )
        return self

    def end(self, result: RunResult) -> None:
        """Write down how it ended."""
        if self.journal is not None and self.folder is not None:
            self.journal.write("end", durable=True, status=result.status, seconds=round(result.duration, 6))
            write_manifest(self.folder.manifest, result)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.journal is not None:
            self.journal.close()
        if self._lease is not None:
            self._lease.release()
