"""Nodes that would get in each other's way: two that write the same place, or one that reads where another writes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipe_core.project.dependencies import needed_by_each
from pipe_core.project.validation.nodes_read import places_of


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two nodes and what they both use.

    Attributes:
        kind: ``writes`` where both write it; ``order`` where one reads what another writes and nothing says which of
            them is first.
        resource: A data set, ``path ...`` or ``topic ...``.
        nodes: The nodes; of ``order`` the writer first.
    """

    kind: str
    resource: str
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        if self.kind == "order":
            writer, reader = self.nodes
            return (
                f"Node '{reader}' reads {self.resource}, which node '{writer}' writes in the same run, and nothing "
                f"says which of them is first. Take it as the data set that '{writer}' gives, or write dependencies: "
                f"[{writer}]."
            )
        names = " and ".join(f"'{name}'" for name in self.nodes)
        return f"Nodes {names} write the same {self.resource}. What is there in the end is left to chance."

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {"kind": self.kind, "resource": self.resource, "nodes": list(self.nodes)}


def find_conflicts(
    nodes: Mapping[str, Any], catalog: Mapping[str, Any], needs: Mapping[str, Iterable[str]] | None = None
) -> list[Conflict]:
    """The conflicts among *nodes*.

    Args:
        nodes: Their configurations, by name, as models or mappings.
        catalog: The data sets.
        needs: For each node those that it needs. Default: as the configurations say.
    """
    needs = needed_by_each(list(nodes), nodes) if needs is None else needs
    writers = _users(nodes, "output", catalog)
    readers = _users(nodes, "input", catalog)
    found = [Conflict("writes", key, tuple(names)) for key, names in writers.items() if len(names) > 1]
    before: dict[str, set[str]] = {}
    for key, names in readers.items():
        pairs = [(writer, reader) for reader in names for writer in writers.get(key, ()) if writer != reader]
        found += [Conflict("order", key, one) for one in pairs if not _is_ordered(*one, needs, before)]
    return found


def _users(nodes: Mapping[str, Any], side: str, catalog: Mapping[str, Any]) -> dict[str, list[str]]:
    """For each resource the nodes that use it on that side."""
    found: dict[str, dict[str, None]] = {}
    for name, config in nodes.items():
        for place in places_of(config, side, catalog):
            if place.key is not None:
                found.setdefault(place.key, {})[name] = None
    return {key: list(names) for key, names in found.items()}


def _is_ordered(one: str, other: str, needs: Mapping[str, Iterable[str]], known: dict[str, set[str]]) -> bool:
    return one in _before(other, needs, known) or other in _before(one, needs, known)


def _before(name: str, needs: Mapping[str, Iterable[str]], known: dict[str, set[str]]) -> Collection[str]:
    """All nodes that are done before *name* begins."""
    if name not in known:
        found: set[str] = set()
        left = list(needs.get(name, ()))
        while left:
            one = left.pop()
            if one not in found:
                found.add(one)
                left.extend(needs.get(one, ()))
        known[name] = found
    return known[name]
