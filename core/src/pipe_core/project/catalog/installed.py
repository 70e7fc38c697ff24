"""Whether what the formats of data sets need is installed, before anything is read or written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from pipe_core.kernel.errors import PipeError, PluginDependencyError
from pipe_core.kernel.kernel import current_kernel
from pipe_core.kernel.specs import FormatSpec
from pipe_core.project.catalog.dataset import Dataset
from pipe_core.project.config.models import DatasetConfig
from pipe_core.project.config.secrets import has_secret


def check_installed(format_name: str) -> None:
    """Look whether there is such a format, and what it needs. No backend is imported.

    Raises:
        PluginDependencyError: A module is not installed.
        PipeError: There is no such format, or it cannot be used.
    """
    spec = cast(FormatSpec, current_kernel().spec("formats", format_name))
    if spec.check is not None:
        spec.check()


def check_datasets(datasets: Mapping[str, DatasetConfig]) -> None:
    """Look whether what these data sets need is installed. Whatever else is wrong with one is told where it is used.

    Raises:
        PluginDependencyError: A module is not installed; names the data set.
    """
    known: set[tuple[str | None, ...]] = set()
    for name, config in datasets.items():
        alike = config.format, config.load_as, *_ends(config.path)
        if alike in known:
            continue
        dataset = Dataset(name, config, Path())
        if dataset.is_raw or (config.format is None and has_secret(config.path)):
            continue
        known.add(alike)
        try:
            check_installed(dataset.format)
        except PluginDependencyError as error:
            raise PluginDependencyError(
                f"{dataset.title}: {error}",
                family=error.family,
                name=error.name,
                distribution=error.distribution,
                missing=error.missing,
            ) from error
        except PipeError:
            continue


def _ends(path: str) -> tuple[str, str]:
    """The parts of a path or URL that tell the format, as they are written: data sets that share them are of one."""
    scheme, is_url, _ = path.partition("://")
    return scheme if is_url else "", path.rstrip("/").rpartition("/")[2].partition(".")[2]
