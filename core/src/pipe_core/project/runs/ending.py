"""The end of a run: its result out of its state, and its error if it has failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipe_core.project.contracts import ContractNote
from pipe_core.project.errors import RunFailedError
from pipe_core.project.runs.result import NodeResult, RunResult, RunStatus, error_text
from pipe_core.project.state import NodeStatus
from pipe_core.runs.journal import read_journal

if TYPE_CHECKING:
    from pipe_core.project.catalog import Catalog
    from pipe_core.project.runs.opened import OpenRun
    from pipe_core.project.runs.plan import RunPlan
    from pipe_core.project.state import RunState


def failed_nodes(state: RunState) -> list[str]:
    """The nodes that have failed for good, in order."""
    return [name for name, node in state.nodes.items() if node.word is NodeStatus.FAILED]


def result_of(
    plan: RunPlan,
    opened: OpenRun,
    state: RunState,
    values: Mapping[str, Any],
    duration: float,
    status: RunStatus,
    catalog: Catalog,
) -> RunResult:
    """The result of a run that has ended."""
    restored = {one.name: one for one in plan.restored}
    earlier = _earlier_notes(opened) if restored else {}
    wired, nodes = plan.wiring.nodes, {}
    for name, node in state.nodes.items():
        word = node.word
        if name in restored:
            stored, notes = restored[name].stored, earlier.get(name, ())
            nodes[name] = NodeResult(name, word, outputs=stored, restored=True, contracts=notes)
            continue
        attempts = 0 if node.started is None else node.attempt
        stored = wired[name].stored if word is NodeStatus.COMPLETED else ()
        notes = tuple(node.metadata.get("contracts", ()))
        nodes[name] = NodeResult(name, word, attempts, node.duration, node.error, stored, False, notes)
    folder = None if opened.folder is None else opened.folder.path
    return RunResult(
        opened.run, plan.pipeline.name, status, nodes, dict(values), plan.window, duration, folder, state, catalog
    )


def _earlier_notes(opened: OpenRun) -> dict[str, tuple[ContractNote, ...]]:
    """What contracts of nodes have discarded in earlier parts of a run, as its journal tells."""
    events = [] if opened.folder is None else read_journal(opened.folder.journal)
    told = {one["node"]: one["contracts"] for one in events if one.get("status") == "completed" and "contracts" in one}
    return {name: tuple(map(ContractNote.from_dict, notes)) for name, notes in told.items()}


def failure(result: RunResult, error: BaseException | None) -> RunFailedError:
    """The error for a run that has failed, because of a node or of *error*, which is about the run as a whole."""
    done = sum(node.status is NodeStatus.COMPLETED for node in result.nodes.values())
    went = f"{done} of {len(result.nodes)} nodes completed"
    skipped = f", {len(result.skipped)} were skipped" if result.skipped else ""
    further = f". Correct it and go on: pipe resume {result.run}" if result.run else "."
    if result.failed:
        first = result.failed[0]
        more = f" (and {len(result.failed) - 1} more)" if len(result.failed) > 1 else ""
        what = f"Node '{first}'{more} of '{result.pipeline}' has failed: {error_text(result.nodes[first].error)}"
    else:
        first, what = "", f"'{result.pipeline}' could not be run: {error_text(error)}"
    dot = "" if what.endswith((".", "?", "!")) else "."
    return RunFailedError(f"{what}{dot} {went}{skipped}{further}", node=first, result=result)
