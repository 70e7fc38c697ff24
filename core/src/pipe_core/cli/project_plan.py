"""What a run of a project's pipeline would do: nodes in order, what each loads, takes and stores, and where it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from pipe_core.cli.output import public, redact, table, write_json
from pipe_core.looks.wording import one_line, several

if TYPE_CHECKING:
    from pipe_core.project.project import Project
    from pipe_core.project.runs.plan import RunPlan
    from pipe_core.project.wiring import Argument, WiredNode


def show_plan(project: Project, plan: RunPlan, *, as_json: bool) -> None:
    """Show what a run would do, as text or as data."""
    facts = public(plan_as_data(project, plan))
    if as_json:
        write_json(facts)
    else:
        click.echo(redact(_as_text(facts)))


def plan_as_data(project: Project, plan: RunPlan) -> dict[str, Any]:
    """What a run would do, as plain data."""
    executor = executor_of(plan.executor)
    window = plan.window
    return {
        "project": project.name,
        "env": project.env,
        "pipeline": plan.pipeline.name,
        "type": plan.pipeline.type,
        "start_date": None if window is None else window.start,
        "end_date": None if window is None else window.end,
        "depends_on_dates": plan.depends_on_dates,
        "executor": executor,
        "max_workers": plan.max_workers,
        "on_failure": plan.pipeline.on_failure,
        "nodes": [_node(plan, node, executor) for node in plan.wiring.nodes.values()],
        "left_out": list(plan.wiring.left_out),
    }


def executor_of(said: Any) -> str:
    """The name of an executor, or its URL: what was said, else what the settings say."""
    from pipe_core.kernel.kernel import current_kernel

    if said is None:
        said = current_kernel().settings.get("executor", "sync").value
    if isinstance(said, Mapping):
        return str(said["name"])
    return str(said[0] if isinstance(said, tuple) else said)


def _node(plan: RunPlan, node: WiredNode, executor: str) -> dict[str, Any]:
    config, takes, ml = node.config, plan.takes[node.name], plan.ml.get(node.name)
    retry = plan.retries.get(node.name)
    return {
        "node": node.name,
        "needs": list(node.needs),
        "takes": [_argument(plan, one) for one in node.arguments],
        "stores": list(node.stored),
        "executor": executor if config.executor is None else executor_of(config.executor),
        "retries": 0 if retry is None else retry.retries,
        "timeout": config.timeout,
        "streaming": bool(config.streaming),
        "dates": bool(takes.dates),
        "model_version": None if ml is None else ml["model_version"],
        "hyperparams": {} if ml is None else dict(ml["hyperparams"]),
    }


def _argument(plan: RunPlan, one: Argument) -> dict[str, Any]:
    """Where an argument comes from: a data set that is loaded, or a node's result, perhaps one output of several."""
    if one.node is None:
        return {"dataset": one.dataset}
    outputs = plan.wiring.nodes[one.node].outputs
    if one.index is None:
        return {"node": one.node, "output": outputs[0] if len(outputs) == 1 else None}
    return {"node": one.node, "output": outputs[one.index]}


# --- as text ---


def _as_text(facts: Mapping[str, Any]) -> str:
    window = f", {facts['start_date']}..{facts['end_date']}" if facts["start_date"] else ""
    env = f" in {facts['env']}" if facts["env"] else ""
    workers = f", {facts['max_workers']} at once" if facts["max_workers"] else ""
    head = (
        f"{facts['pipeline']} of {facts['project']}{env}{window}: {several(len(facts['nodes']), 'node')} on "
        f"{facts['executor']}{workers}, nothing has run"
    )
    header = ("node", "loads", "takes", "stores", "runs on", "says")
    rows = [_row(node) for node in facts["nodes"]]
    wanted = [place < 2 or any(row[place] for row in rows) for place in range(len(header))]
    shown = [[cell for cell, is_wanted in zip(row, wanted, strict=True) if is_wanted] for row in [header, *rows]]
    lines = [head, table(shown[1:], shown[0], indent="  ")]
    if facts["start_date"] and not facts["depends_on_dates"]:
        lines.append("nothing of it depends on the dates")
    if facts["left_out"]:
        lines.append(f"left out: {', '.join(facts['left_out'])}")
    return "\n".join(lines)


def _row(node: Mapping[str, Any]) -> list[str]:
    loads = [one["dataset"] for one in node["takes"] if "dataset" in one]
    takes = [one["output"] or f"result of {one['node']}" for one in node["takes"] if "node" in one]
    says = [f"{key}={node[key]}" for key in ("retries", "timeout", "model_version") if node[key]]
    says += [f"{name}={one_line(value, 40)}" for name, value in node["hyperparams"].items()]
    says += ["takes dates"] if node["dates"] else []
    says += ["streams"] if node["streaming"] else []
    return [node["node"], *map(", ".join, (loads, takes, node["stores"])), node["executor"], ", ".join(says)]
