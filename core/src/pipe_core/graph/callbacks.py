"""Callbacks: what happens in a run of a pipeline, told to whoever was given as ``callbacks=``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipe_core.graph.companions import Companion
    from pipe_core.graph.pipeline import Pipeline

logger = logging.getLogger("pipe_core")


class CallbackContext:
    """Where in a run an event belongs, and a place for what callbacks want to remember in it.

    Attributes:
        hierarchy_path: The ids of the pipelines around it, the outermost first.
        item: The place of the item in each map around it, the outermost first.
        steps: Of each pipeline around it, the outermost first, the place in its plan of the step that has the next one
            inside: what tells apart a pipeline that is twice in another one.
        nodes_to_run: Of a pipeline and its nodes: how many of them run, without those that nobody needs. Else None.
        time: When the event happened that is told now, by `time.monotonic` of this process. Of what happens in another
            process, nearly.
        behind: Of what happened in another process: how many seconds `time` is behind the wall clock there. Else None.
        marks: Of the end of a node that has been called: what companions gave for the call.
        failure: Of the end of a pipeline, of one inside of another, or of an item: what it has failed with, whether its
            nodes could say so or not. None where it has not failed, also if something else has ended it.
    """

    __slots__ = (
        "_pipelines",
        "_values",
        "behind",
        "failure",
        "hierarchy_path",
        "item",
        "marks",
        "nodes_to_run",
        "steps",
        "time",
    )

    def __init__(
        self,
        path: tuple[str, ...],
        item: tuple[int, ...],
        values: dict[str, Any],
        pipelines: dict[str, Pipeline],
        steps: tuple[int, ...] = (),
    ) -> None:
        self.hierarchy_path = path
        self.item = item
        self.steps = steps
        self.nodes_to_run: int | None = None
        self.time = 0.0
        self.behind: float | None = None
        self.marks: tuple[Any, ...] = ()
        self.failure: Exception | None = None
        self._values = values
        self._pipelines = pipelines

    def set(self, name: str, value: Any) -> None:
        """Remember *value* for the rest of the run."""
        self._values[name] = value

    def get(self, name: str, default: Any = None) -> Any:
        """What was remembered."""
        return self._values.get(name, default)

    @property
    def depth(self) -> int:
        """How many pipelines are around the current one."""
        return len(self.hierarchy_path) - 1

    @property
    def current_pipeline_id(self) -> str:
        """The innermost pipeline."""
        return self.hierarchy_path[-1]

    @property
    def parent_pipeline_id(self) -> str | None:
        """The pipeline around it; None for the outermost one."""
        return self.hierarchy_path[-2] if len(self.hierarchy_path) > 1 else None

    def get_pipeline_metadata(self, pipeline_id: str) -> dict[str, Any]:
        """``total_nodes``, ``node_ids`` and ``pipeline_name`` of a pipeline of the run; nothing of an unknown one."""
        pipeline = self._pipelines.get(pipeline_id)
        if pipeline is None:
            return {}
        names = [node.name for node in pipeline.nodes]
        return {"total_nodes": len(names), "node_ids": names, "pipeline_name": pipeline.name}


class PipelineCallback:
    """What a callback may listen to. A class of your own needs only the methods that it wants, and need not inherit.

    All of them are called by the thread that waits for the run, one at a time, in the order in which things happened; a
    start is followed by its end also where something fails. Times are seconds. What a callback raises is logged and
    changes nothing.
    """

    def companion(self, ctx: CallbackContext) -> Companion | None:
        """What goes with each call of a node to where it is made, also to other processes. Default: nothing.

        No event, but a question: asked in the thread that begins a run, before anything is told of it; and again for
        each pipeline inside that has callbacks of its own.
        """

    def on_pipeline_start(self, pipeline_id: str, inputs: dict[str, Any], ctx: CallbackContext) -> None:
        """A pipeline begins; of a map, once for each item."""

    def on_pipeline_end(self, pipeline_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None:
        """It has ended. Without outputs where it has failed."""

    def on_node_start(self, node_id: str, inputs: dict[str, Any], ctx: CallbackContext) -> None:
        """A node begins."""

    def on_node_end(self, node_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None:
        """It has ended. Without outputs where it has failed."""

    def on_node_cached(self, node_id: str, signature: str, ctx: CallbackContext) -> None:
        """A node does not run, because its outputs are known."""

    def on_error(self, node_id: str, error: BaseException, ctx: CallbackContext) -> None:
        """A node has raised *error*."""

    def on_nested_pipeline_start(self, parent_id: str, child_id: str, ctx: CallbackContext) -> None:
        """A pipeline begins inside of another one."""

    def on_nested_pipeline_end(self, parent_id: str, child_id: str, duration: float, ctx: CallbackContext) -> None:
        """It has ended."""

    def on_map_start(self, total_items: int | None, ctx: CallbackContext) -> None:
        """A map begins. None where nobody knows how many items there are."""

    def on_map_item_start(self, idx: int, ctx: CallbackContext) -> None:
        """An item begins."""

    def on_map_item_end(self, idx: int, duration: float, ctx: CallbackContext) -> None:
        """An item has ended."""

    def on_map_item_cached(self, idx: int, signature: str, ctx: CallbackContext) -> None:
        """An item does not run, because its outputs are known."""

    def on_map_end(self, total_duration: float, ctx: CallbackContext) -> None:
        """A map has ended."""


EVENTS = tuple(name for name in vars(PipelineCallback) if name.startswith("on_"))


class Teller:
    """Tells the callbacks of one pipeline.

    Args:
        callbacks: Who listens.
        deliver: Calls what it is given: now, or later in the thread that waits for the run.
    """

    def __init__(self, callbacks: Sequence[Any], deliver: Callable[[Callable[[], None]], None]) -> None:
        self._deliver = deliver
        self._heard = {event: _listeners(callbacks, event) for event in EVENTS}

    def tell(self, event: str, *facts: Any, at: float | None = None) -> None:
        """Tell everybody who listens to *event*, which happened *at* that time. Default: now."""
        heard = self._heard[event]
        if heard:
            happened = monotonic() if at is None else at
            self._deliver(lambda: _call(event, heard, facts, happened))


def _listeners(callbacks: Sequence[Any], event: str) -> tuple[Callable[..., Any], ...]:
    plain = getattr(PipelineCallback, event)
    found = (getattr(callback, event, None) for callback in callbacks)
    return tuple(method for method in found if method is not None and getattr(method, "__func__", method) is not plain)


def _call(event: str, heard: tuple[Callable[..., Any], ...], facts: tuple[Any, ...], happened: float) -> None:
    facts[-1].time = happened  # several events share a context, and are told one at a time
    for method in heard:
        try:
            method(*facts)
        except Exception:
            logger.exception("a callback failed in %s; the run goes on", event)
