"""A pipeline of a project, wired: which nodes run, in which order, and where each argument comes from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.index import suggestion
from pipe_core.looks.wording import several
from pipe_core.project.config.models import DatasetConfig, NodeConfig, PipelineConfig
from pipe_core.project.dependencies import (
    get_node_dependencies,
    needed_by_each,
    needed_by_others,
    output_givers,
    topological_sort,
    unknown_node,
)
from pipe_core.project.errors import DependencyError

if TYPE_CHECKING:
    from pipe_core.project.project import Project
    from pipe_core.project.signature import Signature


@dataclass(frozen=True, slots=True)
class Choice:
    """Which nodes of a pipeline run; all of them where nothing is said.

    Attributes:
        nodes: These, and no others.
        start_from: These, and whatever needs them.
        up_to: These, and whatever they need.
        tags: Those that have one of these tags.
    """

    nodes: tuple[str, ...] = ()
    start_from: tuple[str, ...] = ()
    up_to: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Argument:
    """Where one argument of a node comes from: from a node of the same run, or from the catalog.

    Attributes:
        node: The node that gives it; None where it is loaded.
        index: Which of that node's outputs it is; None for its result as a whole.
        dataset: The data set that it is loaded from; None where it is handed over.
        kept: The node that gave it in an earlier part of the run: its result may have been kept.
    """

    node: str | None = None
    index: int | None = None
    dataset: str | None = None
    kept: str | None = None

    def __str__(self) -> str:
        return f"data set '{self.dataset}'" if self.node is None else f"node '{self.node}'"


@dataclass(frozen=True, slots=True)
class WiredNode:
    """A node of a run.

    Attributes:
        name: Its name.
        config: What holds for it in this pipeline.
        needs: The nodes of the run that must be done before.
        arguments: Where its arguments come from, in order.
        outputs: The name of each output; of one that is described in its place, a name of ours.
        stored: Those of them that are in the catalog.
    """

    name: str
    config: NodeConfig
    needs: tuple[str, ...]
    arguments: tuple[Argument, ...]
    outputs: tuple[str, ...]
    stored: tuple[str, ...]

    @property
    def datasets(self) -> tuple[str, ...]:
        """All data sets that it loads or saves."""
        loaded = [one.dataset for one in self.arguments if one.dataset is not None]
        return tuple(dict.fromkeys([*loaded, *self.stored]))


@dataclass(frozen=True, slots=True)
class Wiring:
    """The nodes of a run, in order, and the data sets that they name or describe.

    Attributes:
        nodes: By name, in the order in which they could run one after the other.
        datasets: All that the catalog needs to know.
        left_out: The nodes of the pipeline that do not run.
    """

    nodes: Mapping[str, WiredNode]
    datasets: Mapping[str, DatasetConfig]
    left_out: tuple[str, ...] = ()

    def consumers(self) -> dict[str, int]:
        """For each node how many others are handed its result."""
        counts = dict.fromkeys(self.nodes, 0)
        for one in self.nodes.values():
            for giver in {argument.node for argument in one.arguments if argument.node is not None}:
                counts[giver] += 1
        return counts


def effective_nodes(project: Project, pipeline: PipelineConfig) -> dict[str, NodeConfig]:
    """The nodes of *pipeline*, by name, each with what the pipeline says of it.

    Raises:
        NodeNotFoundError: The project has no such node.
    """
    found = {}
    for name in pipeline.nodes:
        if name not in project.nodes:
            raise unknown_node(name, project.nodes)
        found[name] = _with(project.nodes[name], _said_by(pipeline, name))
    return found


def _said_by(pipeline: PipelineConfig, name: str) -> dict[str, Any]:
    own = {key: value for key in ("retries", "timeout") if (value := getattr(pipeline, key)) is not None}
    return {"default": own, **pipeline.overrides.get(name, {})}


def _with(config: NodeConfig, said: dict[str, Any]) -> NodeConfig:
    defaults = {key: value for key, value in said.pop("default").items() if getattr(config, key) is None}
    if not said and not defaults:
        return config
    fields = {key: getattr(config, key) for key in NodeConfig.model_fields}
    return NodeConfig.model_validate({**fields, **defaults, **said})


def select_nodes(graph: Mapping[str, Collection[str]], nodes: Mapping[str, NodeConfig], choice: Choice) -> list[str]:
    """The nodes that all conditions of *choice* choose, in the order of declaration; all nodes where there is none.

    Args:
        graph: For each node those that need it.
        nodes: Their configurations.
        choice: The conditions.

    Raises:
        NodeNotFoundError: A name is none of theirs.
        OptionsError: Nothing is left, or no node has a tag.
    """
    upwards: dict[str, set[str]] = {name: set() for name in graph}
    for name, followers in graph.items():
        for follower in followers:
            upwards[follower].add(name)
    chosen = list(graph)
    for names, along in ((choice.nodes, None), (choice.start_from, graph), (choice.up_to, upwards)):
        if names:
            reached = _reached(names, graph if along is None else along, whole=along is not None)
            chosen = [name for name in chosen if name in reached]
    if choice.tags:
        _check_tags(choice.tags, nodes)
        chosen = [name for name in chosen if set(choice.tags) & set(nodes[name].tags)]
    if not chosen:
        raise OptionsError("No node is left by what was chosen: the conditions exclude each other.")
    return chosen


def _check_tags(tags: Iterable[str], nodes: Mapping[str, NodeConfig]) -> None:
    known = sorted({tag for config in nodes.values() for tag in config.tags})
    strange = next((tag for tag in tags if tag not in known), None)
    if strange is not None:
        raise OptionsError(
            f"No node has the tag '{strange}'.{suggestion(strange, known)} Tags that there are: "
            f"{', '.join(known) or 'none'}.",
            problems={"tags": f"no node has '{strange}'"},
        )


def _reached(names: Iterable[str], along: Mapping[str, Collection[str]], *, whole: bool) -> set[str]:
    found: set[str] = set()
    left = list(names)
    for name in left:
        if name not in along:
            raise unknown_node(name, along)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += along[name] if whole else ()
    return found


def wire(
    nodes: Mapping[str, NodeConfig],
    catalog: Mapping[str, DatasetConfig],
    choice: Choice | None = None,
    selected: Sequence[str] | None = None,
    kept: Collection[str] = (),
    *,
    wrong: Callable[[str, DependencyError], None] | None = None,
) -> Wiring:
    """Wire *nodes*, those of a pipeline, or some of them.

    A name among a node's inputs is the output of another one, or a data set of the catalog. A node without inputs is
    handed the results of its dependencies, in order. What a node that does not run would hand over is loaded.

    Args:
        nodes: The configurations, by name.
        catalog: The data sets.
        choice: Which of them run. Default: all.
        selected: The names of those that run, instead of a choice.
        kept: Nodes that do not run, and whose results an earlier part of the run has kept.
        wrong: Is told of nodes whose inputs cannot be found, which are left out then. Default: the first one is raised.

    Raises:
        DependencyError: An input is neither an output nor in the catalog; or what does not run gives nothing that is
            stored; or as `build_dependency_graph`.
    """
    needs = needed_by_each(list(nodes), nodes)
    graph = needed_by_others(needs)
    order = topological_sort(graph)
    chosen = set(select_nodes(graph, nodes, choice or Choice()) if selected is None else selected)
    wired = _Wirer(nodes, catalog, chosen, needs, kept)
    found = {}
    for name in (one for one in order if one in chosen):
        try:
            found[name] = wired.node(name)
        except DependencyError as error:
            if wrong is None:
                raise
            wrong(name, error)
    return Wiring(
        nodes=found,
        datasets={**catalog, **wired.described},
        left_out=tuple(name for name in order if name not in chosen),
    )


def count_problem(node: WiredNode, takes: Signature) -> OptionsError | None:
    """Why a function cannot be given the inputs of its node; None where it can."""
    count = len(node.arguments)
    if takes.room is not None and takes.room[0] < count:
        return OptionsError(
            f"The function of node '{node.name}' has its parameter '{takes.room[1]}' before an input, and inputs come "
            f"first, in their order. Put '{takes.room[1]}' behind them, best behind a '*'.",
            problems={node.name: f"'{takes.room[1]}' stands before an input"},
        )
    if takes.least <= count and (takes.most is None or count <= takes.most):
        return None
    given = f"{count}: {', '.join(map(str, node.arguments))}" if node.arguments else "none"
    return OptionsError(
        f"The function of node '{node.name}' takes {_inputs_of(takes)}, and it is given {given}. Correct 'input' or "
        f"'dependencies' of the node, or the function.",
        problems={node.name: "another number of inputs"},
    )


def _inputs_of(takes: Signature) -> str:
    if takes.most is None:
        return f"at least {several(takes.least, 'input')}"
    if not takes.most:
        return "no inputs"
    least = "" if takes.least == takes.most else f"{takes.least} to "
    return f"{least}{several(takes.most, 'input')}"


def context_problem(name: str, takes: Signature) -> OptionsError | None:
    """Why the function of a node that nobody calls one of machine learning cannot be called; None where it can."""
    if not takes.needs_context:
        return None
    return OptionsError(
        f"The function of node '{name}' takes ml_context, and only nodes of machine learning are given one. Say "
        f"type: ml of the node or of its pipeline, or let the parameter have a default.",
        problems={name: "takes ml_context and is not of the type ml"},
    )


class _Wirer:
    def __init__(
        self,
        nodes: Mapping[str, NodeConfig],
        catalog: Mapping[str, DatasetConfig],
        chosen: set[str],
        needs: Mapping[str, Sequence[str]],
        kept: Collection[str],
    ) -> None:
        self._nodes = nodes
        self._catalog = catalog
        self._chosen = chosen
        self._needs = needs
        self._kept = kept
        self._givers = output_givers(nodes, nodes)
        self.described: dict[str, DatasetConfig] = {}

    def node(self, name: str) -> WiredNode:
        config = self._nodes[name]
        outputs = self._outputs(name)
        arguments = self._inputs(name) if config.input else self._results(name)
        handed = [one.node for one in arguments if one.node is not None]
        needs = [other for other in self._needs[name] if other in self._chosen]
        return WiredNode(
            name=name,
            config=config,
            needs=tuple(dict.fromkeys([*handed, *needs])),
            arguments=tuple(arguments),
            outputs=outputs,
            stored=tuple(filter(self._is_stored, outputs)),
        )

    def _outputs(self, name: str) -> tuple[str, ...]:
        return tuple(self._named(name, "output", place, one) for place, one in enumerate(self._nodes[name].output))

    def _named(self, name: str, side: str, place: int, one: str | DatasetConfig) -> str:
        if isinstance(one, str):
            return one
        self.described[key := f"{name}.{side}[{place}]"] = one
        return key

    def _inputs(self, name: str) -> list[Argument]:
        return [
            self._input(name, self._named(name, "input", place, one), isinstance(one, str))
            for place, one in enumerate(self._nodes[name].input)
        ]

    def _input(self, name: str, wanted: str, is_name: bool) -> Argument:
        giver = self._givers.get(wanted) if is_name else None
        if giver is not None and giver != name and giver in self._chosen:
            return Argument(node=giver, index=self._index(giver, wanted))
        kept = giver if giver in self._kept else None
        index = None if kept is None else self._index(kept, wanted)
        if not is_name or wanted in self._catalog:
            return Argument(index=index, dataset=wanted, kept=kept)
        if kept is not None:
            return Argument(index=index, kept=kept)
        if giver is not None and giver != name:
            raise DependencyError(
                f"Node '{name}' takes '{wanted}', which node '{giver}' gives: that one does not run, and '{wanted}' is "
                f"not in the catalog. Let '{giver}' run too, or store '{wanted}'."
            )
        known = [*self._givers, *self._catalog]
        raise DependencyError(
            f"Node '{name}' takes '{wanted}', which is neither in the catalog nor an output of another node."
            f"{suggestion(wanted, known)}"
        )

    def _index(self, giver: str, output: str) -> int | None:
        outputs = self._outputs(giver)
        return None if len(outputs) == 1 else outputs.index(output)

    def _results(self, name: str) -> list[Argument]:
        found = []
        for other in get_node_dependencies(self._nodes[name]):
            if other in self._chosen:
                found.append(Argument(node=other))
                continue
            outputs = self._outputs(other)
            kept = other if other in self._kept else None
            is_stored = len(outputs) == 1 and self._is_stored(outputs[0])
            if kept is None and not is_stored:
                raise DependencyError(
                    f"Node '{name}' is handed the result of '{other}', which does not run and has no single output "
                    f"that is stored. Let '{other}' run too, or give it an output that is in the catalog."
                )
            found.append(Argument(dataset=outputs[0] if is_stored else None, kept=kept))
        return found

    def _is_stored(self, output: str) -> bool:
        return output in self._catalog or output in self.described
