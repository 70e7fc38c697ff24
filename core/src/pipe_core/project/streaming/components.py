"""Which streaming nodes belong together, and what each group of them follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pipe_core.project.config.models import StreamingConfig
from pipe_core.project.errors import DependencyError
from pipe_core.project.wiring import Argument, WiredNode, Wiring

RECORDS: Final = "~records"
"""Stands for the records of a micro-batch, as a node that gives them."""


@dataclass(frozen=True, slots=True)
class Component:
    """Streaming nodes that hand each other results, and the data set that they follow.

    Attributes:
        name: The first node that takes its records.
        dataset: The data set.
        nodes: The nodes by name, in order, taking the records from `RECORDS`.
        config: How it goes through its source.
    """

    name: str
    dataset: str
    nodes: Mapping[str, WiredNode]
    config: StreamingConfig


def is_streaming(node: WiredNode) -> bool:
    """Whether the node goes through a source that does not end."""
    return bool(node.config.streaming)


def batch_nodes(wiring: Wiring) -> dict[str, WiredNode]:
    """The nodes that end.

    Raises:
        DependencyError: One of them needs one that does not.
    """
    for node in wiring.nodes.values():
        endless = [name for name in node.needs if is_streaming(wiring.nodes[name])]
        if endless and not is_streaming(node):
            raise DependencyError(
                f"Node '{node.name}' needs '{endless[0]}', which streams and never ends. Let '{node.name}' stream, "
                f"too, or read what '{endless[0]}' stores in a run of its own."
            )
    return {name: node for name, node in wiring.nodes.items() if not is_streaming(node)}


def components(wiring: Wiring) -> list[Component]:
    """The groups of streaming nodes, in the order of their first nodes.

    Raises:
        DependencyError: A group follows no data set, or several; or a node takes what a batch node does not store.
    """
    streams = {name: node for name, node in wiring.nodes.items() if is_streaming(node)}
    groups: dict[str, list[str]] = {}
    group_of: dict[str, str] = {}
    for name, node in streams.items():
        joined = dict.fromkeys(group_of[other] for other in node.needs if other in streams)
        first = next(iter(joined), name)
        groups.setdefault(first, []).append(name)
        for other in list(joined)[1:]:
            groups[first] += groups.pop(other)
        group_of.update(dict.fromkeys(groups[first], first))
    return [_component(wiring, {name: streams[name] for name in streams if name in names}) for names in groups.values()]


def _component(wiring: Wiring, nodes: dict[str, WiredNode]) -> Component:
    followed: dict[str, str] = {}
    for node in nodes.values():
        if not any(name in nodes for name in node.needs):
            first = _loaded(node, node.arguments[0], wiring, nodes).dataset if node.arguments else None
            if first is None:
                raise DependencyError(
                    f"Node '{node.name}' streams, and its first input is no data set of the catalog that it could "
                    f"follow. Name one."
                )
            followed.setdefault(first, node.name)
        for output in node.stored:
            if wiring.datasets[output].mode != "append":
                raise DependencyError(
                    f"Node '{node.name}' streams, and its output '{output}' has the mode "
                    f"'{wiring.datasets[output].mode}': each micro-batch would do away with the one before. Say "
                    f"mode: append."
                )
    if len(followed) > 1:
        raise DependencyError(
            f"Nodes {', '.join(nodes)} stream together and follow several data sets: {', '.join(followed)}. Let each "
            f"stream follow one, and meet in what they store."
        )
    ((dataset, name),) = followed.items()
    said = nodes[name].config.streaming
    return Component(
        name=name,
        dataset=dataset,
        nodes={one: _following(node, dataset, wiring, nodes) for one, node in nodes.items()},
        config=said if isinstance(said, StreamingConfig) else StreamingConfig(),
    )


def _following(node: WiredNode, dataset: str, wiring: Wiring, nodes: Mapping[str, WiredNode]) -> WiredNode:
    loaded = [_loaded(node, one, wiring, nodes) for one in node.arguments]
    arguments = tuple(Argument(node=RECORDS) if one.dataset == dataset else one for one in loaded)
    needs = [name for name in node.needs if name in nodes]
    takes = [RECORDS] if any(one.node == RECORDS for one in arguments) else []
    return replace(node, needs=(*takes, *needs), arguments=arguments)


def _loaded(node: WiredNode, argument: Argument, wiring: Wiring, nodes: Mapping[str, WiredNode]) -> Argument:
    """What comes from a node that ends is loaded, for each micro-batch, from where that one stored it."""
    if argument.node is None or argument.node in nodes:
        return argument
    giver = wiring.nodes[argument.node]
    place = 0 if argument.index is None and len(giver.outputs) == 1 else argument.index
    output = None if place is None else giver.outputs[place]
    if output is None or output not in giver.stored:
        raise DependencyError(
            f"Node '{node.name}' streams and takes the result of '{giver.name}', which stores it nowhere. Give "
            f"'{giver.name}' an output that is in the catalog."
        )
    return Argument(dataset=output)
