"""`Project`: what a project's files say, as objects that were checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pipe_core.kernel.errors import ConfigError
from pipe_core.kernel.index import suggestion
from pipe_core.looks.redaction import public
from pipe_core.project.config.documents import mapping_document, read_document
from pipe_core.project.config.files import find_project, read_project
from pipe_core.project.config.imports import use
from pipe_core.project.config.layers import Layers
from pipe_core.project.config.loading import Loaded, load_objects
from pipe_core.project.config.models import DatasetConfig, NodeConfig, PipelineConfig, ProjectSettings
from pipe_core.project.config.problems import Problems, UnknownNameError, as_problem
from pipe_core.project.config.python_document import load_python
from pipe_core.project.config.sections import TOP
from pipe_core.project.document import Document

if TYPE_CHECKING:
    from pipe_core.project.catalog import Catalog

MOST_NAMED: Final = 20

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who said a value.

    Attributes:
        layer: The file, ``environment prod`` or ``overrides``.
        place: Where in it: ``pipe.prod.yaml:3``.
        value: What is written there; secrets are only ever names.
        variables: The names in it, each with where its value came from: ``the environment``, ``variables`` or
            ``its default``.
    """

    layer: str
    place: str
    value: Any
    variables: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        sources = ", ".join(f"{name} from {source}" for name, source in self.variables)
        layer = "" if self.place.startswith(self.layer) else f" ({self.layer})"
        return f"{self.place}{layer}: {self.value!r}" + (f", with {sources}" if sources else "")


class Project:
    """Nodes, pipelines and a catalog of data sets. Made by `load`.

    Attributes:
        name: What it is called.
        folder: Where it is; paths are relative to it.
        path: Its own file; None for one that Python code gave.
        env: The environment that was chosen.
        environments: The environments that there are.
        settings: The key ``project:``.
        nodes: All nodes by name.
        pipelines: All pipelines by name.
        datasets: What the catalog is made of, by name.
        overrides: What was otherwise than the files say, as `load` was given it.
    """

    def __init__(self, loaded: Loaded, layers: Layers, *, folder: Path, path: Path | None, env: str | None) -> None:
        self.name: str = loaded.settings.name
        self.folder = folder
        self.path = path
        self.env = env
        self.environments: tuple[str, ...] = ()
        self.overrides: Mapping[str, Any] = MappingProxyType({})
        self.settings: ProjectSettings = loaded.settings
        self.nodes: Mapping[str, NodeConfig] = MappingProxyType(dict(loaded.nodes))
        self.pipelines: Mapping[str, PipelineConfig] = MappingProxyType(dict(loaded.pipelines))
        self.datasets: Mapping[str, DatasetConfig] = MappingProxyType(dict(loaded.datasets))
        self._functions = loaded.functions
        self._used = loaded.used
        self._layers = layers

    @classmethod
    def load(
        cls,
        path: str | Path | Mapping[str, Any] = ".",
        env: str | None = None,
        *,
        overrides: Mapping[str, Any] | None = None,
        folder: str | Path | None = None,
        allow_outside: bool | None = None,
    ) -> Project:
        """Read a project's files and check everything in them. Functions of nodes are imported, none is run.

        Args:
            path: The project's file, or a folder: then ``pipe.yaml`` (or ``.toml``, ``.json``) there or in the nearest
                folder above that has one. Or what a file would say, as a mapping, which may hold functions themselves.
            env: The environment to lay upon it.
            overrides: What is otherwise, above everything: nested, or ``{"nodes.extract.retries": 5}``.
            folder: The project's folder; default that of the file, for a mapping the working folder.
            allow_outside: Whether data may be outside of that folder. Code never is. Default: only where Python says
                it, in a mapping or a file of Python.

        Raises:
            ConfigError: Anything is wrong; its `problems` has all that was found, each with file, line and key.
        """
        problems = Problems()
        document = _document(path, problems)
        own = None if isinstance(path, Mapping) else document.path
        place = Path(folder).absolute() if folder is not None else own.parent if own is not None else Path.cwd()
        files = read_project(document, place, env, overrides, problems)
        if allow_outside is None:
            allow_outside = own is None or own.suffix == ".py"
        loaded = load_objects(files, problems, allow_outside=allow_outside)
        project = cls(loaded, files.layers, folder=place, path=own, env=env)
        project.environments = files.environments
        project.overrides = MappingProxyType(dict(overrides or {}))
        return project

    @cached_property
    def catalog(self) -> Catalog:
        """The catalog of data sets."""
        from pipe_core.project.catalog import Catalog  # imports formats, which only those who read data need

        places = {name: self.place("catalog", name) for name in self.datasets}
        return Catalog(self.datasets, folder=self.folder, allow_pickle=self.settings.allow_pickle, places=places)

    def get_pipeline(self, name: str) -> PipelineConfig:
        """The pipeline of that name.

        Raises:
            UnknownNameError: There is none; lists those that there are.
        """
        return _get(self, self.pipelines, name, "pipeline")

    def get_node(self, name: str) -> NodeConfig:
        """The node of that name.

        Raises:
            UnknownNameError: There is none; lists those that there are.
        """
        return _get(self, self.nodes, name, "node")

    def function(self, name: str) -> Callable[..., Any]:
        """The function of the node *name*.

        Raises:
            UnknownNameError: There is no such node.
        """
        _get(self, self.nodes, name, "node")
        use(self.folder)
        return self._functions[name]

    def place(self, *keys: str | int) -> str:
        """Where the value behind *keys* was said: ``pipe.yaml:12``. For what nobody said, where it would stand."""
        return self._layers.origin(keys).shown(self.folder)

    def provenance(self, *keys: str | int) -> tuple[Provenance, ...]:
        """Who said the value behind *keys*: what holds first, then what it replaced. Nothing for a default."""
        if not self._layers.has(keys):
            return ()
        used = self._used.get(keys, ())
        return tuple(
            Provenance(one.layer, one.shown(self.folder), public(one.value), () if index else used)
            for index, one in enumerate(self._layers.history(keys))
        )

    def __repr__(self) -> str:
        return f"<Project {self.name}: {len(self.nodes)} nodes, {len(self.pipelines)} pipelines, in {self.folder}>"


def _get(project: Project, things: Mapping[str, Thing], name: str, word: str) -> Thing:
    try:
        return things[name]
    except KeyError:
        names = list(things)
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        known = f"There are: {', '.join(names[:MOST_NAMED])}{more}." if names else "There are none."
        text = f"There is no {word} '{name}' in the project {project.name}.{suggestion(str(name), names)} {known}"
        raise UnknownNameError(text, path=str(project.path or project.folder), known=names) from None


def _document(path: Any, problems: Problems) -> Document:
    if isinstance(path, Mapping):
        return mapping_document(path, "the mapping given")
    if not isinstance(path, str | os.PathLike):
        text = f"A project is loaded from a path or from a mapping, not from a {type(path).__name__}."
        raise ConfigError(text, path="the project given")
    try:
        file = find_project(Path(path)).absolute()
        return load_python(file, TOP) if file.suffix == ".py" else read_document(file)
    except ConfigError as error:
        problems.add(as_problem(error, str(path)))
        problems.stop()
