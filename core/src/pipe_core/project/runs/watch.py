"""What happens in a run, as it happens: into its state, its journal and the log, and results let go in time."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.callbacks import PipelineCallback
from pipe_core.project.config.secrets import conceal
from pipe_core.project.runs.result import error_text
from pipe_core.project.state import NodeStatus

if TYPE_CHECKING:
    from pipe_core.graph.callbacks import CallbackContext
    from pipe_core.project.runs.step import Handed
    from pipe_core.project.state import RunState
    from pipe_core.project.wiring import Wiring
    from pipe_core.runs.journal import Journal
    from pipe_core.runtime.retries import Retry

logger: Final = logging.getLogger("pipe_core.project")


class Watch(PipelineCallback):
    """Hears of every node of one run, in the thread that waits for it.

    Args:
        wiring: What runs.
        state: Is told what happens.
        journal: Alike; None where nothing is kept.
        retries: When a node is tried again.
        keep: The nodes whose results are kept to the end.
        facts: What the log says of the run: its id and its pipeline.
        executors: Where nodes run, as the project says it. No error shows the secrets in it.

    Attributes:
        values: The results that are kept, by node.
    """

    def __init__(
        self,
        wiring: Wiring,
        state: RunState,
        journal: Journal | None,
        retries: Mapping[str, Retry],
        keep: Iterable[str],
        facts: Mapping[str, str],
        executors: Sequence[Any] = (),
    ) -> None:
        self.values: dict[str, Any] = {}
        self._wiring = wiring
        self._state = state
        self._journal = journal
        self._retries = retries
        self._keep = frozenset(keep)
        self._facts = facts
        self._executors = list(executors)
        self._takers = wiring.consumers()
        self._handed: dict[str, Handed] = {}

    # --- what the graph tells ---

    def on_node_start(self, node_id: str, inputs: dict[str, Any], ctx: CallbackContext) -> None:
        """A node begins, or another attempt of it."""
        attempt = self._state.begin_node(node_id, ctx.time).attempt
        if self._journal is not None:
            self._journal.write("node", node=node_id, status="started", attempt=attempt)
        self._log(logging.DEBUG, node_id, "node '%s' begins", node_id)

    def on_error(self, node_id: str, error: BaseException, ctx: CallbackContext) -> None:
        """An attempt has failed."""
        if self._state.get_node_status(node_id) is not NodeStatus.RUNNING:
            return  # another one has ended the run, and this one was given up
        conceal(error, self._executors)
        if not isinstance(error, Exception):  # somebody wants an end
            self._state.cancel_node_execution(node_id, error_text(error) or "")
            self._write(node_id, "cancelled", error=error_text(error))
            return
        attempt = self._state.node(node_id).attempt
        retry = self._retries.get(node_id)
        again = retry is not None and retry.after(attempt, error) is not None
        self._state.fail_node_execution(node_id, error, retry=again, at=ctx.time)
        seconds = self._state.node(node_id).duration
        status = "retrying" if again else "failed"
        self._write(node_id, status, attempt=attempt, seconds=_rounded(seconds), error=error_text(error))
        self._log(
            logging.WARNING if again else logging.ERROR,
            node_id,
            "node '%s' %s after %.3f s: %s",
            node_id,
            "is tried again" if again else "has failed",
            seconds,
            error_text(error),
        )
        if not again:
            self._ended(node_id)
            self._write_skipped()

    def on_node_end(self, node_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None:
        """An attempt has ended, well if there are outputs."""
        if not outputs:
            return
        (handed,) = outputs.values()
        stored = self._wiring.nodes[node_id].stored
        told = {"contracts": handed.notes} if handed.notes else None
        attempt = self._state.complete_node_execution(node_id, stored or None, told, at=ctx.time).attempt
        if self._journal is not None:
            facts: dict[str, Any] = {"attempt": attempt, "seconds": round(duration, 6), "outputs": list(stored)}
            if handed.notes:
                facts["contracts"] = [one.to_dict() for one in handed.notes]
            self._journal.write("node", node=node_id, status="completed", **facts)
        self._log(logging.INFO, node_id, "node '%s' completed in %.3f s", node_id, duration, duration=duration)
        for note in handed.notes:
            level = logging.WARNING if note.discarded else logging.INFO
            self._log(level, node_id, "node '%s', by its contract for the %s", node_id, note)
        is_taken = self._takers[node_id]
        if not is_taken or node_id in self._keep:
            self.values[node_id] = handed.take()
        if is_taken:
            self._handed[node_id] = handed
        else:
            handed.let_go()
        self._ended(node_id)

    # --- results ---

    def _ended(self, node: str) -> None:
        """What only *node* still needed is let go."""
        for giver in {one.node for one in self._wiring.nodes[node].arguments if one.node is not None}:
            self._takers[giver] -= 1
            if not self._takers[giver] and giver in self._handed:
                self._handed.pop(giver).let_go()

    # --- the end ---

    def end(self, reason: str) -> None:
        """Nothing runs any more: what has not ended was cancelled, because of *reason*."""
        for name, node in self._state.nodes.items():
            if node.word in (NodeStatus.PENDING, NodeStatus.RUNNING, NodeStatus.RETRYING):
                self._state.cancel_node_execution(name, reason)
                self._write(name, "cancelled", error=reason)
        self._handed.clear()

    def _write_skipped(self) -> None:
        for name, node in self._state.nodes.items():
            if node.word is NodeStatus.SKIPPED and not node.metadata.get("told"):
                node.metadata["told"] = True
                self._write(name, "skipped", error=error_text(node.error))
                self._log(logging.WARNING, name, "node '%s' is skipped: %s", name, node.error)
                self._ended(name)

    def _write(self, node: str, status: str, **facts: Any) -> None:
        if self._journal is not None:
            known = {key: value for key, value in facts.items() if value is not None}
            self._journal.write("node", node=node, status=status, **known)

    def _log(self, level: int, node: str, text: str, *arguments: Any, duration: float | None = None) -> None:
        if logger.isEnabledFor(level):
            extra = {**self._facts, "node": node, "duration": duration}
            logger.log(level, text, *arguments, extra=extra)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
