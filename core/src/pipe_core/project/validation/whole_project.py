"""Everything that is wrong with a project, in one report. Nothing of it runs, and no data is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipe_core.project.validation.catalog_checks import check_catalog
from pipe_core.project.validation.format_policy import FormatPolicy
from pipe_core.project.validation.missing_data import check_data
from pipe_core.project.validation.pipeline_checks import PipelineChecks
from pipe_core.project.validation.report import Findings, ValidationReport

if TYPE_CHECKING:
    from pipe_core.project.project import Project


def validate_project(project: Project, *, executor: Any = None, format_policy: Any = None) -> ValidationReport:
    """Look at everything in *project* that can be known without running it.

    That is: whether each pipeline can be put together; whether functions take what they will be given; dates; whether
    executors can keep what nodes ask for; formats and libraries that are not installed; schemas and contracts; nodes
    in each other's way; streams and what they go on from; files that are read and not there; and what nobody uses.

    Args:
        project: The project. What its files say was checked when it was loaded.
        executor: Where everything runs that says nothing itself; as the same option of a run.
        format_policy: What is otherwise about formats of streams: as `FormatPolicy.of` takes it.

    Raises:
        OptionsError: *format_policy* is none.
    """
    findings = Findings(project)
    pipelines = PipelineChecks(project, findings, executor, FormatPolicy.of(format_policy))
    for name, node in project.nodes.items():
        pipelines.check_node(name, node)
    for name, pipeline in project.pipelines.items():
        pipelines.check(name, pipeline)
    check_catalog(project, findings)
    check_data(project, findings)
    _check_use(project, pipelines, findings)
    return findings.report()


def _check_use(project: Project, pipelines: PipelineChecks, findings: Findings) -> None:
    """Tell of what nobody uses."""
    for node, output in pipelines.given:
        if (node, output) not in pipelines.taken:
            findings.warning(
                f"the output '{output}' of node '{node}' is neither in the catalog nor taken by another node: it ends "
                f"with the run",
                *("nodes", node, "output"),
            )
    running = {name for pipeline in project.pipelines.values() for name in pipeline.nodes}
    for name in project.nodes:
        if name not in running:
            findings.warning(f"the node '{name}' is in no pipeline", "nodes", name)
