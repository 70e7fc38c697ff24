"""A pipeline of a project as a pipeline of functions, for `pipe graph`: its nodes, and data sets between and around."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from pipe_core.cli.project_options import Where, typed
from pipe_core.project.compiled import selected_executor

if TYPE_CHECKING:
    from pipe_core.graph.engine import Engine
    from pipe_core.graph.pipeline import Pipeline
    from pipe_core.project.runs.plan import RunPlan
    from pipe_core.project.wiring import Argument, WiredNode


def project_pipeline(name: str, where: Where) -> tuple[Pipeline, Engine]:
    """The pipeline *name* of a project, to be drawn, and the engine on which it would run.

    Raises:
        Mistake: There is no such pipeline, or no project.
        PipeError: Something is wrong with it.
    """
    from dataclasses import replace

    from pipe_core.graph.engine import Engine
    from pipe_core.project.dates import DateWindow
    from pipe_core.project.runs.runner import Runner

    project = where.load()
    with typed():
        runner = Runner(project)
        asked = runner.asked(name)
        # What it looks like does not depend on dates.
        plan = runner.prepare(replace(asked, window=asked.window or DateWindow("2025-01-01", "2025-01-01")))
    return pipeline_of(plan), Engine(plan.executor, max_workers=plan.max_workers)


def pipeline_of(plan: RunPlan) -> Pipeline:
    """*plan* as a pipeline of functions. They raise when they are called: it is there to be looked at."""
    from pipe_core.graph.node import Node
    from pipe_core.graph.pipeline import Pipeline

    names = _Names(plan)
    nodes = [
        Node(
            _stub(names.parameters(node), plan.functions[node.name]),
            names.outputs(node),
            name=node.name,
            retries=plan.retries.get(node.name),
            timeout=node.config.timeout,
            executor=selected_executor(node.config.executor),
        )
        for node in plan.wiring.nodes.values()
    ]
    return Pipeline(nodes, name=plan.pipeline.name)


class _Names:
    """What the graph calls data: as data sets are called, as far as parameters can be called so."""

    def __init__(self, plan: RunPlan) -> None:
        self._nodes = plan.wiring.nodes
        self._made = {output for node in self._nodes.values() for output in node.outputs}
        self._known: dict[str, str] = {}

    def outputs(self, node: WiredNode) -> str | tuple[str, ...]:
        """Of what a node gives. Of a result without a name, that of the node."""
        names = tuple(self._name(one) for one in node.outputs) or (self._name(f"{node.name}."),)
        return names if len(names) > 1 else names[0]

    def parameters(self, node: WiredNode) -> list[str]:
        """Of what a node takes, and behind that of what it waits for."""
        taken = [one for argument in node.arguments for one in self._taken(argument)]
        handed = {argument.node for argument in node.arguments}
        waits = [self._all(self._nodes[name])[0] for name in node.needs if name not in handed]
        return list(dict.fromkeys([*taken, *waits]))

    def _taken(self, one: Argument) -> list[str]:
        if one.node is None:
            name = str(one.dataset)  # what is there before, where a node of the run makes it anew
            return [self._name(f"{name} before" if name in self._made else name)]
        outputs = self._all(self._nodes[one.node])
        return outputs if one.index is None else [outputs[one.index]]

    def _all(self, node: WiredNode) -> list[str]:
        outputs = self.outputs(node)
        return [outputs] if isinstance(outputs, str) else list(outputs)

    def _name(self, wanted: str) -> str:
        if wanted not in self._known:
            plain = "".join(letter if letter.isalnum() else "_" for letter in wanted.rstrip("."))
            plain = plain if plain.isidentifier() and not iskeyword(plain) else f"_{plain}"
            taken = set(self._known.values())
            while plain in taken:
                plain += "_"
            self._known[wanted] = plain
        return self._known[wanted]


def _stub(parameters: list[str], function: Callable[..., Any]) -> Callable[..., Any]:
    """A function with these parameters that says what *function* says of itself."""

    def stub(**given: Any) -> Any:
        raise RuntimeError("it is there to be looked at")

    stub.__doc__ = function.__doc__
    stub.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # inspect looks there
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in parameters]
    )
    return stub
