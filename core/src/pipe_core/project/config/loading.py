"""From the files of a project to its settings, data sets, nodes and pipelines, everything checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipe_core.kernel.errors import PipeError
from pipe_core.kernel.kernel import current_kernel
from pipe_core.project.boundaries import outside
from pipe_core.project.config.dataset_checks import DatasetChecks
from pipe_core.project.config.files import ProjectFiles
from pipe_core.project.config.models import (
    ContractConfig,
    ContractsConfig,
    DatasetConfig,
    NodeConfig,
    PipelineConfig,
    ProjectSettings,
)
from pipe_core.project.config.problems import Problems, nearest
from pipe_core.project.config.references import Code
from pipe_core.project.config.validation import Reader
from pipe_core.project.document import Place

MOST_NAMED: Final = 10


@dataclass(frozen=True)
class Loaded:
    """What a project's files say, as objects.

    Attributes:
        settings: The key ``project:``.
        datasets: The catalog.
        nodes: All nodes.
        pipelines: All pipelines.
        functions: What nodes run.
        used: For each place, the names of variables in it and where their values came from.
    """

    settings: ProjectSettings
    datasets: Mapping[str, DatasetConfig]
    nodes: Mapping[str, NodeConfig]
    pipelines: Mapping[str, PipelineConfig]
    functions: Mapping[str, Callable[..., Any]] = field(repr=False)
    used: Mapping[Place, tuple[tuple[str, str], ...]] = field(repr=False)


def load_objects(files: ProjectFiles, problems: Problems, *, allow_outside: bool) -> Loaded:
    """The objects of the project of *files*.

    Args:
        files: The layers of what it says.
        problems: What was found wrong with these.
        allow_outside: Whether data may be outside of the project's folder.

    Raises:
        ProjectConfigError: Anything is wrong; has all that was found.
    """
    return _Loading(files, problems, allow_outside).loaded()


class _Loading:
    def __init__(self, files: ProjectFiles, problems: Problems, allow_outside: bool) -> None:
        self._allow_outside = allow_outside
        self._problems = problems
        self._folder = files.folder
        self._values = files.layers.value
        self._reader = Reader(files.layers, problems)
        self._wrong = self._reader.wrong

    def loaded(self) -> Loaded:
        settings = self._settings()
        self._code = Code(self._folder, settings.code)
        self._datasets = DatasetChecks(
            self._folder, allow_outside=self._allow_outside, allow_pickle=settings.allow_pickle, wrong=self._wrong
        )
        datasets = {name: data for name in self._section("catalog") if (data := self._dataset(name))}
        nodes = self._nodes = {name: node for name in self._section("nodes") if (node := self._node(name))}
        pipelines = {name: read for name in self._section("pipelines") if (read := self._pipeline(name))}
        self._check_flow(nodes, pipelines)
        functions = {name: fn for name, node in nodes.items() if (fn := self._function(name, node))}
        datasets = {name: self._with_schema(data, ("catalog", name)) for name, data in datasets.items()}
        nodes = {name: self._with_schemas(node, ("nodes", name)) for name, node in nodes.items()}
        self._reader.check_unused()
        self._problems.raise_if_any()
        return Loaded(settings, datasets, nodes, pipelines, functions, self._reader.used)

    def _section(self, name: str) -> Mapping[str, Any]:
        section: Mapping[str, Any] = self._values.get(name) or {}
        return section

    def _settings(self) -> ProjectSettings:
        read = self._reader.read(ProjectSettings, self._section("project"), ("project",))
        if read is None:
            return ProjectSettings()
        self._check_executor(read.executor, ("project", "executor"))
        if not self._allow_outside and (text := outside(read.runs, self._folder)):
            self._wrong(text.removesuffix("."), ("project", "runs"))
        return read if read.name != "project" else read.model_copy(update={"name": self._folder.name or "project"})

    # --- things ---

    def _dataset(self, name: str) -> DatasetConfig | None:
        value = self._section("catalog")[name]
        dataset = self._reader.read(DatasetConfig, value, ("catalog", name))
        if dataset is not None:
            self._datasets.check(dataset, ("catalog", name))
        return dataset

    def _node(self, name: str) -> NodeConfig | None:
        value = self._section("nodes")[name]
        node = self._reader.read(NodeConfig, value, ("nodes", name), name=name)
        if node is not None:
            self._check_node(node, value, ("nodes", name))
        return node

    def _check_node(self, node: NodeConfig, said: Any, place: Place) -> None:
        """Look at what stands in *node* itself: data sets, and where it runs."""
        self._check_executor(node.executor, (*place, "executor"))
        for side in ("input", "output"):
            for index, one in enumerate(getattr(node, side)):
                if isinstance(one, DatasetConfig):
                    is_list = not isinstance(said, Mapping) or isinstance(said.get(side), list | tuple)
                    self._datasets.check(one, (*place, side, index) if is_list else (*place, side))

    def _check_executor(self, executor: Any, place: Place) -> None:
        if executor is None:
            return
        if "allow_insecure" in str(executor) and not self._allow_outside:
            text = (
                "a file cannot say that a plain address is safe: whoever answers there runs code here. Where you trust "
                "the file, allow it with --allow-outside; or say it in PIPE_EXECUTOR__ALLOW_INSECURE=1"
            )
            self._wrong(text, place)
        self._located(lambda: current_kernel().index.find("executors", _name_of(executor)), place)

    def _pipeline(self, name: str) -> PipelineConfig | None:
        place = ("pipelines", name)
        value = self._section("pipelines")[name]
        if isinstance(value, Mapping) and isinstance(value.get("nodes"), list | tuple):
            names, overrides = self._members(value["nodes"], (*place, "nodes"))
            value = {**value, "nodes": names}
            pipeline = self._reader.read(PipelineConfig, value, place, name=name, overrides=overrides)
        else:
            pipeline = self._reader.read(PipelineConfig, value, place, name=name, overrides={})
        if pipeline is not None:
            self._check_executor(pipeline.executor, (*place, "executor"))
        return pipeline

    def _members(self, entries: Iterable[Any], place: Place) -> tuple[list[Any], dict[str, dict[str, Any]]]:
        """The names of a pipeline's nodes, and what it says of them otherwise than they do."""
        names: list[Any] = []
        overrides: dict[str, dict[str, Any]] = {}
        nodes = self._section("nodes")
        for index, entry in enumerate(entries):
            inner = (*place, index)
            said: Any = None
            if isinstance(entry, Mapping):
                if len(entry) != 1:
                    self._wrong("write a node's name, or {name: {key: value}}", inner)
                    continue
                ((entry, said),) = entry.items()
            names.append(entry)
            if entry not in nodes:
                self._wrong(f"there is no node '{entry}'.{nearest(entry, nodes)}{_known(nodes)}", inner)
            elif entry in names[:-1]:
                self._wrong(f"the node '{entry}' is here twice", inner)
            elif said is not None:
                self._override(entry, said, (*inner, entry), overrides)
        return names, overrides

    def _override(self, name: str, said: Any, place: Place, overrides: dict[str, dict[str, Any]]) -> None:
        if not isinstance(said, Mapping):
            self._wrong("write what is otherwise for the node: {name: {key: value}}", place)
        elif (node := self._nodes.get(name)) is not None:
            for key in ("function", "module"):
                if key in said:
                    self._wrong("another function is another node: say it under nodes:", (*place, key))
            others = {key: value for key, value in said.items() if key not in ("function", "module")}
            checked = self._reader.read(NodeConfig, others, place, name=name, function="-")
            if checked is not None:
                self._check_node(checked, others, place)
                checked = self._with_schemas(checked, place)
                values = {key: getattr(checked, key) for key in others if others[key] is not None}
                if "hyperparams" in values:
                    values["hyperparams"] = {**node.hyperparams, **values["hyperparams"]}
                overrides[name] = values

    # --- what they name ---

    def _check_flow(self, nodes: Mapping[str, NodeConfig], pipelines: Mapping[str, PipelineConfig]) -> None:
        """Every name of data is in the catalog, or a node gives it."""
        made = {one for node in nodes.values() for one in node.output if isinstance(one, str)}
        known = {*self._section("catalog"), *made}
        said: list[tuple[Place, tuple[Any, ...]]] = [
            (("nodes", name, "input"), one.input) for name, one in nodes.items()
        ]
        for name, pipeline in pipelines.items():
            said += [(("pipelines", name, side), getattr(pipeline, side)) for side in ("inputs", "outputs")]
        for place, names in said:
            for index, one in enumerate(names):
                if isinstance(one, str) and one not in known:
                    text = (
                        f"there is no data set '{one}': it is not in the catalog, and no node gives it."
                        f"{nearest(one, known)}{_known(self._section('catalog'))}"
                    )
                    self._wrong(text, (*place, index))

    def _function(self, name: str, node: NodeConfig) -> Callable[..., Any] | None:
        place = ("nodes", name, "module" if node.module else "function")
        found: Callable[..., Any] | None = self._located(lambda: self._code.function(node.function, node.module), place)
        return found

    def _with_schema(self, dataset: DatasetConfig, place: Place) -> DatasetConfig:
        if not isinstance(dataset.record_schema, str):
            return dataset
        schema = self._located(lambda: self._code.schema(dataset.record_schema), (*place, "schema"))
        return dataset.model_copy(update={"record_schema": schema})

    def _with_schemas(self, node: NodeConfig, place: Place) -> NodeConfig:
        changed: dict[str, Any] = {}
        for side in ("input", "output"):
            ones = getattr(node, side)
            if any(isinstance(one, DatasetConfig) for one in ones):
                changed[side] = tuple(
                    self._with_schema(one, (*place, side, index)) if isinstance(one, DatasetConfig) else one
                    for index, one in enumerate(ones)
                )
        if node.contracts.inputs or node.contracts.outputs:
            changed["contracts"] = self._contracts(node.contracts, (*place, "contracts"))
        return node.model_copy(update=changed) if changed else node

    def _contracts(self, contracts: ContractsConfig, place: Place) -> ContractsConfig:
        def loaded(one: ContractConfig, at: Place) -> ContractConfig:
            return one.model_copy(
                update={"record_schema": self._located(lambda: self._code.schema(one.record_schema), at)}
            )

        sides = {
            side: {name: loaded(one, (*place, side, name)) for name, one in getattr(contracts, side).items()}
            for side in ("inputs", "outputs")
        }
        return contracts.model_copy(update=sides)

    def _located(self, load: Callable[[], Any], place: Place) -> Any:
        try:
            return load()
        except PipeError as error:
            self._wrong(str(error).removesuffix("."), place, error)
            return None


def _name_of(executor: str | Mapping[str, Any]) -> str:
    """The plugin's name in a selection, which may be a URL."""
    name = str(executor if isinstance(executor, str) else executor["name"])
    return name.partition("://")[0]


def _known(names: Iterable[str]) -> str:
    names = list(names)
    if not names:
        return " There are none."
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f" Known: {', '.join(names[:MOST_NAMED])}{more}."
