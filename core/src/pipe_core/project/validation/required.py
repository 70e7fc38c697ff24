"""What a run needs to be asked for: a pipeline that is there, its nodes, and dates in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final

from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.index import suggestion
from pipe_core.project.config.models import PipelineConfig
from pipe_core.project.dates import DateWindow, parse_date
from pipe_core.project.dependencies import extract_pipeline_nodes
from pipe_core.project.errors import DependencyError
from pipe_core.project.validation.errors import MissingNodesError, PipelineConfigError

_SHOWN: Final = 10
"""So many known names an error lists."""


def validate_required_params(
    pipeline_name: str | None,
    start_date: str | date | None = None,
    end_date: str | date | None = None,
    context_start_date: str | date | None = None,
    context_end_date: str | date | None = None,
    *,
    requires_dates: bool = True,
) -> DateWindow | None:
    """Make sure that a run was told its pipeline and its dates.

    Args:
        pipeline_name: The pipeline.
        start_date: The first day, as ISO 8601.
        end_date: The last day.
        context_start_date: The first day where the run says none.
        context_end_date: The last day where the run says none.
        requires_dates: Whether there must be dates. What is given is checked in any case.

    Returns:
        The window that holds; None where there are no dates.

    Raises:
        OptionsError: Something is missing, is no date, or the end is before the start; `problems` has all that is.
    """
    found = {"start_date": start_date or context_start_date, "end_date": end_date or context_end_date}
    dates = {name: one if one is None or isinstance(one, str) else one.isoformat() for name, one in found.items()}
    problems = {}
    if not isinstance(pipeline_name, str) or not pipeline_name.strip():
        problems["pipeline_name"] = "Pipeline name is required"
    is_dated = requires_dates or any(dates.values())
    for name, said in dates.items():
        if said is not None:
            problems |= _wrong(name, said)
        elif is_dated:
            problems[name] = f"{name.partition('_')[0].capitalize()} date is required"
    if problems:
        raise OptionsError(f"{'. '.join(problems.values())}.", problems=problems)
    return DateWindow.of(dates["start_date"], dates["end_date"])


def _wrong(name: str, said: str) -> dict[str, str]:
    try:
        parse_date(said, name)
    except OptionsError as error:
        return {name: str(error).removesuffix(".")}
    return {}


def validate_pipeline_config(pipeline: Any) -> None:
    """Make sure that *pipeline* is the configuration of one: a mapping, or `PipelineConfig`, with a list of nodes.

    Raises:
        PipelineConfigError: It is not.
    """
    if isinstance(pipeline, PipelineConfig):
        return
    if not isinstance(pipeline, Mapping):
        kind = type(pipeline).__name__
        raise PipelineConfigError(f"A pipeline is a mapping with the key 'nodes', not of type {kind}.")
    if "nodes" not in pipeline:
        near = next((hint for key in pipeline if (hint := suggestion(str(key), ["nodes"]))), "")
        had = ", ".join(map(str, pipeline)) or "no keys"
        raise PipelineConfigError(f"A pipeline has the key 'nodes', and this one has {had}.{near}")
    nodes = pipeline["nodes"]
    if not isinstance(nodes, list | tuple):
        raise PipelineConfigError(f"The nodes of a pipeline are a list of names, not of type {type(nodes).__name__}.")
    if not nodes:
        raise PipelineConfigError("A pipeline has at least one node, and the list of this one is empty.")
    try:
        extract_pipeline_nodes(pipeline)
    except DependencyError as error:
        raise PipelineConfigError(str(error)) from error


def validate_node_configs(pipeline_nodes: Iterable[str], node_configs: Mapping[str, Any]) -> None:
    """Make sure that every node has a configuration.

    Raises:
        MissingNodesError: Some have none; it lists all of them.
    """
    missing = [name for name in dict.fromkeys(pipeline_nodes) if node_configs.get(name) is None]
    if not missing:
        return
    known = list(node_configs)
    hints = "".join(dict.fromkeys(suggestion(name, known) for name in missing))
    more = f", ... ({len(known)} in all)" if len(known) > _SHOWN else ""
    there = ", ".join(known[:_SHOWN]) + more if known else "none"
    raise MissingNodesError(
        f"Missing node configurations: {', '.join(missing)}.{hints} There are: {there}.",
        missing=missing,
        available=known,
    )
