"""`RunRecorder`: what ran when in the last run of a pipeline, and for how long."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipe_core.graph.callbacks import PipelineCallback
from pipe_core.looks.wording import several

if TYPE_CHECKING:
    from pipe_core.graph.callbacks import CallbackContext
    from pipe_core.graph.pictures import Gantt


class NodeCall(NamedTuple):
    """A call of a node, or a result that was found in the cache in its place.

    Attributes:
        node: The node's name, behind the names of the pipelines inside of which it is: ``"inner/split"``.
        item: The place of the item in each map around it, the outermost first; empty outside of maps.
        start: When it began, in seconds since the run did.
        end: When it ended.
        cached: Whether it did not run, because its outputs were known.
        failed: Whether it raised something. An attempt that is followed by another one is a call of its own.
    """

    node: str
    item: tuple[int, ...]
    start: float
    end: float
    cached: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class NodeTimes:
    """All calls of a node.

    Attributes:
        count: How many there were, without results that were found in the cache.
        total: How many seconds they took together; more than the run did, where several ran at once.
        longest: How many seconds the longest one took.
        cached: How many results were found in the cache.
        failed: How many of the calls raised something.
    """

    count: int
    total: float
    longest: float
    cached: int = 0
    failed: int = 0

    @property
    def mean(self) -> float:
        """How many seconds a call took; 0 where there was none."""
        return self.total / self.count if self.count else 0.0


@dataclass(slots=True)
class _Recording:
    """One run.

    Attributes:
        title: What ran.
        began: When, by the clock of the events.
        calls: What has ended so far.
    """

    title: str
    began: float
    calls: list[NodeCall] = field(default_factory=list)


class RunRecorder(PipelineCallback):
    """Writes down when each call of a node began and ended: ``Pipeline(..., callbacks=[recorder])``.

    It holds the last run: of several at the same time the one that began last. In notebooks it shows itself as a
    drawing. Times of nodes in other processes are theirs; where they begin is right but for the time that an answer
    travels.
    """

    def __init__(self) -> None:
        self._key = f"pipe_core.graph.recording {id(self)}"
        self._last: _Recording | None = None

    # --- what it knows ---

    @property
    def calls(self) -> list[NodeCall]:
        """All calls of the last run, in the order in which their ends were told."""
        return [] if self._last is None else list(self._last.calls)

    def summary(self) -> dict[str, NodeTimes]:
        """How often each node ran, and for how long, in the order in which they first ended."""
        nodes: dict[str, list[NodeCall]] = {}
        for call in self.calls:
            nodes.setdefault(call.node, []).append(call)
        return {name: _times(calls) for name, calls in nodes.items()}

    def gantt(self, path: str | os.PathLike[str] | None = None, *, style: str = "default") -> Gantt:
        """Draw the last run over time: a row for each node, a bar for each call. What was in the cache took no time.

        Args:
            path: Where to write it; its ending says as what: ``.svg``, ``.png`` or ``.html``. Default: nowhere.
            style: As of a picture of a pipeline.

        Returns:
            The drawing: it shows itself in notebooks, has `svg` and `html`, and `save(path)`.

        Raises:
            PictureError: The file cannot be written in this form; says what to install if it is that.
        """
        from pipe_core.graph.pictures import gantt

        ran = (call for call in self.calls if not call.cached)
        rows = ((call.node, call.item or None, call.start, call.end, "") for call in ran)
        found = gantt(rows, title="run" if self._last is None else self._last.title, style=style)
        if path is not None:
            found.save(path)
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the calls of the last run to a file, as JSON: a later `Pipeline.plan` estimates from it."""
        from pipe_core.graph.timings import save

        save(self.calls, Path(path))

    def _repr_svg_(self) -> str:
        return self.gantt().svg

    def __repr__(self) -> str:
        if self._last is None:
            return "<RunRecorder: no run yet>"
        return f"<RunRecorder of '{self._last.title}': {several(len(self._last.calls), 'call')}>"

    # --- events ---

    def on_pipeline_start(self, pipeline_id: str, inputs: dict[str, Any], ctx: CallbackContext) -> None:
        """A pipeline begins: perhaps the run."""
        self._recording(ctx)

    def on_map_start(self, total_items: int | None, ctx: CallbackContext) -> None:
        """A map begins: perhaps the run."""
        self._recording(ctx)

    def on_node_end(self, node_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None:
        """A node has ended. Only one that has failed has no outputs."""
        self._write(node_id, duration, ctx, failed=not outputs)

    def on_node_cached(self, node_id: str, signature: str, ctx: CallbackContext) -> None:
        """A node does not run."""
        self._write(node_id, 0.0, ctx, cached=True)

    def _write(
        self, node: str, duration: float, ctx: CallbackContext, *, cached: bool = False, failed: bool = False
    ) -> None:
        recording = self._recording(ctx)
        name = "/".join((*ctx.hierarchy_path[1:], node))
        end = ctx.time - recording.began
        recording.calls.append(NodeCall(name, ctx.item, max(0.0, end - duration), end, cached, failed))

    def _recording(self, ctx: CallbackContext) -> _Recording:
        """That of the run to which an event belongs."""
        found: _Recording | None = ctx.get(self._key)
        if found is None:
            found = self._last = _Recording(ctx.hierarchy_path[0], ctx.time)
            ctx.set(self._key, found)
        return found


def _times(calls: Iterable[NodeCall]) -> NodeTimes:
    calls = list(calls)
    ran = [call for call in calls if not call.cached]
    lasted = [call.end - call.start for call in ran]
    return NodeTimes(
        count=len(ran),
        total=sum(lasted),
        longest=max(lasted, default=0.0),
        cached=len(calls) - len(ran),
        failed=sum(call.failed for call in ran),
    )
