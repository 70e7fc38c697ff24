"""The state of a run: which moves there are, breakers, streams, and many threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from pipe_core import RunState
from pipe_core.kernel.errors import IllegalTransitionError
from pipe_core.project.errors import DependencyError, NodeNotFoundError
from pipe_core.project.state import NodeStatus


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Handle:
    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[str] = []
        self.error = error

    def stop(self) -> None:
        self.calls.append("stop")
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.calls.append("close")
        if self.error is not None:
            raise self.error


def chain(*names: str, **options: Any) -> RunState:
    """Nodes of which each needs the one before it."""
    state = RunState(**options)
    for before, name in zip((None, *names), names, strict=False):
        state.register_node(name, dependencies=() if before is None else [before])
    return state


def statuses(state: RunState) -> dict[str, str]:
    return {name: node.word.value for name, node in state.nodes.items()}


# --- moves ---


def test_the_seven_words() -> None:
    assert [word.value for word in NodeStatus] == [
        "pending",
        "running",
        "retrying",
        "completed",
        "failed",
        "cancelled",
        "skipped",
    ]


def test_a_node_begins_when_what_it_needs_is_done() -> None:
    state = chain("a", "b")
    assert state.get_ready_nodes() == ["a"]
    assert not state.is_node_ready("b")
    assert state.start_node_execution("b") is False
    assert state.get_node_status("b") is NodeStatus.PENDING
    assert state.start_node_execution("a") is True
    assert state.start_node_execution("a") is False  # it runs
    assert state.get_node_status("a") == "running"
    state.complete_node_execution("a", "out/a.parquet", {"rows": 3})
    assert state.start_node_execution("a") is False  # it is done
    assert state.get_ready_nodes() == ["b"]
    assert state.get_batch_output_path("a") == "out/a.parquet"
    assert state.node("a").metadata == {"rows": 3}
    assert state.get_batch_output_path("b") is None


def test_nodes_may_be_registered_before_what_they_need() -> None:
    state = RunState()
    state.register_node("late", dependencies=["early", "early"])
    assert state.get_ready_nodes() == []
    state.register_node("early")
    assert state.get_ready_nodes() == ["early"]
    assert state.get_node_dependencies("late") == ["early"]
    state.start_node_execution("early")
    state.fail_node_execution("early", "no")
    assert state.get_node_status("late") is NodeStatus.SKIPPED
    with pytest.raises(DependencyError, match="'late' is registered already"):
        state.register_node("late")


def test_moves_that_there_are_not_change_nothing() -> None:
    state = chain("a", "b")
    endings: list[Callable[[], None]] = [
        lambda: state.complete_node_execution("a"),
        lambda: state.fail_node_execution("a", "no"),
    ]
    for begins in (False, True):
        if begins:
            state.start_node_execution("a")
            state.complete_node_execution("a")
            endings.append(lambda: state.begin_node("a"))
        for end in endings:
            with pytest.raises(IllegalTransitionError):
                end()
        assert state.get_node_status("a") == ("completed" if begins else "pending")
    state.cancel_node_execution("a", "too late")
    state.skip_node("a", "too late")
    assert state.get_node_status("a") is NodeStatus.COMPLETED
    asked: list[Callable[[str], Any]] = [
        state.start_node_execution,
        state.complete_node_execution,
        state.get_node_status,
        state.get_batch_output_path,
        state.is_node_ready,
        state.node,
        state.get_node_dependencies,
        lambda name: state.register_streaming_query(name, Handle()),
    ]
    for ask in asked:
        with pytest.raises(NodeNotFoundError, match=r"There is no node 'c'"):
            ask("c")


def test_a_node_that_is_tried_again() -> None:
    clock = Clock()
    state = chain("a", "b", clock=clock)
    state.start_node_execution("a")
    clock.now = 2.0
    error = ValueError("once")
    state.fail_node_execution("a", error, retry=True)
    assert state.get_node_status("a") is NodeStatus.RETRYING
    assert state.get_node_status("b") is NodeStatus.PENDING
    assert state.node("a").error is error
    assert state.node("a").duration == 2.0
    clock.now = 5.0
    assert state.start_node_execution("a")
    assert state.get_node_status("a") is NodeStatus.RUNNING
    assert (state.node("a").attempt, state.node("a").duration) == (2, None)
    clock.now = 6.5
    state.complete_node_execution("a")
    assert (state.node("a").error, state.node("a").duration) == (None, 1.5)


def test_what_depends_on_a_failed_node_is_skipped_with_the_reason() -> None:
    state = chain("a", "b", "c")
    state.register_node("other")
    state.start_node_execution("a")
    error = ValueError("no")
    state.fail_node_execution("a", error)
    assert statuses(state) == {"a": "failed", "b": "skipped", "c": "skipped", "other": "pending"}
    assert state.node("a").error is error
    assert state.node("c").error == "'a' has failed"
    assert state.get_ready_nodes() == ["other"]


def test_nodes_are_cancelled_while_they_wait_and_while_they_run() -> None:
    state = chain("a", "b")
    state.start_node_execution("a")
    state.cancel_node_execution("a", "somebody wanted it")
    state.cancel_node_execution("b")
    assert statuses(state) == {"a": "cancelled", "b": "cancelled"}
    assert state.node("a").error == "somebody wanted it"
    assert state.node("a").duration is not None
    assert (state.node("b").error, state.node("b").duration) == (None, None)


# --- the whole ---


def test_the_summary_counts_and_stays_after_the_run() -> None:
    state = chain("a", "b", "c")
    state.register_node("live", "streaming", ["a"])
    state.start_node_execution("a")
    state.complete_node_execution("a")
    state.start_node_execution("b")
    state.fail_node_execution("b", "no")
    state.set_pipeline_status("failed")
    expected = {
        "total_nodes": 4,
        "batch_nodes": 3,
        "streaming_nodes": 1,
        "status_breakdown": {"pending": 1, "completed": 1, "failed": 1, "skipped": 1},
        "cross_dependencies": {"live": ["a"]},
        "pipeline_status": "failed",
        "circuit_breaker_open": False,
    }
    assert state.get_pipeline_summary() == expected
    assert state.cleanup() == []
    assert state.get_pipeline_summary() == expected


def test_dependencies_that_cannot_be() -> None:
    state = RunState()
    state.register_node("live", "streaming", ["gone"])
    state.register_node("report", "batch", ["live"])
    problems = state.validate_cross_dependencies()
    assert problems == [
        "Node 'live' depends on 'gone', which is not registered.",
        "Batch node 'report' depends on the stream 'live', which never ends.",
    ]


# --- breakers ---


def fail(state: RunState, name: str, times: int) -> None:
    for _ in range(times):
        assert state.start_node_execution(name)
        state.fail_node_execution(name, "no", retry=True)


def test_three_failures_open_the_breaker_of_a_node_and_of_no_other() -> None:
    clock = Clock()
    state = RunState(clock=clock)
    state.register_node("a")
    state.register_node("b")
    fail(state, "a", 2)
    assert not state.is_circuit_open("a")
    fail(state, "a", 1)
    assert state.is_circuit_open("a")
    assert state.start_node_execution("a") is False
    assert state.get_node_status("a") is NodeStatus.RETRYING
    assert state.get_pipeline_summary()["circuit_breaker_open"]
    assert state.start_node_execution("b")
    assert not state.is_circuit_open("b")


def test_a_breaker_lets_one_try_and_closes_when_that_ends_well() -> None:
    clock = Clock()
    state = RunState(circuit_breaker_threshold=1, reset_after=10.0, clock=clock)
    state.register_node("a")
    fail(state, "a", 1)
    clock.now = 9.9
    assert not state.start_node_execution("a")
    clock.now = 10.0
    fail(state, "a", 1)  # the try fails: it rests again
    assert state.is_circuit_open("a")
    assert not state.start_node_execution("a")
    clock.now = 20.0
    assert state.start_node_execution("a")
    state.complete_node_execution("a")
    assert not state.is_circuit_open("a")
    assert not state.get_pipeline_summary()["circuit_breaker_open"]


def test_a_breaker_can_be_reset_by_hand() -> None:
    state = RunState(circuit_breaker_threshold=2)
    state.register_node("a")
    fail(state, "a", 2)
    assert not state.start_node_execution("a")
    state.reset_circuit("a")
    state.reset_circuit("unknown")
    fail(state, "a", 2)
    assert state.is_circuit_open("a")


# --- streams and resources ---


def test_a_failed_node_stops_the_streams_that_depend_on_it_on_whatever_way() -> None:
    state = chain("a", "b")
    state.register_node("near", "streaming", ["a"])
    state.register_node("far", "streaming", ["b"])
    state.register_node("other", "streaming")
    handles = {name: Handle() for name in ("near", "other")}
    for name, handle in handles.items():
        state.begin_node(name)
        state.register_streaming_query(name, handle)
    state.start_node_execution("a")
    state.fail_node_execution("a", "no")
    assert handles["near"].calls == ["stop"]
    assert handles["other"].calls == []
    assert statuses(state) == {
        "a": "failed",
        "b": "skipped",
        "near": "cancelled",
        "far": "cancelled",
        "other": "running",
    }
    assert state.node("near").error == "'a' has failed"


def test_a_stream_that_cannot_be_stopped_keeps_no_other_from_it(caplog: pytest.LogCaptureFixture) -> None:
    state = chain("a")
    handles = {"one": Handle(RuntimeError("stuck")), "two": Handle()}
    for name, handle in handles.items():
        state.register_node(name, "streaming", ["a"])
        state.begin_node(name)
        state.register_streaming_query(name, handle)
    assert state.stop_dependent_streaming_nodes("a") == ["one", "two"]
    assert [handle.calls for handle in handles.values()] == [["stop"], ["stop"]]
    assert "stream of node 'one' could not be stopped" in caplog.text
    assert statuses(state) == {"a": "pending", "one": "cancelled", "two": "cancelled"}


def test_a_handle_may_ask_the_state_while_it_stops() -> None:
    """The lock is not held: a stream that ends tells the state of it from its own thread."""
    state = chain("a")
    state.register_node("live", "streaming", ["a"])
    state.begin_node("live")

    class Asks:
        answer = ""

        def stop(self) -> None:
            thread = threading.Thread(target=self.ask)
            thread.start()
            thread.join(5)

        def ask(self) -> None:
            self.answer = state.get_node_status("live").value

    handle = Asks()
    state.register_streaming_query("live", handle)
    state.start_node_execution("a")
    state.fail_node_execution("a", "no")
    assert handle.answer == "running"


def test_resources_are_closed_last_first_and_errors_are_given() -> None:
    state = chain("live")
    order: list[str] = []

    class Resource:
        def __init__(self, name: str) -> None:
            self.name = name

        def close(self) -> None:
            order.append(self.name)

    stuck, handle = Handle(OSError("stuck")), Handle()
    for resource in (Resource("first"), stuck, Resource("last")):
        state.register_resource(resource)
    state.register_streaming_query("live", handle)
    problems = state.cleanup()
    assert [str(problem) for problem in problems] == ["stuck"]
    assert order == ["last", "first"]
    assert handle.calls == ["stop"]
    state.cleanup()
    assert stuck.calls == ["close"]  # once
    assert statuses(state) == {"live": "pending"}


# --- threads ---


def test_of_many_threads_one_begins_a_node() -> None:
    """Sixty nodes in three layers, taken by eight threads as soon as they may: each runs once, behind what it needs."""
    state = RunState()
    names = [f"n{i}" for i in range(60)]
    needs = {name: names[max(0, i - 20) : i - 20 + 1] if i >= 20 else [] for i, name in enumerate(names)}
    for name in names:
        state.register_node(name, dependencies=needs[name])
    begun: list[str] = []
    wrong: list[str] = []
    together = threading.Barrier(8)

    def work() -> None:
        together.wait(10)
        while not all(node.word is NodeStatus.COMPLETED for node in state.nodes.values()):
            for name in state.get_ready_nodes():
                if state.start_node_execution(name):
                    begun.append(name)
                    wrong.extend(other for other in needs[name] if state.get_node_status(other) != "completed")
                    summary = state.get_pipeline_summary()["status_breakdown"]
                    wrong.extend([str(summary)] if sum(summary.values()) != 60 else [])
                    state.complete_node_execution(name)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert sorted(begun) == sorted(names)
    assert wrong == []


def test_failures_and_ends_of_many_threads_are_all_counted() -> None:
    state = RunState(circuit_breaker_threshold=1000)
    names = [f"n{i}" for i in range(8)]
    for name in names:
        state.register_node(name)

    def work(name: str) -> None:
        for _ in range(50):
            assert state.start_node_execution(name)
            state.fail_node_execution(name, "no", retry=True)
        assert state.start_node_execution(name)
        state.complete_node_execution(name)

    threads = [threading.Thread(target=work, args=[name]) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert {state.node(name).attempt for name in names} == {51}
    assert state.get_pipeline_summary()["status_breakdown"] == {"completed": 8}
