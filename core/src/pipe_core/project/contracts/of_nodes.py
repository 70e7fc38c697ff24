"""The contracts of a node, by its inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.index import suggestion
from pipe_core.project.contracts.contract import Applied, Contract
from pipe_core.project.dependencies import get_node_dependencies

if TYPE_CHECKING:
    from pipe_core.project.config.models import ContractConfig, NodeConfig
    from pipe_core.project.wiring import WiredNode


@dataclass(frozen=True, slots=True)
class NodeContracts:
    """The contracts of one node.

    Attributes:
        inputs: That of each argument, in order; None where there is none.
        outputs: That of each output, alike.
    """

    inputs: tuple[Contract | None, ...] = ()
    outputs: tuple[Contract | None, ...] = ()

    def taken(self, arguments: Sequence[Any], found: list[Applied]) -> list[Any]:
        """The *arguments* as they come through; what the contracts found is put to *found*. Raises `ContractError`."""
        return self._applied(self.inputs, arguments, found)

    def given(self, outputs: Sequence[Any], found: list[Applied]) -> list[Any]:
        """The *outputs*, alike. An iterator stays one, and is held against its contract as it is taken."""
        return self._applied(self.outputs, outputs, found, lazily=True)

    def _applied(
        self,
        contracts: Sequence[Contract | None],
        values: Sequence[Any],
        found: list[Applied],
        *,
        lazily: bool = False,
    ) -> list[Any]:
        made = list(values)
        for index, contract in enumerate(contracts):
            if contract is not None:
                found.append(one := contract.applied(values[index], lazily=lazily))
                made[index] = one.value
        return made

    @classmethod
    def of(cls, node: WiredNode) -> NodeContracts | None:
        """Those of *node*; None where it has none."""
        said = node.config.contracts
        if not said.inputs and not said.outputs:
            return None
        return cls(
            _contracts(node.name, "input", input_names(node.config), said.inputs),
            _contracts(node.name, "output", output_names(node.config), said.outputs),
        )


def check_names(name: str, config: NodeConfig) -> None:
    """Make sure that each contract is of an input or an output that there is.

    Raises:
        OptionsError: One is not.
    """
    for side, names in (("input", input_names(config)), ("output", output_names(config))):
        for one in getattr(config.contracts, f"{side}s"):
            if one not in names:
                known = f"It has {', '.join(names)}" if names else "It has none"
                raise OptionsError(
                    f"Node '{name}' has a contract of the {side} '{one}', and no such {side}.{suggestion(one, names)} "
                    f"{known}.",
                    problems={f"contracts.{side}s.{one}": f"no such {side}"},
                )


def input_names(config: NodeConfig) -> list[str]:
    """What contracts call each argument.

    That is a name of ``input``, ``input[0]`` for what is described in its place, or the node whose result it is.
    """
    return _names(config, "input") if config.input else get_node_dependencies(config)


def output_names(config: NodeConfig) -> list[str]:
    """What contracts call each output."""
    return _names(config, "output")


def _names(config: NodeConfig, side: str) -> list[str]:
    return [one if isinstance(one, str) else f"{side}[{place}]" for place, one in enumerate(getattr(config, side))]


def _contracts(
    node: str, side: str, names: Sequence[str], said: Mapping[str, ContractConfig]
) -> tuple[Contract | None, ...]:
    return tuple(
        Contract(said[name].record_schema, said[name].policy, side, name, f"Node '{node}', its {side} '{name}'", node)
        if name in said
        else None
        for name in names
    )
