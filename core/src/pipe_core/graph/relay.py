"""What happens in other processes, told to the callbacks here: they never travel."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from pipe_core.graph.callbacks import EVENTS, CallbackContext

if TYPE_CHECKING:
    from pipe_core.graph.pipeline import Pipeline
    from pipe_core.graph.scope import Scope

Heard = tuple[str, tuple[Any, ...], tuple[str, ...], tuple[int, ...], int | None, float]
"""An event, what is told of it, where it belongs (the pipelines and items around it, how many nodes run), and when it
happened, by the worker's clock."""


class Recorder:
    """Stands for the callbacks on a worker, and writes down what they are to be told.

    Args:
        heard: Where.
    """

    def __init__(self, heard: list[Heard]) -> None:
        self._heard = heard

    def __getattr__(self, name: str) -> Any:
        if name not in EVENTS:
            raise AttributeError(name)

        def hear(*facts: Any) -> None:
            context: CallbackContext = facts[-1]
            where = context.hierarchy_path, context.item, context.nodes_to_run
            self._heard.append((name, facts[:-1], *where, context.time))

        return hear


def listens(pipeline: Pipeline) -> bool:
    """Whether *pipeline*, or one that is nested in it, has callbacks of its own."""
    inside = (getattr(node, "pipeline", None) for node in pipeline.nodes)
    return bool(pipeline.callbacks) or any(listens(one) for one in inside if one is not None)


def relay(heard: list[Heard], scope: Scope) -> None:
    """Tell the callbacks of *scope*, and those of pipelines inside that have their own, what a worker has heard.

    The last of it now, for clocks of machines differ.
    """
    if not heard:
        return
    ahead = monotonic() - heard[-1][-1]
    scopes = {scope.path[-1:]: scope}
    for event, facts, path, item, nodes, happened in heard:
        teller = _at(path, scopes).teller
        if teller is not None:
            context = CallbackContext((*scope.path[:-1], *path), item, scope.run.remembered, scope.run.pipelines)
            context.nodes_to_run = nodes
            teller.tell(event, *facts, context, at=happened + ahead)


def _at(path: tuple[str, ...], scopes: dict[tuple[str, ...], Scope]) -> Scope:
    """The scope of the pipeline at the end of *path*."""
    if path not in scopes:
        around = _at(path[:-1], scopes)
        inside = (getattr(node, "pipeline", None) for node in around.pipeline.nodes)
        scopes[path] = around.within(next(one for one in inside if one is not None and one.id == path[-1]))
    return scopes[path]
