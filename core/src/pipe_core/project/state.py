"""The state of a run, node by node: a view on a ledger of the runtime, with the words that projects use."""

from __future__ import annotations

import enum
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any, Final, Literal

from pipe_core.kernel.errors import IllegalTransitionError
from pipe_core.project.dependencies import unknown_node
from pipe_core.project.errors import DependencyError
from pipe_core.runtime.ledger import Ledger, TaskStatus, Tracked
from pipe_core.runtime.permits import CircuitBreaker

logger: Final = logging.getLogger("pipe_core")

NodeType = Literal["batch", "streaming"]
_S = TaskStatus


class NodeStatus(enum.StrEnum):
    """Where a node is."""

    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


_WORDS: Final = {
    _S.PENDING: NodeStatus.PENDING,
    _S.PROCESSING: NodeStatus.RUNNING,
    _S.COMPLETED: NodeStatus.COMPLETED,
    _S.FAILED: NodeStatus.FAILED,
    _S.CANCELLED: NodeStatus.CANCELLED,
    _S.SKIPPED: NodeStatus.SKIPPED,
    _S.ABORTED: NodeStatus.CANCELLED,
}


class NodeState(Tracked):
    """What is known of one node. People read it, and change nothing.

    Attributes:
        name: Its name.
        node_type: Whether it ends.
        dependencies: The nodes that it needs.
        attempt: Which attempt it is, or was, from 1 on.
        started: When its last attempt began, by the monotonic clock; `ended` alike.
        error: Of the last attempt that failed; of a skipped node, why it was.
        output_path: Where its output is.
        metadata: What else was said when it completed.
        handle: Of a stream that runs, what stops it.
    """

    __slots__ = ("dependencies", "ended", "error", "handle", "metadata", "name", "node_type", "output_path", "started")

    def __init__(self, name: str, node_type: NodeType, dependencies: Iterable[str]) -> None:
        super().__init__()
        self.name = name
        self.node_type = node_type
        self.dependencies = tuple(dict.fromkeys(dependencies))
        self.started: float | None = None
        self.ended: float | None = None
        self.error: BaseException | str | None = None
        self.output_path: Any = None
        self.metadata: dict[str, Any] = {}
        self.handle: Any = None

    @property
    def word(self) -> NodeStatus:
        """Its status."""
        assert self.status is not None  # it is tracked from its registration on
        if self.status is _S.PENDING and self.attempt > 1:
            return NodeStatus.RETRYING
        return _WORDS[self.status]

    @property
    def duration(self) -> float | None:
        """Seconds from the beginning to the end of its last attempt."""
        return None if self.started is None or self.ended is None else self.ended - self.started


class RunState:
    """The nodes of a run and their statuses. Safe under threads; it can be asked after the run as during it.

    Args:
        circuit_breaker_threshold: How many failures in a row of one node open its breaker: while it is open,
            `start_node_execution` refuses that node.
        reset_after: Seconds until one attempt may try again.
        clock: What time it is.
        breakers: Breakers of nodes, where somebody else has them, and tells them how nodes end.
    """

    def __init__(
        self,
        circuit_breaker_threshold: int = 3,
        *,
        reset_after: float = 30.0,
        clock: Callable[[], float] = monotonic,
        breakers: Mapping[str, CircuitBreaker] | None = None,
    ) -> None:
        self._threshold = circuit_breaker_threshold
        self._reset_after = reset_after
        self._clock = clock
        self._lock = threading.RLock()
        self._ledger = Ledger()
        self._nodes: dict[str, NodeState] = {}
        self._dependents: dict[str, list[str]] = {}
        self._breakers = dict(breakers or {})
        self._tells_breakers = breakers is None
        self._resources: list[Any] = []
        self.pipeline_status = "pending"

    # --- what happens ---

    def register_node(self, name: str, node_type: NodeType = "batch", dependencies: Iterable[str] = ()) -> None:
        """There is a node of that name. Those that it depends on may be registered later.

        Raises:
            DependencyError: It is registered already.
        """
        with self._lock:
            if name in self._nodes:
                raise DependencyError(f"Node '{name}' is registered already.")
            self._nodes[name] = state = NodeState(name, node_type, dependencies)
            for other in state.dependencies:
                self._dependents.setdefault(other, []).append(name)
            self._ledger.add(state)

    def start_node_execution(self, name: str) -> bool:
        """The node begins, if it may. False when it may not.

        It may not while it is not pending, while something that it needs is not done, and while its breaker is open.

        Raises:
            NodeNotFoundError: There is no such node.
        """
        with self._lock:
            state = self._node(name)
            if not self.is_node_ready(name) or not self._breaker(state.name).take(self._clock()):
                return False
            self.begin_node(name)
            return True

    def begin_node(self, name: str, at: float | None = None) -> NodeState:
        """The node has begun, now or *at* that time: whoever runs it has looked whether it may. Gives what is known.

        Raises:
            NodeNotFoundError: There is no such node.
            IllegalTransitionError: It is not pending.
        """
        with self._lock:
            state = self._node(name)
            self._ledger.move(state, _S.PROCESSING)
            state.started, state.ended = self._clock() if at is None else at, None
            return state

    def complete_node_execution(
        self,
        name: str,
        output_path: Any = None,
        execution_metadata: dict[str, Any] | None = None,
        *,
        at: float | None = None,
    ) -> NodeState:
        """The node that runs is done, now or since *at*. Gives what is known of it.

        Raises:
            NodeNotFoundError: There is no such node.
            IllegalTransitionError: It does not run.
        """
        with self._lock:
            state = self._ends(name, _S.COMPLETED, None, at)
            state.output_path = output_path
            if execution_metadata:
                state.metadata.update(execution_metadata)
            self._tell_breaker(name, ok=True)
            return state

    def fail_node_execution(
        self, name: str, error: BaseException | str, *, retry: bool = False, at: float | None = None
    ) -> None:
        """The node that runs has failed, now or *at* that time.

        With *retry* another attempt follows. Without, the streams that depend on it, on whatever way, are stopped and
        cancelled, and the other nodes that do are skipped.

        Raises:
            NodeNotFoundError: There is no such node.
            IllegalTransitionError: It does not run.
        """
        with self._lock:
            state = self._ends(name, _S.FAILED, error, at)
            self._tell_breaker(name, ok=False)
            if retry:
                self._ledger.move(state, _S.PENDING)
                return
            self._skip_dependents(name)
        self.stop_dependent_streaming_nodes(name)

    def skip_node(self, name: str, reason: str) -> None:
        """The node will not run, because of *reason*. Nothing happens to one that has begun."""
        with self._lock:
            state = self._node(name)
            if state.status is _S.PENDING:
                self._ledger.move(state, _S.SKIPPED)
                state.error = reason

    def cancel_node_execution(self, name: str, reason: str = "") -> None:
        """The node will not run, or does not go on. Nothing happens to one that has ended."""
        with self._lock:
            state = self._node(name)
            if state.status in (_S.PENDING, _S.PROCESSING):
                began = state.status is _S.PROCESSING
                self._ledger.move(state, _S.CANCELLED)
                state.ended = self._clock() if began else None
                state.error = reason or None

    def set_pipeline_status(self, status: str) -> None:
        """What `get_pipeline_summary` says of the whole."""
        with self._lock:
            self.pipeline_status = status

    # --- questions ---

    def get_node_status(self, name: str) -> NodeStatus:
        """Where the node is. Raises `NodeNotFoundError`."""
        with self._lock:
            return self._node(name).word

    def node(self, name: str) -> NodeState:
        """All that is known of the node. Raises `NodeNotFoundError`."""
        with self._lock:
            return self._node(name)

    @property
    def nodes(self) -> dict[str, NodeState]:
        """All nodes, in the order of their registration."""
        with self._lock:
            return dict(self._nodes)

    def get_node_dependencies(self, name: str) -> list[str]:
        """The nodes that it needs. Raises `NodeNotFoundError`."""
        with self._lock:
            return list(self._node(name).dependencies)

    def is_node_ready(self, name: str) -> bool:
        """Whether it is pending and all that it needs is done."""
        with self._lock:
            state = self._node(name)
            return state.status is _S.PENDING and all(
                other in self._nodes and self._nodes[other].status is _S.COMPLETED for other in state.dependencies
            )

    def get_ready_nodes(self) -> list[str]:
        """The nodes that can begin now."""
        with self._lock:
            return [name for name in self._nodes if self.is_node_ready(name)]

    def get_batch_output_path(self, name: str) -> Any:
        """Where the output of a completed node is; None where it has none, or is not done."""
        with self._lock:
            return self._node(name).output_path

    def get_pipeline_summary(self) -> dict[str, Any]:
        """Counts, as plain data."""
        with self._lock:
            words = Counter(state.word for state in self._nodes.values())
            streams = sum(state.node_type == "streaming" for state in self._nodes.values())
            return {
                "total_nodes": len(self._nodes),
                "batch_nodes": len(self._nodes) - streams,
                "streaming_nodes": streams,
                "status_breakdown": {word.value: words[word] for word in NodeStatus if words[word]},
                "cross_dependencies": self._cross_dependencies(),
                "pipeline_status": self.pipeline_status,
                "circuit_breaker_open": any(self.is_circuit_open(name) for name in self._breakers),
            }

    def validate_cross_dependencies(self) -> list[str]:
        """What is wrong with dependencies between nodes that end and nodes that do not, a text for each."""
        with self._lock:
            problems = []
            for state in self._nodes.values():
                for other in state.dependencies:
                    if other not in self._nodes:
                        problems.append(f"Node '{state.name}' depends on '{other}', which is not registered.")
                    elif state.node_type == "batch" and self._nodes[other].node_type == "streaming":
                        problems.append(f"Batch node '{state.name}' depends on the stream '{other}', which never ends.")
            return problems

    # --- breakers ---

    def is_circuit_open(self, name: str) -> bool:
        """Whether the node is kept from starting because it has failed too often."""
        with self._lock:
            return name in self._breakers and self._breakers[name].state(self._clock()) == "open"

    def reset_circuit(self, name: str) -> None:
        """Let the node start again."""
        with self._lock:
            self._breakers.pop(name, None)

    def _breaker(self, name: str) -> CircuitBreaker:
        if name not in self._breakers:
            self._breakers[name] = CircuitBreaker(name, self._threshold, self._reset_after)
        return self._breakers[name]

    def _tell_breaker(self, name: str, *, ok: bool) -> None:
        if self._tells_breakers:
            self._breaker(name).tell(ok, self._clock())

    # --- streams ---

    def register_streaming_query(self, name: str, handle: Any) -> None:
        """The stream of that node runs, and *handle* stops it, by its method ``stop``.

        Raises:
            NodeNotFoundError: There is no such node.
        """
        with self._lock:
            self._node(name).handle = handle

    def stop_dependent_streaming_nodes(self, name: str) -> list[str]:
        """Stop and cancel the streams that depend on the node, on whatever way. Gives their names."""
        with self._lock:
            streams = [self._nodes[one] for one in self._downstream(name) if self._nodes[one].node_type == "streaming"]
        stopped = []
        for state in streams:
            handle = state.handle
            try:
                if handle is not None:
                    handle.stop()
            except Exception:  # others are stopped all the same
                logger.exception("the stream of node '%s' could not be stopped", state.name)
            self.cancel_node_execution(state.name, f"'{name}' has failed")
            stopped.append(state.name)
        return stopped

    # --- resources ---

    def register_resource(self, resource: Any) -> None:
        """*resource* belongs to the run: `cleanup` closes it."""
        with self._lock:
            self._resources.append(resource)

    def cleanup(self) -> list[BaseException]:
        """Stop the streams that run, and close what was registered. Statuses stay. Gives what went wrong."""
        with self._lock:
            handles = [state.handle for state in self._nodes.values() if state.handle is not None]
            resources, self._resources = self._resources[::-1], []
        problems: list[BaseException] = []
        for method, things in (("stop", handles), ("close", resources)):
            for thing in things:
                try:
                    getattr(thing, method)()
                except Exception as error:
                    problems.append(error)
        return problems

    # --- inside ---

    def _node(self, name: str) -> NodeState:
        state = self._nodes.get(name)
        if state is None:
            raise unknown_node(name, self._nodes)
        return state

    def _ends(self, name: str, to: TaskStatus, error: BaseException | str | None, at: float | None) -> NodeState:
        state = self._node(name)
        if state.status is not _S.PROCESSING:
            raise IllegalTransitionError(
                f"Node '{name}' does not run, it is {state.word}: it cannot be {to.value} now."
            )
        self._ledger.move(state, to)
        state.ended, state.error = self._clock() if at is None else at, error
        return state

    def _skip_dependents(self, name: str) -> None:
        for other in self._downstream(name):
            if self._nodes[other].node_type == "batch":
                self.skip_node(other, f"'{name}' has failed")

    def _downstream(self, name: str) -> list[str]:
        found: dict[str, None] = {}
        left = list(self._dependents.get(name, ()))
        while left:
            other = left.pop(0)
            if other not in found:
                found[other] = None
                left += self._dependents.get(other, ())
        return list(found)

    def _cross_dependencies(self) -> dict[str, list[str]]:
        found = {}
        for state in self._nodes.values():
            others = [
                one
                for one in state.dependencies
                if one in self._nodes and self._nodes[one].node_type != state.node_type
            ]
            if others:
                found[state.name] = others
        return found
