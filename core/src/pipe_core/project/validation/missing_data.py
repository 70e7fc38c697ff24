"""Data sets that nodes read, that no node of a pipeline makes, and that are not there. They may come yet."""

from __future__ import annotations

import glob
import os
from collections.abc import Collection, Iterator
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from pipe_core.kernel.urls import scheme_of
from pipe_core.project.catalog.dataset import Dataset
from pipe_core.project.config.models import DatasetConfig
from pipe_core.project.config.secrets import has_secret
from pipe_core.project.validation.report import Findings
from pipe_core.records.many import is_pattern

if TYPE_CHECKING:
    from pipe_core.project.project import Project

Key = tuple[str | int, ...]


def check_data(project: Project, findings: Findings) -> None:
    """Look whether there are the files and folders that nodes read and do not make."""
    made = {path: node for node, _, dataset in _used(project, "output") if (path := _path(dataset)) is not None}
    running = {name for pipeline in project.pipelines.values() for name in pipeline.nodes}
    lasting = [path for path, node in made.items() if node in running]
    told = set()
    for node, key, dataset in _used(project, "input"):
        path = _path(dataset)
        if path is None or key in told or os.path.exists(path) or _is_made(path, lasting):
            continue
        told.add(key)
        if is_pattern(path) and glob.glob(path, recursive=True):
            continue
        maker = f"only node '{made[path]}' makes, in no pipeline" if path in made else "no node makes"
        findings.warning(
            f"node '{node}' reads '{dataset.shown}', which {maker}, and nothing is there: is the path right? If it "
            f"comes later, all is well",
            *key,
        )


def _used(project: Project, side: str) -> Iterator[tuple[str, Key, Dataset]]:
    """The data sets on that side of all nodes: a node each, where the path is said, and the data set."""
    for node, config in project.nodes.items():
        for index, one in enumerate(getattr(config, side)):
            if isinstance(one, DatasetConfig):
                yield node, ("nodes", node, side, index), Dataset(f"{node}.{side}[{index}]", one, project.folder)
            elif one in project.datasets:
                yield node, ("catalog", one, "path"), Dataset(one, project.datasets[one], project.folder)


def _path(dataset: Dataset) -> str | None:
    """The path of one on this machine; None for others."""
    if has_secret(dataset.config.path):
        return None
    target = dataset.target
    return None if target == "-" or scheme_of(target) is not None else os.path.normpath(target)


def _is_made(path: str, made: Collection[str]) -> bool:
    """Whether a node makes it, something in it, or the folder that it is in."""
    return any(
        path == one or one.startswith(path + os.sep) or path.startswith(one + os.sep) or fnmatch(one, path)
        for one in made
    )
