"""`Preview`: what a run would do, with nothing run, started or computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.estimates import NOTHING, Estimate, of_call, of_items, of_steps
from pipe_core.graph.items import check_inputs, count_of, names_of
from pipe_core.graph.keeping import Explanation, explained
from pipe_core.graph.nesting import PipelineNode
from pipe_core.graph.placing import Placing
from pipe_core.graph.plan import ABSENT
from pipe_core.graph.scope import Run, Scope
from pipe_core.graph.timings import Timings
from pipe_core.looks.tables import table
from pipe_core.looks.wording import duration, one_line, several
from pipe_core.runtime.resources import in_words

if TYPE_CHECKING:
    from pipe_core.graph.pipeline import Pipeline
    from pipe_core.graph.plan import Plan, Step
    from pipe_core.graph.policies import Policies

_KEPT: Final = {True: "yes", False: "no", None: "?"}


@dataclass(frozen=True, slots=True)
class PlannedNode:
    """A node in a `Preview`.

    Attributes:
        name: Of the node.
        takes: What it needs, by name.
        gives: The names of its outputs.
        runs_on: The name of the executor; ``sync`` is the calling thread. Empty for a pipeline: see *inside*.
        is_kept: Whether its result is in the cache; None where only the run can tell.
        reasons: Why it would run, in words, where it is not kept.
        policies: What it says of retries and limits, by name.
        over: The inputs that it is mapped over: it runs once for each of their items.
        inside: What runs inside of it, if it is a pipeline.
        estimate: How long it takes, with all of its items if it has some; None where no timings were given.
    """

    name: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    runs_on: str
    is_kept: bool | None
    reasons: tuple[str, ...] = ()
    policies: Mapping[str, Any] = field(default_factory=dict)
    over: tuple[str, ...] = ()
    inside: Preview | None = None
    estimate: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would do. As text it is a table.

    Attributes:
        pipeline: The name of the pipeline.
        outputs: What would be computed.
        levels: The nodes, by how many others must have ended before. A run waits for no level: each node starts as soon
            as what it needs is there.
        missing: The inputs without which it cannot run, each with the nodes that take it.
        has_cache: Whether results are kept at all, here or inside.
        estimate: How long a run takes, from how long a former one did; None where no timings were given.
    """

    pipeline: str
    outputs: tuple[str, ...]
    levels: tuple[tuple[PlannedNode, ...], ...]
    missing: Mapping[str, tuple[str, ...]]
    has_cache: bool
    estimate: Estimate | None = None

    def __iter__(self) -> Iterator[PlannedNode]:
        """All nodes, by level, without those inside of others."""
        return (one for level in self.levels for one in level)

    def to_dict(self) -> dict[str, Any]:
        """It as plain data."""
        return {
            "pipeline": self.pipeline,
            "outputs": list(self.outputs),
            "missing": {name: list(takers) for name, takers in self.missing.items()},
            "levels": [[_as_data(one) for one in level] for level in self.levels],
            "estimate": None if self.estimate is None else self.estimate.to_dict(),
        }

    @property
    def level_seconds(self) -> list[float]:
        """How long the longest node of each level takes, as far as that is known."""
        known = [[one.estimate.seconds for one in level if one.estimate is not None] for level in self.levels]
        return [max(each, default=0.0) for each in known]

    def __str__(self) -> str:
        lines = [f"{one_line(self.pipeline)}: {several(len(list(self)), 'node')}, nothing has run"]
        rows = list(self._rows())
        wanted = [True, True, True, True, self.has_cache, self.estimate is not None, any(row[-1] for row in rows)]
        header = _some(("level", "node", "gives", "runs on", "in the cache", "takes", "says"), wanted)
        lines.append(table([_some(row, wanted) for row in rows], header))
        if self.missing:
            named = ", ".join(f"{name} (for {', '.join(takers)})" for name, takers in self.missing.items())
            lines.append(f"It lacks {'an input' if len(self.missing) == 1 else 'inputs'}: {named}")
        if self.estimate is not None:
            lines += _estimated(self.estimate, self.level_seconds)
        return "\n".join(lines)

    def _rows(self, before: str = "", indent: str = "") -> Iterator[Sequence[str]]:
        for number, level in enumerate(self.levels, 1):
            for one in level:
                name = indent + one_line(one.name) + (f" over {', '.join(one.over)}" if one.over else "")
                kept = "" if one.inside is not None else _KEPT[one.is_kept]
                says = ", ".join(map(_in_words, one.policies.items()))
                yield f"{before}{number}", name, ", ".join(one.gives), one.runs_on, kept, _takes(one.estimate), says
                if one.inside is not None:
                    yield from one.inside._rows(f"{before}{number}.", f"{indent}  ")


def _in_words(policy: tuple[str, Any]) -> str:
    name, value = policy
    return f"needs {in_words(value)}" if name == "resources" else f"{name}={value}"


def _takes(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    if estimate.is_complete:
        return duration(estimate.seconds)
    return f"> {duration(estimate.seconds)}" if estimate.seconds else "?"


def _estimated(estimate: Estimate, levels: Sequence[float]) -> Iterator[str]:
    """What an estimate comes to, in words, and what it leaves out."""
    is_all = estimate.is_complete and estimate.seconds > 0.999 * estimate.work  # one call after the other
    least = "" if is_all else "at least "
    work, chained = duration(estimate.work), duration(estimate.chain)
    yield (
        f"As before it takes {least}{duration(estimate.seconds)}: its calls take {work} together, and those that wait "
        f"for one another {chained}"
    )
    if len(levels) > 1:
        yield f"Level by level: {', '.join(map(duration, levels))}"
    if estimate.unknown:
        yield f"Not known: {', '.join(map(one_line, estimate.unknown))}"


def _some(row: Sequence[str], wanted: Sequence[bool]) -> list[str]:
    return [cell for cell, is_wanted in zip(row, wanted, strict=True) if is_wanted]


def _as_data(one: PlannedNode) -> dict[str, Any]:
    return {
        "node": one.name,
        "takes": list(one.takes),
        "gives": list(one.gives),
        "runs_on": one.runs_on,
        "is_kept": one.is_kept,
        "reasons": list(one.reasons),
        "policies": dict(one.policies),
        "map_over": list(one.over),
        "inside": None if one.inside is None else one.inside.to_dict(),
        "estimate": None if one.estimate is None else one.estimate.to_dict(),
    }


def preview_of(
    pipeline: Pipeline,
    inputs: Mapping[str, Any] | None,
    output_name: str | Sequence[str] | None,
    engine: Any,
    timings: Any = None,
) -> Preview:
    """See `Pipeline.plan`."""
    before = None if timings is None else Timings.of(timings)
    given = {**pipeline.bound_inputs, **check_inputs(inputs)}
    wanted = names_of(output_name) or pipeline.outputs
    taken = pipeline.wiring.inputs(pipeline.wiring.upstream(wanted))
    missing = [name for name, one in taken.items() if one.is_required and name not in given]
    known = {**given, **dict.fromkeys(missing, ABSENT)}
    scope = Scope(Run(), pipeline, engine=engine)
    return _preview(pipeline, pipeline.plan_for(wanted, known), known, scope, Placing.of(engine), before)


def _preview(
    pipeline: Pipeline,
    plan: Plan,
    inputs: Mapping[str, Any],
    scope: Scope,
    placing: Placing,
    before: Timings | None,
    path: tuple[str, ...] = (),
) -> Preview:
    values = plan.values(inputs)
    missing = tuple(name for name in plan.inputs if inputs[name] is ABSENT)
    kept = _kept(plan, inputs, scope, missing)
    levels = tuple(
        tuple(_planned(step, step.inputs(values), kept[step.index], scope, placing, before, path) for step in level)
        for level in plan.levels
    )
    inside = (one.inside for level in levels for one in level if one.inside is not None)
    has_cache = scope.cache is not None or any(one.has_cache for one in inside)
    takers = {name: tuple(step.node.name for step in plan.steps if name in step.names) for name in missing}
    found = Preview(pipeline.name or "pipeline", tuple(plan.outputs), levels, takers, has_cache)
    return found if before is None else replace(found, estimate=_of_all(plan, levels, placing))


def _of_all(plan: Plan, levels: Sequence[Sequence[PlannedNode]], placing: Placing) -> Estimate:
    pairs = zip(chain.from_iterable(plan.levels), chain.from_iterable(levels), strict=True)
    estimates = {step.index: one.estimate or NOTHING for step, one in pairs}
    followers = [step.followers for step in plan.steps]
    return of_steps([estimates[step.index] for step in plan.steps], followers, serial=placing.is_serial)


def _kept(plan: Plan, inputs: Mapping[str, Any], scope: Scope, missing: Sequence[str]) -> list[Explanation]:
    if missing and scope.cache is not None:
        why = (f"that depends on inputs which are not known: {', '.join(missing)}",)
        return [Explanation(step.node.name, None, why) for step in plan.steps]
    return explained(plan, inputs, scope)


def _planned(
    step: Step,
    inputs: Mapping[str, Any],
    kept: Explanation,
    scope: Scope,
    placing: Placing,
    before: Timings | None,
    path: tuple[str, ...],
) -> PlannedNode:
    node = step.node
    inside = _inside(node, inputs, scope, placing, before, path) if isinstance(node, PipelineNode) else None
    over = node.map_over if isinstance(node, PipelineNode) else ()
    takes, on, says = tuple(step.names), placing.runs_on(node), _says(node.policies)
    found = PlannedNode(node.name, takes, node.outputs, on, kept.is_kept, kept.reasons, says, over, inside)
    if before is None:
        return found
    if kept.is_kept:
        return replace(found, estimate=NOTHING)
    if not isinstance(node, PipelineNode):
        here = (*path, node.name)
        return replace(found, estimate=of_call("/".join(here), before.seconds(here), placing.bounds(node, here)))
    estimate = NOTHING if inside is None or inside.estimate is None else inside.estimate
    if node.is_mapped:
        given = _count(node, inputs)
        items = before.items((*path, node.pipeline.id)) if given is None else given
        estimate = of_items(estimate, node.name, items)
    return replace(found, estimate=estimate)


def _count(node: PipelineNode, inputs: Mapping[str, Any]) -> int | None:
    """How many items it has, where that is known before the run."""
    if any(inputs[name] is ABSENT for name in node.map_over):
        return None
    return count_of(node.inner(inputs), node.inner_map_over, node.map_mode)


def _inside(
    node: PipelineNode,
    inputs: Mapping[str, Any],
    scope: Scope,
    placing: Placing,
    before: Timings | None,
    path: tuple[str, ...],
) -> Preview:
    """What runs inside of *node*. Of each item of a map the same, with inputs that only the run knows."""
    inner = node.inner(inputs)
    inner |= dict.fromkeys(node.inner_map_over, ABSENT)
    plan = node.plan(inner)
    own = node.pipeline.engine
    if own is None or own is scope.engine or placing.whole:
        scope = scope.within(node.pipeline)
    else:
        placing, scope = Placing.of(own), Scope(scope.run, node.pipeline, scope, engine=own)
    placing = placing.item(plan) if node.is_mapped else placing
    found = _preview(node.pipeline, plan, inner, scope, placing, before, (*path, node.pipeline.id))
    return replace(found, missing={})  # only the run knows them, and it will


def _says(policies: Policies | None) -> dict[str, Any]:
    """What a node says of itself, without its executor, as plain data."""
    if policies is None:
        return {}
    said: dict[str, Any] = {}
    if policies.retry is not None:
        said["retries"] = policies.retry.retries
    if policies.timeout is not None:
        said["timeout"] = policies.timeout
    if policies.rate is not None:
        said["rate"] = f"{policies.rate.limit:g} in {policies.rate.per:g} s"
    if policies.concurrency is not None:
        said["concurrency"] = policies.concurrency
    if policies.resources is not None:
        said["resources"] = dict(policies.resources)
    return said
