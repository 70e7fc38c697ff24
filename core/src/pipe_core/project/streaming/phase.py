"""The second phase of a run: the streams of its pipeline, all at once, until they are stopped or have ended."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.callbacks import PipelineCallback
from pipe_core.project.config.secrets import conceal
from pipe_core.project.contracts import Applied, ContractNote, summed
from pipe_core.project.runs.result import error_text
from pipe_core.project.runs.step import Handed, output_of
from pipe_core.project.state import NodeStatus
from pipe_core.project.streaming.components import RECORDS, Component, components
from pipe_core.project.streaming.stream import Stream
from pipe_core.project.streaming.stream_folder import MicroBatch, stream_path

if TYPE_CHECKING:
    from pipe_core.graph.callbacks import CallbackContext
    from pipe_core.graph.engine import Engine
    from pipe_core.graph.scope import CancelToken
    from pipe_core.kernel.contracts import Followed
    from pipe_core.project.runs.folder import ProjectRunFolder
    from pipe_core.project.runs.plan import RunPlan
    from pipe_core.project.runs.step import Around
    from pipe_core.project.state import RunState
    from pipe_core.runs.journal import Journal

logger: Final = logging.getLogger("pipe_core.project")
_LOOK: Final = 0.2
"""Seconds between two looks at streams by whoever waits for them: a Ctrl-C comes through in between."""


class StreamPhase:
    """Runs the streams of one run.

    Args:
        plan: What runs.
        around: What all nodes share.
        engine: What runs the nodes of micro-batches.
        runs: Where streams keep how far they have come.
        state: Is told what happens.
        journal: Alike; None where nothing is kept.
        stopping: Set by whoever wants the streams to stop.
        callbacks: Hear what happens in micro-batches.
    """

    def __init__(
        self,
        plan: RunPlan,
        around: Around,
        engine: Engine,
        runs: Path,
        state: RunState,
        journal: Journal | None,
        stopping: threading.Event,
        callbacks: Sequence[Any] = (),
    ) -> None:
        self._plan = plan
        self._around = around
        self._engine = engine
        self._state = state
        self._journal = journal
        self._stopping = stopping
        self._callbacks = callbacks
        self._lock = threading.Lock()
        self._parts = [one for one in components(plan.wiring) if self._can_begin(one)]
        self.streams = {one.name: self._stream(one, runs) for one in self._parts}

    def run(self) -> None:
        """Start the streams, and wait for their end. They stop when this is left, however.

        Raises:
            Exception: What the first one raised that failed.
        """
        for part in self._parts:
            for name in part.nodes:
                self._state.begin_node(name)
                self._state.register_streaming_query(name, self.streams[part.name])
                self._write("node", node=name, status="started")
            self.streams[part.name].start()
        left = dict(zip(self.streams, self._parts, strict=True))
        try:
            while left:
                for name in [name for name in left if self.streams[name].wait(_LOOK / len(left))]:
                    self._ended(left.pop(name), self.streams[name])
                if self._stopping.is_set() or any(stream.error for stream in self.streams.values()):
                    self._stop()
        finally:
            self._stop()
        for stream in self.streams.values():
            if stream.error is not None:
                raise stream.error

    def _stop(self) -> None:
        threads = [threading.Thread(target=stream.stop) for stream in self.streams.values() if stream.is_running]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _can_begin(self, part: Component) -> bool:
        """Whether nothing that its nodes need has failed."""
        needed = {other for name in part.nodes for other in self._plan.wiring.nodes[name].needs}
        batch = needed - part.nodes.keys()
        return all(self._state.get_node_status(name) is NodeStatus.COMPLETED for name in batch)

    # --- one stream ---

    def _stream(self, part: Component, runs: Path) -> Stream:
        trigger = part.config.trigger
        return Stream(
            part.name,
            stream_path(runs, self._plan.pipeline.name, part.name),
            follow=lambda since, limit, until: self._around.catalog.follow(part.dataset, since, limit, until),
            process=self._process(part),
            may_come=lambda: self._around.catalog.may_come(part.dataset),
            trigger=None if trigger == "available_now" else float(trigger),
            batch_size=part.config.batch_size,
            told=lambda batch, records, seconds: self._told(part, batch, records, seconds),
        )

    def _process(self, part: Component) -> Callable[[Followed, ProjectRunFolder, CancelToken], None]:
        graph = self._plan.compiled.graph(part.nodes, self._plan.pipeline.name)

        def process(found: Followed, folder: ProjectRunFolder, token: CancelToken) -> None:
            around = replace(self._around, folder=folder, handed_on=frozenset())
            applied: list[Applied] = []
            records = self._around.catalog.checked(part.dataset, list(found.records), found=applied)
            notes = _Notes(part.name, applied)
            told = graph.of(around, [*self._callbacks, notes])
            self._engine.run(told, {output_of(RECORDS): Handed(records)}, token=token)
            self._discarded(notes)

        return process

    def _told(self, part: Component, batch: MicroBatch, records: int, seconds: float) -> None:
        for name in part.nodes:
            told = self._state.node(name).metadata
            told["batches"] = told.get("batches", 0) + 1
            told["records"] = told.get("records", 0) + records
        self._write("batch", stream=part.name, number=batch.number, records=records, seconds=round(seconds, 6))

    def _discarded(self, notes: _Notes) -> None:
        """Tell what contracts have discarded in a micro-batch."""
        for name, told in notes.of_nodes.items():
            known = self._state.node(name).metadata
            known["contracts"] = summed((*known.get("contracts", ()), *told))
            self._write("contracts", node=name, contracts=[note.to_dict() for note in told])
            for note in told:
                level = logging.WARNING if note.discarded else logging.INFO
                logger.log(level, "stream '%s', by its contract for the %s", name, note, extra={"node": name})

    def _ended(self, part: Component, stream: Stream) -> None:
        for name in part.nodes:
            if stream.error is None:
                self._state.complete_node_execution(name, part.nodes[name].stored or None)
            else:
                conceal(stream.error, self._plan.executors)
                self._state.fail_node_execution(name, stream.error)
            word = self._state.get_node_status(name).value
            self._write("node", node=name, status=word, records=stream.records, error=error_text(stream.error))

    def _write(self, event: str, **facts: Any) -> None:
        if self._journal is not None:
            with self._lock:
                self._journal.write(event, **{key: value for key, value in facts.items() if value is not None})


class _Notes(PipelineCallback):
    """Collects what contracts found in one micro-batch.

    Attributes:
        of_nodes: The notes of each node.
    """

    def __init__(self, first: str, applied: list[Applied]) -> None:
        notes = [note for one in applied if (note := one.note) is not None]
        self.of_nodes: dict[str, list[ContractNote]] = {first: notes} if notes else {}

    def on_node_end(self, node_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None:
        """An attempt has ended, well if there are outputs."""
        for handed in outputs.values():
            if handed.notes:
                self.of_nodes.setdefault(node_id, []).extend(handed.notes)
