"""Whether the data sets of a project can be used as they are described. None is opened."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from pipe_core.kernel.errors import PipeError
from pipe_core.project.catalog.installed import check_installed
from pipe_core.project.config.models import DatasetConfig
from pipe_core.project.config.secrets import has_secret
from pipe_core.project.contracts.shape import shape_of
from pipe_core.project.validation.report import Findings

if TYPE_CHECKING:
    from pipe_core.project.project import Project

_LIBRARIES: Final = {"arrow": ("pyarrow",), "pandas": ("pyarrow", "pandas")}
"""What ways to load need beside core."""
_WHOLE: Final = ("bytes", "text")


def check_catalog(project: Project, findings: Findings) -> None:
    """Look at all data sets, those of the catalog and those that stand at nodes."""
    used = {one for node in project.nodes.values() for one in (*node.input, *node.output) if isinstance(one, str)}
    used |= {one for pipeline in project.pipelines.values() for one in (*pipeline.inputs, *pipeline.outputs)}
    for name, dataset in project.datasets.items():
        _check(dataset, findings, "catalog", name)
        if name not in used:
            findings.warning(f"no node uses the data set '{name}'", "catalog", name)
    for name, node in project.nodes.items():
        for side in ("input", "output"):
            for index, one in enumerate(getattr(node, side)):
                if isinstance(one, DatasetConfig):
                    _check(one, findings, "nodes", name, side, index)


def _check(dataset: DatasetConfig, findings: Findings, *key: str | int) -> None:
    if dataset.load_as not in _WHOLE:
        _check_format(dataset, findings, *key)
    for library in _LIBRARIES.get(dataset.load_as or "", ()):
        if find_spec(library) is None:
            text = f"loading as {dataset.load_as} needs {library}, which is not installed: pip install {library}"
            findings.error(text, *key, "as")
    if dataset.contract is not None and dataset.record_schema is None:
        findings.error("a contract needs the schema that it is about: write schema:", *key, "contract")
    if dataset.contract is not None and (dataset.load_as in _WHOLE or dataset.format == "pickle"):
        findings.error("what is loaded as a whole has no records that a contract could be about", *key, "contract")
    check_schema(dataset.record_schema, findings, *key, "schema")


def _check_format(dataset: DatasetConfig, findings: Findings, *key: str | int) -> None:
    from pipe_core.records.places import format_name

    if dataset.format == "pickle" or (dataset.format is None and has_secret(dataset.path)):
        return
    try:
        name = dataset.format or format_name(dataset.path)
        check_installed(name)
    except PipeError as error:
        if dataset.format is None and dataset.path.lower().endswith((".pkl", ".pickle")):
            return
        findings.error(str(error), *key, "format" if dataset.format else "path")


def check_schema(schema: object, findings: Findings, *key: str | int) -> None:
    """Look whether *schema* is one. One that is still a reference is looked at when it is loaded."""
    if schema is None or isinstance(schema, str):
        return
    try:
        shape_of(schema)
    except PipeError as error:
        findings.error(str(error), *key)
