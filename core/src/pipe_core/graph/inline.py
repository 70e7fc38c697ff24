"""A plan run here and now, one step after the other, in the calling thread."""

from __future__ import annotations

from types import CoroutineType
from typing import Any

from pipe_core.graph.errors import note
from pipe_core.graph.nesting import PipelineNode
from pipe_core.graph.plan import Plan, Step, Values
from pipe_core.graph.scope import Item, Scope


def run_plan(plan: Plan, values: Values, scope: Scope, item: Item = ()) -> None:
    """Run all steps of *plan* on *values*, which hold the results then.

    Args:
        plan: What to run.
        values: Of its inputs; see `Plan.values`.
        scope: Where it runs.
        item: The place of the item in each map around it, the outermost first.
    """
    if plan.lean is not None and scope.is_quiet:
        _run_lean(plan, values, scope, item)
        return
    for step in plan.steps:
        scope.run.check()
        run_step(step, values, scope, item)


def _run_lean(plan: Plan, values: Values, scope: Scope, item: Item) -> None:
    # The hot path: a node costs what its function costs and some tenths of a microsecond.
    call: Any = None
    assert plan.lean is not None
    try:
        for call in plan.lean:
            fn, one, many, out = call
            if many is not None:
                values[out] = fn(*many(values))
            elif one is not None:
                values[out] = fn(values[one])
            else:
                values[out] = fn()
    except Exception as error:
        step = next(step for step, other in zip(plan.steps, plan.lean, strict=True) if other is call)
        explain(error, step, values, scope, item)
        raise


def run_step(step: Step, values: Values, scope: Scope, item: Item) -> None:
    """Run one step, and all that is nested in it."""
    if isinstance(step.node, PipelineNode):
        step.store(values, _run_nested(step.node, step.inputs(values), scope, item))
    else:
        call_step(step, values, scope, item)


def call_step(step: Step, values: Values, scope: Scope, item: Item) -> None:
    """Call the function of a step, and keep what it gives."""
    args, kwargs = step.arguments(values)
    try:
        result = step.node.fn(*args, **kwargs)  # type: ignore[union-attr]  # a nested pipeline has no function
        if type(result) is CoroutineType:
            result = scope.run.loop.run(result)
        step.store(values, result)
    except Exception as error:
        explain(error, step, values, scope, item)
        raise


def explain(error: BaseException, step: Step, values: Values, scope: Scope, item: Item) -> None:
    """Say on *error* in which step it was raised, and with what."""
    note(error, step.node.name, step.inputs(values), item, scope.name)


def _run_nested(node: PipelineNode, inputs: dict[str, Any], scope: Scope, item: Item) -> tuple[Any, ...]:
    inner = scope.within(node.pipeline)
    if not node.is_mapped:
        found = run_once(node, node.inner(inputs), inner, item)
        return tuple(found[name] for name in node.wanted)
    rows = [run_once(node, one, inner, (*item, index)) for index, one in enumerate(node.items(inputs))]
    return node.collected(rows)


def run_once(node: PipelineNode, inputs: dict[str, Any], scope: Scope, item: Item) -> dict[str, Any]:
    """The outputs of a nested pipeline for its inner *inputs*."""
    plan = node.plan(inputs)
    values = plan.values(inputs)
    run_plan(plan, values, scope, item)
    return plan.results(values)
