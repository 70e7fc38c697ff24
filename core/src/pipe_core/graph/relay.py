"""What happens in other processes, told to the callbacks here: they never travel."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from pipe_core.graph.callbacks import EVENTS, CallbackContext
from pipe_core.runtime.wire import open_error, pack_error

if TYPE_CHECKING:
    from pipe_core.graph.pipeline import Pipeline
    from pipe_core.graph.scope import Scope


class Heard(NamedTuple):
    """An event, with what is told of it, and of its `CallbackContext`. Its time is by the worker's clock."""

    event: str
    facts: tuple[Any, ...]
    path: tuple[str, ...]
    item: tuple[int, ...]
    steps: tuple[int, ...]
    nodes_to_run: int | None
    marks: tuple[Any, ...]
    failure: Any
    time: float


class Packed(NamedTuple):
    """Stands for an error on its way: it may be made in a way that its class does not tell."""

    data: bytes


def packed(heard: list[Heard]) -> list[Heard]:
    """*heard*, with errors as bytes."""
    known: dict[int, Packed] = {}

    def pack(fact: Any) -> Any:
        if not isinstance(fact, BaseException):
            return fact
        if id(fact) not in known:
            known[id(fact)] = Packed(pack_error(fact))
        return known[id(fact)]

    return [one._replace(facts=tuple(map(pack, one.facts)), failure=pack(one.failure)) for one in heard]


def failing(heard: list[Heard], node: str, error: bytes) -> list[Heard]:
    """*heard*, with an end of *node* by that *error*: it has run, and nobody gets what it gave."""
    found: list[Heard] = []
    for one in heard:
        if one.event == "on_node_end" and one.facts[0] == node:
            found.append(one._replace(event="on_error", facts=(node, Packed(error))))
            one = one._replace(facts=(node, {}, *one.facts[2:]))
        found.append(one)
    return found


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
            where = context.hierarchy_path, context.item, context.steps, context.nodes_to_run
            self._heard.append(Heard(name, facts[:-1], *where, context.marks, context.failure, context.time))

        return hear


def listens(pipeline: Pipeline) -> bool:
    """Whether *pipeline*, or one that is nested in it, has callbacks of its own."""
    inside = (getattr(node, "pipeline", None) for node in pipeline.nodes)
    return bool(pipeline.callbacks) or any(listens(one) for one in inside if one is not None)


def relay(heard: list[Heard], scope: Scope, clock: float) -> None:
    """Tell the callbacks of *scope*, and those of pipelines inside that have their own, what a worker has heard.

    The last of it now, for clocks of machines differ. The wall clock there is *clock* ahead of the worker's.
    """
    if not heard:
        return
    ahead = monotonic() - heard[-1].time
    scopes = {scope.path[-1:]: scope}
    errors: dict[bytes, BaseException] = {}

    def opened(fact: Any) -> Any:
        if not isinstance(fact, Packed):
            return fact
        if fact.data not in errors:
            errors[fact.data] = open_error(fact.data)
        return errors[fact.data]

    for event, facts, path, item, steps, nodes, marks, failure, happened in heard:
        teller = _at(path, steps, scopes).teller
        if teller is not None:
            place = (*scope.path[:-1], *path), item
            context = CallbackContext(*place, scope.run.remembered, scope.run.pipelines, (*scope.steps, *steps))
            context.nodes_to_run, context.marks, context.behind = nodes, marks, clock - ahead
            context.failure = opened(failure)
            teller.tell(event, *map(opened, facts), context, at=happened + ahead)


def _at(path: tuple[str, ...], steps: tuple[int, ...], scopes: dict[tuple[str, ...], Scope]) -> Scope:
    """The scope of the pipeline at the end of *path*."""
    if path not in scopes:
        around = _at(path[:-1], steps[:-1], scopes)
        inside = (getattr(node, "pipeline", None) for node in around.pipeline.nodes)
        pipeline = next(one for one in inside if one is not None and one.id == path[-1])
        scopes[path] = around.within(pipeline, steps[-1])
    return scopes[path]
