"""What a run has open while it goes on: its folder, its journal, and the lock on both."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pipe_core.looks.redaction import public
from pipe_core.project.runs.manifest import Commit, write_manifest
from pipe_core.project.runs.resuming import asked_as_data, digest_of, exact_hyperparams
from pipe_core.runs.journal import Journal

if TYPE_CHECKING:
    from pipe_core.project.project import Project
    from pipe_core.project.runs.folder import ProjectRunFolder
    from pipe_core.project.runs.plan import RunPlan
    from pipe_core.project.runs.result import RunResult
    from pipe_core.runs.lease import Lease


class OpenRun:
    """What a run has open: its folder, its journal and the lock on both, or nothing of it.

    Args:
        plan: What runs.
        project: Its project.
        taken: The folder and the lock on it; None where nothing is kept of the run.
        commit: Knows which commit the project is at.
    """

    def __init__(
        self, plan: RunPlan, project: Project, taken: tuple[ProjectRunFolder, Lease] | None, commit: Commit
    ) -> None:
        self.folder = None if taken is None else taken[0]
        self._lease = None if taken is None else taken[1]
        self.journal = None if self.folder is None else Journal(self.folder.journal)
        self._plan = plan
        self._project = project
        self._commit = commit
        if self.folder is not None:
            commit.ask()

    @property
    def run(self) -> str:
        """The id of the run; empty where nothing is kept."""
        return "" if self.folder is None else self.folder.run

    def __enter__(self) -> Self:
        if self.journal is not None and self.folder is not None:
            facts = asked_as_data(self._plan.asked, self._project)
            nodes = self._plan.wiring.nodes.values()
            self.journal.write(
                "run",
                durable=any(node.stored for node in nodes),
                run=self.folder.run,
                epoch=self.folder.epoch,
                executor=_shown(self._plan.executor),
                nodes=[node.name for node in nodes],
                stores={node.name: digest_of(node, self._plan.wiring) for node in nodes if node.stored},
                restored=[one.name for one in self._plan.restored],
                exact=exact_hyperparams(self._plan.asked),
                **facts,
            )
        return self

    def end(self, result: RunResult) -> None:
        """Write down how it ended."""
        if self.journal is not None and self.folder is not None:
            if result.ok:
                self.folder.forget_values()
            self.journal.write("end", status=result.status, seconds=round(result.duration, 6))
            plan = self._plan
            parameters = {
                **asked_as_data(plan.asked, self._project),
                "executor": _shown(plan.executor),
                "max_workers": plan.max_workers,
                "ml": {
                    name: {key: ml[key] for key in ("model_version", "hyperparams")} for name, ml in plan.ml.items()
                },
            }
            write_manifest(self.folder.manifest, result, parameters, self._commit)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._commit.answer()  # whoever asked waits, also where nobody wants to know any more
        if self.journal is not None:
            self.journal.close()
        if self._lease is not None:
            self._lease.release()


def _shown(executor: Any) -> str | None:
    """An executor as it is written down: what a person typed may hold a token."""
    return None if executor is None else str(public(executor))
