"""Which node needs which: edges by name, in an order in which every node comes behind what it needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from pipe_core.graph.errors import CycleError, DuplicateOutputError, OutputNotFoundError
from pipe_core.graph.node import Parameter
from pipe_core.kernel.index import suggestion


class Wired(Protocol):
    """A step that can be wired: a `Node`, or a pipeline as one."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What it needs."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """What it gives."""


class Wiring:
    """Nodes in order, and who gives what.

    Args:
        nodes: In any order. Those that do not need each other keep theirs.

    Attributes:
        nodes: Each behind all that it needs.
        givers: The position of the node that gives an output, by its name.
        needs: For each node the positions of those whose outputs it takes.

    Raises:
        DuplicateOutputError: Two nodes give the same output.
        CycleError: Nodes need each other.
    """

    def __init__(self, nodes: Sequence[Wired]) -> None:
        givers = _givers(nodes)
        order = _ordered(nodes, givers)
        self.nodes = [nodes[position] for position in order]
        places = {position: place for place, position in enumerate(order)}
        self.givers = {name: places[position] for name, position in givers.items()}
        self.needs = [
            frozenset(self.givers[one.name] for one in node.parameters if one.name in self.givers)
            for node in self.nodes
        ]

    def inputs(self, positions: Iterable[int] | None = None) -> dict[str, Parameter]:
        """What must or may come from outside, for the nodes at *positions*. Required where any node requires it."""
        found: dict[str, Parameter] = {}
        for position in range(len(self.nodes)) if positions is None else positions:
            for one in self.nodes[position].parameters:
                if one.name not in self.givers and (one.name not in found or one.is_required):
                    found[one.name] = one
        return found

    def upstream(self, outputs: Iterable[str]) -> list[int]:
        """The positions of all nodes that *outputs* need, in order.

        Raises:
            OutputNotFoundError: Nothing gives one of them.
        """
        wanted: set[int] = set()
        waiting = [self._giver(name) for name in outputs]
        while waiting:
            position = waiting.pop()
            if position not in wanted:
                wanted.add(position)
                waiting += self.needs[position]
        return sorted(wanted)

    def _giver(self, output: str) -> int:
        if output not in self.givers:
            raise OutputNotFoundError(
                f"Output '{output}' not found in pipeline.{suggestion(output, self.givers)} "
                f"Available outputs: {', '.join(self.givers)}",
                output=output,
                available=self.givers,
            )
        return self.givers[output]


def _givers(nodes: Sequence[Wired]) -> dict[str, int]:
    givers: dict[str, int] = {}
    for position, node in enumerate(nodes):
        for output in node.outputs:
            if output in givers:
                raise DuplicateOutputError(
                    f"The nodes '{nodes[givers[output]].name}' and '{node.name}' both give '{output}', so nobody can "
                    f"tell which one is meant. Give one of them another output_name.",
                    output=output,
                )
            givers[output] = position
    return givers


def _ordered(nodes: Sequence[Wired], givers: dict[str, int]) -> list[int]:
    """Positions, each behind all that it needs: depth first, without recursion."""
    order: list[int] = []
    done: set[int] = set()
    for start in range(len(nodes)):
        path, on_path = [start], {start}
        while path:
            position = path[-1]
            needed = [givers[one.name] for one in nodes[position].parameters if one.name in givers]
            missing = next((one for one in needed if one not in done), None)
            if position in done or missing is None:
                on_path.discard(path.pop())
                if position not in done:
                    done.add(position)
                    order.append(position)
            elif missing in on_path:
                names = [nodes[one].name for one in [*path[path.index(missing) :], missing]][::-1]
                raise CycleError(
                    f"Nodes need each other in a circle: {' -> '.join(names)}. None of them can be first; rename an "
                    f"output or a parameter.",
                    path=names,
                )
            else:
                path.append(missing)
                on_path.add(missing)
    return order
