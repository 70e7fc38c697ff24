"""A pipeline compiled for one question: which steps, in which order, with slots in place of names.

A plan is made once for each combination of outputs asked for and inputs given, and never changed: runs at the same time
share it. Values of a run stand in a list, one slot for each input and output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.errors import OutputMismatchError
from pipe_core.graph.node import Node

if TYPE_CHECKING:
    from pipe_core.graph.nesting import PipelineNode
    from pipe_core.graph.wiring import Wiring

Values = list[Any]
ABSENT: Final = object()
"""Stands where an output will be."""


class Step:
    """One node in a plan.

    Attributes:
        index: Its place in the order.
        node: What runs.
        names: Of its arguments, in the order of `slots`.
        slots: Where its arguments are.
        outputs: Where its results go.
        needs: How many other steps come before it.
        followers: The places of the steps that take what it gives.
    """

    __slots__ = ("_keywords", "_positional", "followers", "index", "names", "needs", "node", "outputs", "slots")

    def __init__(
        self, index: int, node: Node[..., Any] | PipelineNode, slots: Sequence[int], outputs: Sequence[int]
    ) -> None:
        self.index = index
        self.node = node
        self.names = tuple(one.name for one in node.parameters)
        self.slots = tuple(slots)
        self.outputs = tuple(outputs)
        self.needs = 0
        self.followers: tuple[int, ...] = ()
        pairs = list(zip(node.parameters, slots, strict=True))
        self._positional = tuple(slot for one, slot in pairs if not one.keyword_only)
        self._keywords = tuple((one.name, slot) for one, slot in pairs if one.keyword_only)

    def arguments(self, values: Values) -> tuple[list[Any], dict[str, Any]]:
        """What its function is called with."""
        return [values[slot] for slot in self._positional], {name: values[slot] for name, slot in self._keywords}

    def inputs(self, values: Values) -> dict[str, Any]:
        """Its arguments by name."""
        return {name: values[slot] for name, slot in zip(self.names, self.slots, strict=True)}

    def results(self, values: Values) -> dict[str, Any]:
        """What it gave, by name."""
        return {name: values[slot] for name, slot in zip(self.node.outputs, self.outputs, strict=True)}

    def taken(self, values: Values) -> list[Any]:
        """What it gave, in order."""
        return [values[slot] for slot in self.outputs]

    def put(self, values: Values, found: Sequence[Any]) -> None:
        """Keep what `taken` gave elsewhere."""
        for slot, value in zip(self.outputs, found, strict=True):
            values[slot] = value

    def store(self, values: Values, result: Any) -> None:
        """Put what its function gave where others find it.

        Raises:
            OutputMismatchError: It was another number of values than there are outputs.
        """
        if not self.node.is_tuple:
            values[self.outputs[0]] = result
            return
        for slot, value in zip(self.outputs, unpacked(self.node.name, self.node.outputs, result), strict=True):
            values[slot] = value

    def lean(self) -> tuple[Callable[..., Any], int | None, Callable[[Values], Any] | None, int] | None:
        """The step as `run_lean` wants it: its function, one slot or a getter of several, where its result goes.

        None where there is more to it than to call a function and keep what it gives.
        """
        node = self.node
        if not isinstance(node, Node) or node.is_async or node.is_tuple or node.policies or self._keywords:
            return None
        many = itemgetter(*self.slots) if len(self.slots) > 1 else None
        return node.fn, (self.slots[0] if len(self.slots) == 1 else None), many, self.outputs[0]


class Plan:
    """Steps, and where inputs and outputs are.

    Args:
        wiring: Of the pipeline.
        wanted: The outputs that are asked for.
        given: The inputs that will be given. Others that steps need have defaults.

    Attributes:
        steps: In order.
        inputs: The slot of each input that is taken.
        outputs: The slot of each output that is asked for.
        given: The names of the inputs that it was made for.
        policies: Of all its nodes that have some, also of nested ones.
        lean: The steps as `run_lean` wants them; None where it cannot run them.
    """

    def __init__(self, wiring: Wiring, wanted: Sequence[str], given: frozenset[str]) -> None:
        positions = wiring.upstream(wanted)
        self.given = tuple(sorted(given))
        slots: dict[str, int] = {}
        self._template: Values = []
        self.inputs: dict[str, int] = {}
        steps = []
        places = {position: place for place, position in enumerate(positions)}
        for place, position in enumerate(positions):
            node = wiring.nodes[position]
            taken = []
            for one in node.parameters:
                if one.name in wiring.givers:
                    taken.append(slots[one.name])
                elif one.name in given:
                    if one.name not in slots:
                        slots[one.name] = self.inputs[one.name] = self._slot()
                    taken.append(slots[one.name])
                else:
                    taken.append(self._slot(one.default))  # each function has a default of its own
            for output in node.outputs:
                slots[output] = self._slot(ABSENT)
            steps.append(Step(place, node, taken, [slots[output] for output in node.outputs]))  # type: ignore[arg-type]  # all that is wired is one of the two
        followers: list[list[int]] = [[] for _ in steps]
        for place, position in enumerate(positions):
            steps[place].needs = len(wiring.needs[position])
            for needed in wiring.needs[position]:
                followers[places[needed]].append(place)
        for step in steps:
            step.followers = tuple(followers[step.index])
        self.steps = tuple(steps)
        self.outputs = {name: slots[name] for name in wanted}
        self.policies = [one for step in steps for one in step.node.all_policies]
        lean = [step.lean() for step in steps]
        self.lean = None if None in lean else tuple(one for one in lean if one is not None)

    def _slot(self, value: Any = None) -> int:
        self._template.append(value)
        return len(self._template) - 1

    def values(self, inputs: Mapping[str, Any]) -> Values:
        """The list of values that a run begins with."""
        values = self._template.copy()
        for name, slot in self.inputs.items():
            values[slot] = inputs[name]
        return values

    def values_for(self, step: Step, inputs: Sequence[Any]) -> Values:
        """A list of values for *step* alone, with its *inputs*."""
        values = self._template.copy()
        for slot, value in zip(step.slots, inputs, strict=True):
            values[slot] = value
        return values

    def results(self, values: Values) -> dict[str, Any]:
        """What was asked for, by name."""
        return {name: values[slot] for name, slot in self.outputs.items()}

    def found(self, values: Values) -> dict[str, Any]:
        """What was asked for and is there."""
        return {name: values[slot] for name, slot in self.outputs.items() if values[slot] is not ABSENT}

    def downstream(self, step: Step) -> set[int]:
        """The places of *step* and of all that needs it, however far."""
        found = {step.index}
        for other in self.steps[step.index :]:
            if other.index in found:
                found.update(other.followers)
        return found

    @property
    def levels(self) -> list[list[Step]]:
        """Steps by how many others must have ended before, for people to look at. Runs know no levels."""
        depths = [0] * len(self.steps)
        for step in self.steps:
            for follower in step.followers:
                depths[follower] = max(depths[follower], depths[step.index] + 1)
        found: list[list[Step]] = [[] for _ in range(max(depths, default=-1) + 1)]
        for step in self.steps:
            found[depths[step.index]].append(step)
        return found


def unpacked(node: str, outputs: Sequence[str], result: Any) -> tuple[Any, ...]:
    """The values of a node with several outputs.

    Raises:
        OutputMismatchError: *result* is no sequence of as many values.
    """
    names = ", ".join(outputs)
    if isinstance(result, str | bytes | dict | set | frozenset):
        raise OutputMismatchError(
            f"The node '{node}' has the outputs {names}, and gave a {type(result).__name__}. Let it return a tuple of "
            f"{len(outputs)} values."
        )
    try:
        values = tuple(result)
    except TypeError:
        raise OutputMismatchError(
            f"The node '{node}' has the outputs {names}, and gave one {type(result).__name__}. Let it return a tuple "
            f"of {len(outputs)} values."
        ) from None
    if len(values) != len(outputs):
        raise OutputMismatchError(
            f"The node '{node}' has {len(outputs)} outputs ({names}), and gave {len(values)} values."
        )
    return values
