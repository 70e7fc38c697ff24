"""What happens in other processes, told to the callbacks here: they never travel."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from pipe_core.graph.callbacks import EVENTS, CallbackContext

if TYPE_CHECKING:
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


def relay(heard: list[Heard], scope: Scope) -> None:
    """Tell the callbacks of *scope* what a worker has heard: the last of it now, for clocks of machines differ."""
    if scope.teller is None or not heard:
        return
    ahead = monotonic() - heard[-1][-1]
    for event, facts, path, item, nodes, happened in heard:
        context = CallbackContext((*scope.path[:-1], *path), item, scope.run.remembered, scope.run.pipelines)
        context.nodes_to_run = nodes
        scope.teller.tell(event, *facts, context, at=happened + ahead)
