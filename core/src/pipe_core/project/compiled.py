"""Nodes of a project as a graph, compiled once and lent to one run at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipe_core.graph.node import Node
from pipe_core.graph.pipeline import Pipeline
from pipe_core.project.config.models import NodeConfig, RetryConfig
from pipe_core.project.config.secrets import reveal
from pipe_core.project.runs.step import Around, output_of, step_of
from pipe_core.runtime.retries import Retry

if TYPE_CHECKING:
    from pipe_core.project.signature import Signature
    from pipe_core.project.wiring import WiredNode, Wiring
    from pipe_core.runtime.permits import CircuitBreaker


class CompiledGraph:
    """A graph of functions, and what stands around them in the run that has it now.

    Args:
        pipeline: The graph.
        around: What its steps look at.
    """

    def __init__(self, pipeline: Pipeline, around: Around) -> None:
        self.pipeline = pipeline
        self._around = around

    def of(self, around: Around, callbacks: Sequence[Any]) -> Pipeline:
        """The graph for a run with *around*, telling *callbacks*."""
        self._around.become(around)
        self.pipeline.callbacks = list(callbacks)
        return self.pipeline


@dataclass(frozen=True, slots=True)
class Compiled:
    """All that is the same in every run of the same nodes. Safe under threads.

    Attributes:
        wiring: The nodes, in order.
        functions: The function of each.
        takes: What each of these takes.
        retries: When nodes are tried again.
        breakers: What keeps nodes from starting while what they use fails.
        executor: Where nodes run that say nothing else.
    """

    wiring: Wiring
    functions: Mapping[str, Callable[..., Any]]
    takes: Mapping[str, Signature]
    retries: Mapping[str, Retry]
    breakers: Mapping[str, CircuitBreaker]
    executor: Any
    _free: list[CompiledGraph] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def lent(self, nodes: Mapping[str, WiredNode], name: str) -> Iterator[CompiledGraph]:
        """The graph of *nodes*, those of its nodes that end, for one run."""
        with self._lock:
            graph = self._free.pop() if self._free else None
        if graph is None:
            graph = self.graph(nodes, name)
        yield graph  # one whose run was stopped by force is not used again: something may still run in it
        graph.of(Around.nowhere(), [])
        with self._lock:
            self._free.append(graph)

    def graph(self, nodes: Mapping[str, WiredNode], name: str) -> CompiledGraph:
        """A graph of *nodes* of its own."""
        around = Around.nowhere()
        made = [
            Node(
                step_of(node, self.functions[one], self.takes[one], around),
                output_of(one),
                name=one,
                retries=self.retries.get(one),
                timeout=node.config.timeout,
                executor=self._place_of(node.config),
                resources=node.config.resources or None,
                breaker=self.breakers.get(one),
            )
            for one, node in nodes.items()
        ]
        return CompiledGraph(Pipeline(made, name=name), around)

    def _place_of(self, config: NodeConfig) -> Any:
        """Where the node runs, if that is elsewhere than the others."""
        own = selected_executor(config.executor)
        return None if own == self.executor else reveal(own)


def retry_of(config: NodeConfig) -> Retry | None:
    """When a node is tried again."""
    said = config.retries
    if not said:
        return None
    if isinstance(said, RetryConfig):
        return Retry(
            said.attempts - 1,
            delay=said.delay,
            factor=said.backoff,
            max_delay=said.max_delay,
            jitter=said.jitter,
            on=_Named(said.on) if said.on else None,
        )
    return Retry(said)


@dataclass(frozen=True, slots=True)
class _Named:
    """Errors by the names of their classes, or of classes that they inherit."""

    names: tuple[str, ...]

    def __call__(self, error: BaseException) -> bool:
        return any(
            kind.__name__ in self.names or f"{kind.__module__}.{kind.__qualname__}" in self.names
            for kind in type(error).__mro__
        )


def selected_executor(said: Any) -> Any:
    """An executor as the engine wants it: files say the options of one as a mapping."""
    if isinstance(said, Mapping):
        return said["name"], {key: value for key, value in said.items() if key != "name"}
    return said
