"""What cannot be done on Daft, said before anything has run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from pipe_core.graph.nesting import PipelineNode
from pipe_core.kernel.errors import UnsupportedCapabilityError
from pipe_daft.expressions import DEEPEST

if TYPE_CHECKING:
    from pipe_core.graph.node import Node
    from pipe_core.graph.pipeline import Pipeline
    from pipe_core.graph.plan import Plan
    from pipe_core.graph.policies import Policies


def check_plan(plan: Plan, engine: object) -> None:
    """Make sure that nothing in *plan* says how it runs, but what *engine* does not run.

    Raises:
        UnsupportedCapabilityError: A node does.
    """
    for node in _nodes((step.node for step in plan.steps), engine):
        if node.policies is not None:
            said = ", ".join(_said(node.policies))
            raise UnsupportedCapabilityError(
                f"The node '{node.name}' says {said}, and a DaftEngine cannot keep that: it is Daft that calls nodes. "
                f"Give the node an engine of its own, as Pipeline([{node.name}], engine=Engine()) in its place, or "
                f"run all of it by an Engine.",
                capability="policies",
                executor="daft",
            )


def _nodes(nodes: Iterable[Node[..., Any] | PipelineNode], engine: object) -> Iterator[Node[..., Any]]:
    """*nodes*, and all inside of them that *engine* runs."""
    for node in nodes:
        if not isinstance(node, PipelineNode):
            yield node
        elif node.pipeline.engine is None or node.pipeline.engine is engine:
            yield from _nodes(node.pipeline.nodes, engine)


def _said(policies: Policies) -> Iterator[str]:
    for one in fields(policies):
        if getattr(policies, one.name) is not None:
            yield "retries" if one.name == "retry" else one.name


def check_runner() -> None:
    """Make sure that Daft runs in this process, and tells nobody of it unless it was asked to.

    Raises:
        UnsupportedCapabilityError: It does not.
    """
    os.environ.setdefault("DAFT_ANALYTICS_ENABLED", "0")  # else Daft tells its makers that it is used
    from daft.runners import get_or_infer_runner_type

    runner = get_or_infer_runner_type()
    if runner != "native":
        raise UnsupportedCapabilityError(
            f"Daft runs on '{runner}' here, and a DaftEngine calls nodes in this process. Say "
            f"daft.set_runner_native() before anything of Daft's has run, or run the pipeline on a cluster by "
            f"Engine(map_executor='ray').",
            capability="remote",
            executor="daft",
        )


def check_lazy(pipeline: Pipeline, plan: Plan, given: Mapping[str, Any]) -> None:
    """Make sure that nothing is asked for that needs a run to be waited for.

    Args:
        pipeline: What is asked to run.
        plan: How it runs.
        given: Of the options those that are not as they are by default.

    Raises:
        UnsupportedCapabilityError: Something is.
    """
    wrong = [f"{name}=" for name, is_given in given.items() if is_given]
    if _is_told(pipeline):
        wrong.append("callbacks")
    if wrong:
        inside = " A pipeline inside of another one has to give its results." if "within=" in wrong else ""
        raise UnsupportedCapabilityError(
            f"With collect=False the run is over before a node runs, so that nobody could keep {', '.join(wrong)}. "
            f"Say DaftEngine(collect=True), or ask for the data frame by run or map without that.{inside}",
            capability="lazy",
            executor="daft",
        )
    if len(plan.steps) > DEEPEST:
        raise UnsupportedCapabilityError(
            f"The pipeline runs {len(plan.steps)} nodes, and a plan of Daft's has {DEEPEST} of them at most here: Daft "
            f"breaks down at some more. DaftEngine(collect=True) makes several plans; or ask for a part by "
            f"output_name=, and give its outputs to a pipeline of the rest.",
            capability="lazy",
            executor="daft",
        )


def _is_told(pipeline: Pipeline) -> bool:
    inside = (node.pipeline for node in pipeline.nodes if isinstance(node, PipelineNode))
    return bool(pipeline.callbacks) or any(map(_is_told, inside))
