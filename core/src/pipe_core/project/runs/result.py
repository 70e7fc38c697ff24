"""What is known of a run when it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pipe_core.project.dependencies import unknown_node
from pipe_core.project.runs.step import Stored
from pipe_core.project.state import NodeStatus

if TYPE_CHECKING:
    from pathlib import Path

    from pipe_core.project.catalog import Catalog
    from pipe_core.project.contracts import ContractNote
    from pipe_core.project.dates import DateWindow
    from pipe_core.project.state import RunState

RunStatus = Literal["completed", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class NodeResult:
    """How a node ended.

    Attributes:
        name: Its name.
        status: How it ended.
        attempts: How many times it was tried.
        duration: Seconds of its last attempt; None where there was none.
        error: Of the last attempt, or why it was skipped; None where it completed.
        outputs: The names of its outputs that are stored.
        restored: Whether it ran in an earlier part of the run, which was resumed.
        contracts: What its contracts have discarded, or let pass.
    """

    name: str
    status: NodeStatus
    attempts: int = 0
    duration: float | None = None
    error: BaseException | str | None = None
    outputs: tuple[str, ...] = ()
    restored: bool = False
    contracts: tuple[ContractNote, ...] = ()

    @property
    def discarded(self) -> dict[str, int]:
        """How many records and values its contracts have discarded, by the name of the input or output."""
        counts: dict[str, int] = {}
        for note in self.contracts:
            if note.discarded:
                counts[note.name] = counts.get(note.name, 0) + note.discarded
        return counts

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "status": self.status.value,
            "attempts": self.attempts,
            "seconds": self.duration,
            "error": error_text(self.error),
            "outputs": list(self.outputs),
            "restored": self.restored,
            "contracts": [note.to_dict() for note in self.contracts],
        }


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended.

    ``result["train"]`` is what the node gave, where it was kept: see `values`.

    Attributes:
        run: The id of the run; empty where nothing of it was kept.
        pipeline: The name of the pipeline; empty for nodes that were run by themselves.
        status: ``completed`` where every node did.
        nodes: Each node of it, by name, in order.
        values: Results by node: of those that no other node takes, or of all with ``keep=True``. Others were let go
            when the last node that takes them was done.
        window: What the run was about.
        duration: Seconds.
        folder: Where its journal is; None where nothing was kept.
        state: The state of all nodes, which can still be asked.
    """

    run: str
    pipeline: str
    status: RunStatus
    nodes: Mapping[str, NodeResult]
    values: Mapping[str, Any]
    window: DateWindow | None
    duration: float
    folder: Path | None
    state: RunState = field(repr=False)
    catalog: Catalog = field(repr=False)

    def __getitem__(self, node: str) -> Any:
        """What *node* gave, or what it stored.

        Raises:
            NodeNotFoundError: There is no such node.
            KeyError: It has not completed, or its result was let go and is stored nowhere.
        """
        if node not in self.nodes:
            raise unknown_node(node, self.nodes)
        if node in self.values and type(value := self.values[node]) is not Stored:
            return value
        found = self.nodes[node]
        if found.status is NodeStatus.COMPLETED and len(found.outputs) == 1:
            return self.catalog.load(found.outputs[0], self.window)
        why = "is let go" if found.status is NodeStatus.COMPLETED else f"does not exist: the node is {found.status}"
        raise KeyError(f"The result of '{node}' {why}. Run with keep=True to keep all results.")

    def __contains__(self, node: object) -> bool:
        return node in self.nodes

    @property
    def ok(self) -> bool:
        """Whether every node completed."""
        return self.status == "completed"

    @property
    def statuses(self) -> dict[str, str]:
        """The status of each node."""
        return {name: node.status.value for name, node in self.nodes.items()}

    @property
    def failed(self) -> tuple[str, ...]:
        """The nodes that failed."""
        return self._with(NodeStatus.FAILED)

    @property
    def skipped(self) -> tuple[str, ...]:
        """The nodes that did not run because one that they need failed."""
        return self._with(NodeStatus.SKIPPED)

    @property
    def error(self) -> BaseException | None:
        """What the first node that failed raised."""
        errors = (self.nodes[name].error for name in self.failed)
        return next((error for error in errors if isinstance(error, BaseException)), None)

    def _with(self, status: NodeStatus) -> tuple[str, ...]:
        return tuple(name for name, node in self.nodes.items() if node.status is status)

    def to_dict(self) -> dict[str, Any]:
        """Everything but values, as plain data."""
        return {
            "run": self.run,
            "pipeline": self.pipeline,
            "status": self.status,
            "start_date": None if self.window is None else self.window.start,
            "end_date": None if self.window is None else self.window.end,
            "seconds": round(self.duration, 6),
            "nodes": {name: node.to_dict() for name, node in self.nodes.items()},
        }


def error_text(error: BaseException | str | None) -> str | None:
    """An error in a line."""
    return error if error is None or isinstance(error, str) else f"{type(error).__name__}: {error}"
