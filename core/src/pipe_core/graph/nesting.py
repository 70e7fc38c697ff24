"""A pipeline as a step of another one, once or for each of many items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.errors import GraphError, InputError
from pipe_core.graph.items import check_mode, items_of, names_of
from pipe_core.graph.node import REQUIRED, Parameter
from pipe_core.kernel.index import suggestion

if TYPE_CHECKING:
    from pipe_core.graph.pipeline import Pipeline
    from pipe_core.graph.plan import Plan
    from pipe_core.graph.policies import Policies


class _Several:
    """The default of an input for which functions inside have different ones: where nobody gives it, each its own."""

    def __repr__(self) -> str:
        return "<several>"


_SEVERAL: Final = _Several()


class PipelineNode:
    """See `Pipeline.as_node`.

    Attributes:
        pipeline: What runs.
        name: What the node is called.
        parameters: What it takes, under outer names.
        outputs: What it gives, under outer names.
        map_over: The parameters of which each item has one value; empty where it runs once.
    """

    is_async = False
    policies = None
    is_tuple = True
    cache = True

    def __init__(
        self,
        pipeline: Pipeline,
        input_mapping: Mapping[str, str] | None = None,
        output_mapping: Mapping[str, str] | None = None,
        map_over: str | Sequence[str] | None = None,
        map_mode: str = "zip",
        name: str | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.name = name or pipeline.name or "pipeline"
        self.input_mapping = dict(input_mapping or {})
        self.output_mapping = dict(output_mapping or {})
        self.map_over = names_of(map_over)
        self.map_mode = check_mode(map_mode)
        free = pipeline.inputs
        self._check("input", self.input_mapping.values(), [*free, *pipeline.bound_inputs])
        self._check("output", self.output_mapping, pipeline.outputs)
        inner = self._outer_names(list(free))
        self.parameters = tuple(
            Parameter(outer, self._default(outer, free[name]), type=free[name].type) for name, outer in inner.items()
        )
        self._inner = {outer: name for name, outer in inner.items()}
        self.wanted = tuple(self.output_mapping or pipeline.outputs)
        self.outputs = tuple(self.output_mapping.get(name, name) for name in self.wanted)
        unknown = [one for one in self.map_over if one not in self._inner]
        if unknown:
            raise InputError(
                f"The node '{self.name}' cannot map over '{unknown[0]}', which it does not take."
                f"{suggestion(unknown[0], self._inner)} It takes: {', '.join(self._inner)}",
                unknown=unknown,
            )

    def _check(self, kind: str, named: Any, known: Sequence[str]) -> None:
        for name in named:
            if name not in known:
                raise GraphError(
                    f"The {kind}_mapping of '{self.name}' names the inner {kind} '{name}', and there is none."
                    f"{suggestion(name, known)} There are: {', '.join(known)}"
                )

    def _default(self, outer: str, inner: Parameter) -> Any:
        """What an input is where nobody gives it. One value would be no list of them."""
        if inner.is_required or outer in self.map_over:
            return REQUIRED
        taken = (one for node in self.pipeline.nodes for one in node.parameters if one.name == inner.name)
        return inner.default if all(one.default is inner.default for one in taken) else _SEVERAL

    def _outer_names(self, free: Sequence[str]) -> dict[str, str]:
        renamed: dict[str, str] = {}
        for outer, name in self.input_mapping.items():
            if renamed.setdefault(name, outer) != outer:
                raise GraphError(
                    f"The input_mapping of '{self.name}' gives the inner input '{name}' two names, '{renamed[name]}' "
                    f"and '{outer}'. Name one."
                )
        names = {name: renamed.get(name, name) for name in free}
        twice = next((one for one in names.values() if list(names.values()).count(one) > 1), None)
        if twice is not None:
            raise GraphError(
                f"The input_mapping of '{self.name}' gives '{twice}' to two inner inputs. Name another outer input."
            )
        return names

    @property
    def all_policies(self) -> list[Policies]:
        """Those of all nodes inside."""
        return [one for node in self.pipeline.nodes for one in node.all_policies]

    @property
    def is_mapped(self) -> bool:
        """Whether it runs once for each item, and gives lists."""
        return bool(self.map_over)

    def plan(self, given: Mapping[str, Any]) -> Plan:
        """How the pipeline runs with the inner inputs *given*."""
        return self.pipeline.plan_for(self.wanted, given)

    def inner(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """*inputs* under their inner names, with those that are bound."""
        given = {self._inner[name]: value for name, value in inputs.items() if value is not _SEVERAL}
        return {**self.pipeline.bound_inputs, **given}

    def items(self, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The inner inputs of each item.

        Raises:
            MapError: The lists have different lengths, or one is no list.
        """
        return list(items_of(self.inner(inputs), self.inner_map_over, self.map_mode))

    def fixed(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inner inputs that are the same for all items."""
        over = self.inner_map_over
        return {name: value for name, value in self.inner(inputs).items() if name not in over}

    @property
    def inner_map_over(self) -> list[str]:
        """What it is mapped over, under inner names."""
        return [self._inner[name] for name in self.map_over]

    def collected(self, results: Sequence[Mapping[str, Any]]) -> tuple[list[Any], ...]:
        """What it gives for the results of its items: a list for each output."""
        return tuple([result[name] for result in results] for name in self.wanted)

    def __repr__(self) -> str:
        over = f" over {', '.join(self.map_over)}" if self.map_over else ""
        takes = ", ".join(one.name for one in self.parameters)
        return f"<pipeline '{self.name}' as node{over} ({takes}) -> {', '.join(self.outputs)}>"
