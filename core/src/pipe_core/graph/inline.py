"""A plan run here and now, one step after the other, in the calling thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import CoroutineType
from typing import Any

from pipe_core.graph.errors import note
from pipe_core.graph.keeping import Wanted, give_up, keep, look, values_of
from pipe_core.graph.levels import Level, MapLevel
from pipe_core.graph.nesting import PipelineNode
from pipe_core.graph.plan import Plan, Step, Values
from pipe_core.graph.result import ItemFailure
from pipe_core.graph.scope import Item, Scope


def run_plan(
    plan: Plan, values: Values, scope: Scope, item: Item = (), failures: list[Exception] | None = None
) -> str | None:
    """Run all steps of *plan* on *values*, which hold the results then.

    Args:
        plan: What to run.
        values: Of its inputs; see `Plan.values`.
        scope: Where it runs.
        item: The place of the item in each map around it, the outermost first.
        failures: Gets what steps raise, and what does not depend on them runs. Default: the first one is raised.

    Returns:
        The signature of the results, if all of them were known and nothing ran.
    """
    if plan.lean is not None and scope.is_quiet and failures is None:
        _run_lean(plan, values, scope, item)
        return None
    level = Level(scope, item)
    level.begins(plan, values)
    failed: BaseException | None = None
    try:
        _run_steps(plan, values, level, failures)
        failed = failures[0] if failures else None
    except BaseException as error:
        failed = error
        raise
    finally:
        level.ends(plan.found(values), failed)
    return level.known_as(plan, values)


def _run_lean(plan: Plan, values: Values, scope: Scope, item: Item) -> None:
    # The hot path: a node costs what its function costs and some tenths of a microsecond.
    call: Any = None
    assert plan.lean is not None
    try:
        for call in plan.lean:
            fn, one, many, out = call
            if many is not None:
                result = fn(*many(values))
            elif one is not None:
                result = fn(values[one])
            else:
                result = fn()
            values[out] = scope.run.wait(result) if type(result) is CoroutineType else result
    except Exception as error:
        step = next(step for step, other in zip(plan.steps, plan.lean, strict=True) if other is call)
        explain(error, step, values, scope, item)
        raise


def _run_steps(plan: Plan, values: Values, level: Level, failures: list[Exception] | None) -> None:
    lost: set[int] = set()
    for step in plan.steps:
        if step.index in lost:
            continue
        level.scope.run.check()
        try:
            run_step(step, values, level)
        except Exception as error:
            if failures is None or error is level.scope.run.ended_by:
                raise
            failures.append(error)
            lost |= plan.downstream(step)


def run_step(step: Step, values: Values, level: Level) -> None:
    """Run a step, with all that is inside of it, and keep what it gives."""
    if not isinstance(step.node, PipelineNode):
        call_step(step, values, level)
    elif has_own_engine(step.node, level):
        run_by_own_engine(step, values, level)
    else:
        _run_nested(step, step.node, values, level)


def call_step(step: Step, values: Values, level: Level) -> None:
    """Call the function of a step, unless its result is known, and keep what it gives."""
    wanted: Wanted | bool = False
    if level.scope.cache is not None:
        wanted = look(step, values, level)
        if wanted is True:
            return
    args, kwargs = step.arguments(values)
    began = level.node_begins(step, values)
    failed: BaseException | None = None
    try:
        result = step.node.fn(*args, **kwargs)  # type: ignore[union-attr]  # a nested pipeline has no function
        if type(result) is CoroutineType:
            result = level.scope.run.wait(result)
        step.store(values, result)
    except BaseException as error:
        failed = error
        explain(error, step, values, level.scope, level.item)
        raise
    finally:
        level.node_ends(step, values, began, failed)
        if isinstance(wanted, Wanted):
            if failed is None:
                keep(wanted, step, values, level)
            else:
                give_up(wanted)


def explain(error: BaseException, step: Step, values: Values, scope: Scope, item: Item) -> None:
    """Say on *error* in which step it was raised, and with what."""
    if isinstance(error, Exception) and error is not scope.run.ended_by:  # which is about no step
        note(error, step.node.name, step.inputs(values), item, scope.name)


def has_own_engine(node: PipelineNode, level: Level) -> bool:
    """Whether a nested pipeline has another engine than what is around it."""
    return node.pipeline.engine is not None and node.pipeline.engine is not level.scope.engine


def run_by_own_engine(step: Step, values: Values, level: Level) -> None:
    """Run the nested pipeline of a step by the engine that it has of its own, in its slot."""
    node: Any = step.node
    engine, inputs = node.pipeline.engine, step.inputs(values)
    options = {"within": level} if getattr(engine, "takes_within", False) else {}
    began = level.nested_begins(node.pipeline)
    failed: BaseException | None = None
    try:
        if node.is_mapped:
            found = engine.map(
                node.pipeline, node.inner(inputs), node.inner_map_over, node.map_mode, node.wanted, **options
            )
            step.store(values, tuple([row[name] for row in found] for name in node.wanted))
        else:
            found = engine.run(node.pipeline, node.inner(inputs), node.wanted, **options)
            step.store(values, tuple(found[name] for name in node.wanted))
    except BaseException as error:
        failed = error
        raise
    finally:
        level.nested_ends(node.pipeline, began, failed)


def _run_nested(step: Step, node: PipelineNode, values: Values, level: Level) -> None:
    inner = level.scope.within(node.pipeline, step.index)
    inputs = step.inputs(values)
    began = level.nested_begins(node.pipeline)
    failed: BaseException | None = None
    try:
        step.store(values, _found_inside(node, inputs, inner, level.item))
    except BaseException as error:
        failed = error
        explain(error, step, values, level.scope, level.item)
        raise
    finally:
        level.nested_ends(node.pipeline, began, failed)


def _found_inside(node: PipelineNode, inputs: dict[str, Any], inner: Scope, item: Item) -> tuple[Any, ...]:
    if not node.is_mapped:
        found = _run_once(node, node.inner(inputs), inner, item)
        return tuple(found[name] for name in node.wanted)
    items = node.items(inputs)
    around = MapLevel(inner, item, len(items), node.fixed(inputs))
    around.begins()
    try:
        return node.collected([_run_item(node, one, around, index) for index, one in enumerate(items)])
    finally:
        around.ends()


def _run_item(node: PipelineNode, inputs: dict[str, Any], around: MapLevel, index: int) -> dict[str, Any]:
    around.item_begins(index)
    known = None
    failed: BaseException | None = None
    try:
        plan = node.plan(inputs)
        values = values_of(plan, inputs, around.scope, around.signed)
        known = run_plan(plan, values, around.scope, (*around.item, index))
        return plan.results(values)
    except BaseException as error:
        failed = error
        raise
    finally:
        around.item_ends(index, known, failed)


def _run_once(node: PipelineNode, inputs: dict[str, Any], scope: Scope, item: Item) -> dict[str, Any]:
    plan = node.plan(inputs)
    values = values_of(plan, inputs, scope)
    run_plan(plan, values, scope, item)
    return plan.results(values)


def each_in_line(
    plan: Plan, items: Iterable[dict[str, Any]], around: MapLevel
) -> Iterator[tuple[dict[str, Any], ItemFailure | None]]:
    """The outputs of each item, one after the other. Of one that has failed, where the run goes on, its failure too."""
    scope = around.scope
    around.begins()
    try:
        for index, inputs in enumerate(items):
            values = values_of(plan, inputs, scope, around.signed)
            around.item_begins(index)
            known = None
            failed: Exception | None = None
            try:
                known = run_plan(plan, values, scope, (index,))
                found: tuple[dict[str, Any], ItemFailure | None] = plan.results(values), None
            except Exception as error:
                failed = error
                if not scope.run.goes_on or error is scope.run.ended_by:
                    raise
                found = dict.fromkeys(plan.outputs), ItemFailure(index, inputs, error)
            finally:
                around.item_ends(index, known, failed)
            yield found
    finally:
        around.ends()
