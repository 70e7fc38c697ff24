"""Which node needs which: from what is said as ``dependencies``, and from names of inputs that are outputs of others.

Configurations of nodes are mappings or `NodeConfig`; the two are read alike.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pipe_core.kernel.index import suggestion
from pipe_core.project.errors import DependencyCycleError, DependencyError, DependencyTypeError, NodeNotFoundError

_SHOWN: Final = 10
"""So many names an error lists."""


def normalize_dependencies(dependencies: Any) -> list[Any]:
    """*dependencies* as a list of entries, each a name or a mapping with one key.

    Args:
        dependencies: Nothing, a name, ``{name: {...}}``, or a list of both.

    Raises:
        DependencyError: A mapping has several keys or none, or an entry is None.
        DependencyTypeError: It is something else.
    """
    if dependencies is None:
        return []
    if isinstance(dependencies, str | Mapping):
        return [extract_dependency_name(dependencies)]
    if not isinstance(dependencies, list):
        raise DependencyTypeError(
            f"Dependencies are a name, {{name: {{}}}} or a list of both, not {_shown(dependencies)}."
        )
    for entry in dependencies:
        extract_dependency_name(entry)
    return list(dependencies)


def extract_dependency_name(dependency: Any) -> str:
    """The name of the node that one entry means.

    Raises:
        DependencyError: It is None, or a mapping that has not exactly one key.
        DependencyTypeError: It is neither a name nor a mapping.
    """
    if dependency is None:
        raise DependencyError("A dependency cannot be None: is a name missing in the list?")
    if isinstance(dependency, Mapping):
        if len(dependency) != 1:
            names = ", ".join(map(str, dependency)) or "none"
            raise DependencyError(
                f"A dependency that is a mapping has exactly one key, the name of a node; this one has {names}. Write "
                f"several dependencies as a list."
            )
        dependency = next(iter(dependency))
    if not isinstance(dependency, str):
        raise DependencyTypeError(f"A dependency is the name of a node, or {{name: {{}}}}, not {_shown(dependency)}.")
    if not dependency:
        raise DependencyError("A dependency is the name of a node, not an empty text.")
    return dependency


def get_node_dependencies(node_config: Any) -> list[str]:
    """The names of the nodes that *node_config* says it depends on, each once, in order.

    Raises:
        DependencyError: As `normalize_dependencies`.
    """
    entries = normalize_dependencies(_said(node_config, "dependencies"))
    return list(dict.fromkeys(extract_dependency_name(entry) for entry in entries))


def extract_pipeline_nodes(pipeline: Any) -> list[str]:
    """The names of a pipeline's nodes, in order.

    Args:
        pipeline: Its configuration. Among its ``nodes`` are names, ``{name: {...}}`` and ``{"name": name, ...}``.

    Raises:
        DependencyError: An entry is none of these.
        DependencyTypeError: The nodes are no list.
    """
    nodes = _said(pipeline, "nodes")
    if nodes is not None and not isinstance(nodes, list | tuple):
        raise DependencyTypeError(f"The nodes of a pipeline are a list of names, not {_shown(nodes)}.")
    return [_node_name(entry) for entry in nodes or ()]


def _node_name(entry: Any) -> str:
    if isinstance(entry, Mapping):
        if isinstance(entry.get("name"), str):
            return str(entry["name"])
        entry = next(iter(entry)) if len(entry) == 1 else None
    if isinstance(entry, str) and entry:
        return entry
    raise DependencyError(f"A node of a pipeline is its name, or {{name: {{...}}}}, not {_shown(entry)}.")


def build_dependency_graph(pipeline_nodes: Sequence[str], node_configs: Mapping[str, Any]) -> dict[str, set[str]]:
    """For each node the nodes that need it, by their dependencies or by what they take as input.

    Args:
        pipeline_nodes: The names of the nodes, in the order in which they were declared.
        node_configs: The configuration of each.

    Raises:
        NodeNotFoundError: A node has no configuration.
        DependencyError: A node depends on one that is not in the pipeline; or two give the same output.
    """
    return needed_by_others(needed_by_each(pipeline_nodes, node_configs))


def needed_by_others(needs: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """For each node the nodes that need it, from those that each one needs; the order of the nodes stays."""
    graph: dict[str, set[str]] = {name: set() for name in needs}
    for name, needed in needs.items():
        for other in needed:
            graph[other].add(name)
    return graph


def needed_by_each(pipeline_nodes: Sequence[str], node_configs: Mapping[str, Any]) -> dict[str, list[str]]:
    """For each node the nodes that it needs: its dependencies as they are said, then those whose outputs it takes.

    Raises:
        NodeNotFoundError: As `build_dependency_graph`.
        DependencyError: As `build_dependency_graph`.
    """
    known = dict.fromkeys(pipeline_nodes)
    givers = output_givers(pipeline_nodes, node_configs)
    found = {}
    for name in known:
        needed = get_node_dependencies(_config_of(name, node_configs))
        for other in needed:
            if other not in known:
                hint = suggestion(other, known)
                raise DependencyError(f"Node '{name}' depends on '{other}', which is not in the pipeline.{hint}")
        taken = [givers[one] for one in names_of(node_configs[name], "input") if givers.get(one, name) != name]
        found[name] = list(dict.fromkeys([*needed, *taken]))
    return found


def output_givers(pipeline_nodes: Iterable[str], node_configs: Mapping[str, Any]) -> dict[str, str]:
    """For each output the node that gives it.

    Raises:
        NodeNotFoundError: A node has no configuration.
        DependencyError: Two nodes give the same output.
    """
    givers: dict[str, str] = {}
    for name in dict.fromkeys(pipeline_nodes):
        for output in names_of(_config_of(name, node_configs), "output"):
            if givers.setdefault(output, name) != name:
                raise DependencyError(
                    f"Nodes '{givers[output]}' and '{name}' both have the output '{output}'. Which one would count is "
                    f"left to chance: give each data set one node that makes it."
                )
    return givers


def names_of(node_config: Any, side: str) -> list[str]:
    """The names among a node's ``input`` or ``output``, without what is described in its place."""
    said = _said(node_config, side)
    entries = [said] if isinstance(said, str | Mapping) else said or ()
    return [entry for entry in entries if isinstance(entry, str)]


def topological_sort(dag: Mapping[str, Iterable[str]]) -> list[str]:
    """The nodes in an order in which each stands behind those that it needs; of several, the one declared first.

    Args:
        dag: For each node the nodes that need it, as `build_dependency_graph` gives it.

    Raises:
        DependencyCycleError: Some need each other; it says along which path.
        DependencyError: A node that needs another one has no entry of its own.
    """
    places = {name: place for place, name in enumerate(dag)}
    open_needs = dict.fromkeys(dag, 0)
    for name, followers in dag.items():
        for follower in set(followers):
            if follower not in places:
                raise DependencyError(f"Node '{follower}' needs '{name}' and has no entry of its own in the graph.")
            open_needs[follower] += 1
    ready = [places[name] for name, count in open_needs.items() if not count]
    names = list(dag)
    order: list[str] = []
    heapq.heapify(ready)
    while ready:
        name = names[heapq.heappop(ready)]
        order.append(name)
        for follower in set(dag[name]):
            open_needs[follower] -= 1
            if not open_needs[follower]:
                heapq.heappush(ready, places[follower])
    if len(order) < len(names):
        raise _cycle(dag, [name for name in names if open_needs[name]])
    return order


def _cycle(dag: Mapping[str, Iterable[str]], left: Sequence[str]) -> DependencyCycleError:
    """The error for the first circle among those that could not be sorted."""
    among = set(left)
    needs: dict[str, list[str]] = {name: [] for name in left}
    for other in left:
        for follower in set(dag[other]) & among:
            needs[follower].append(other)
    path: dict[str, None] = {}
    name = left[0]
    while name not in path:
        path[name] = None
        name = needs[name][0]
    walked = list(path)
    circle = [*walked[walked.index(name) :], name]
    circle.reverse()  # from a node to the one that needs it
    text = " -> ".join(circle)
    return DependencyCycleError(
        f"Nodes need each other in a circle: {text} (each is needed by the next). Take one of these dependencies away.",
        path=circle,
    )


def _config_of(name: str, node_configs: Mapping[str, Any]) -> Any:
    if name not in node_configs:
        raise unknown_node(name, node_configs)
    return node_configs[name]


def unknown_node(name: str, known: Iterable[str]) -> NodeNotFoundError:
    """The error that there is no node of that name, with those that there are."""
    names = list(known)
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
    there = ", ".join(names[:_SHOWN]) + more if names else "none"
    return NodeNotFoundError(
        f"There is no node '{name}'.{suggestion(name, names)} Nodes that there are: {there}.",
        node=name,
        available=names,
    )


def _said(config: Any, key: str) -> Any:
    return config.get(key) if isinstance(config, Mapping) else getattr(config, key, None)


def _shown(value: Any) -> str:
    return f"{type(value).__name__} {value!r:.80}"
