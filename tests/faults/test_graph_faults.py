"""Random graphs whose nodes do random things, and calls whose workers are killed: each ends once, and the log says so.

The same is drawn for every executor, and what must come of it is worked out beside it.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from starting import Started
from tried import ALL, NEEDS_LOKY, PROCESSES

from pipe_core import (
    CallbackContext,
    CancelToken,
    Engine,
    Pipeline,
    RunCancelledError,
    TaskExecutor,
    WorkerKilled,
    get_executor,
    node,
)
from pipe_core.graph.callbacks import PipelineCallback
from pipe_core.graph.errors import ItemsFailedError
from pipe_core.project.errors import RunFailedError
from pipe_core.project.project import Project
from pipe_core.project.runs.runner import Runner
from pipe_core.runs.journal import read_journal
from pipe_core.runtime.history import Transition, replay
from pipe_core.runtime.ledger import TaskStatus

pytestmark = pytest.mark.timeout(170)

SEEDS = {"loky": range(2, 7), "dask": [6], "ray": [6]}
"""Which graphs are drawn where a death costs the start of a worker. In the sixth, one node dies and one raises."""
MANY = range(20)
LIMIT = 60.0


# --- graphs ---


@dataclass(frozen=True)
class Graph:
    """What each node does, and which ones it needs. They are in an order in which they could run."""

    acts: dict[str, str]
    needs: dict[str, tuple[str, ...]]

    @classmethod
    def drawn(cls, chance: random.Random, acts: list[str]) -> Graph:
        names = [f"n{i}" for i in range(chance.randint(4, 9))]
        needs = {
            name: tuple(other for other in names[:i] if chance.random() < 0.4)  # diamonds among them
            for i, name in enumerate(names)
        }
        return cls({name: chance.choice(acts) for name in names}, needs)

    @cached_property
    def upstream(self) -> dict[str, set[str]]:
        """All that each node needs, on whatever way."""
        found: dict[str, set[str]] = {}
        for name, needs in self.needs.items():
            found[name] = set(needs).union(*(found[other] for other in needs))
        return found

    def is_bad(self, name: str) -> bool:
        return self.acts[name] in ("raise", "die")

    @property
    def done(self) -> dict[str, int]:
        """The values of the nodes that can be worked out."""
        values: dict[str, int] = {}
        for name, needs in self.needs.items():
            if not self.is_bad(name) and all(other in values for other in needs):
                values[name] = 1 + sum(values[other] for other in needs)
        return values

    @property
    def failed(self) -> set[str]:
        """The nodes that begin and fail, where all goes on that can."""
        return {name for name, needs in self.needs.items() if self.is_bad(name) and self.done.keys() >= set(needs)}


def function(act: str) -> Callable[..., int]:
    def work(*values: int) -> int:
        import os
        import signal
        import time

        if act == "slow":
            time.sleep(0.03)
        elif act == "raise":
            raise LookupError("no")
        elif act == "die":
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)
        return 1 + sum(values)

    return work


def acts_on(name: str) -> list[str]:
    return ["ok", "ok", "ok", "slow", "raise", *(["die"] if name in PROCESSES else [])]


@pytest.fixture(params=ALL)
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def graphs(place: str) -> Iterator[tuple[random.Random, Graph]]:
    for seed in SEEDS.get(place, MANY):
        chance = random.Random(seed)
        yield chance, Graph.drawn(chance, acts_on(place))


# --- the front door of graphs ---


class Listener(PipelineCallback):
    """Counts what is told of each node, and cancels when so many have begun."""

    def __init__(self, token: CancelToken | None = None, after: int = 0) -> None:
        self.told: dict[str, list[str]] = {}
        self._token, self._left = token, after

    def on_node_start(self, node_id: str, inputs: dict[str, Any], ctx: CallbackContext) -> None:
        self.told.setdefault(node_id, []).append("start")
        self._left -= 1
        if self._token is not None and self._left <= 0:
            self._token.cancel()

    def on_error(self, node_id: str, error: BaseException, ctx: CallbackContext) -> None:
        self.told[node_id].append("error")

    def on_node_end(self, node_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None:
        self.told[node_id].append("end" if outputs else "end without outputs")


def pipeline_of(graph: Graph, listener: Listener) -> Pipeline:
    nodes = []
    for name, needs in graph.needs.items():
        scope: dict[str, Any] = {"work": function(graph.acts[name])}
        exec(f"def {name}({', '.join(needs)}): return work({', '.join(needs)})", scope)  # text of this file
        nodes.append(node(scope[name]))
    return Pipeline(nodes).with_callbacks([listener])


GOOD = ["start", "end"]
BAD = ["start", "error", "end without outputs"]


def test_a_graph_gives_all_that_does_not_need_what_failed(place: str, started: Started) -> None:
    engine = Engine(started[place], started[place])
    for _, graph in graphs(place):
        expected = dict.fromkeys(graph.done, GOOD) | dict.fromkeys(graph.failed, BAD)
        for on_error in ("continue", "collect") if graph.failed else ("continue",):
            listener = Listener()
            pipeline = pipeline_of(graph, listener)
            if on_error == "continue":
                assert pipeline.run({}, engine=engine, on_error="continue") == graph.done
            else:
                with pytest.raises(ItemsFailedError) as caught:
                    pipeline.run({}, engine=engine, on_error="collect")
                assert caught.value.result == graph.done
                kinds = {"raise": LookupError, "die": WorkerKilled}
                raised = Counter(type(error) for error in caught.value.exceptions)
                assert raised == Counter(kinds[graph.acts[name]] for name in graph.failed)
            assert listener.told == expected, graph


@pytest.mark.parametrize("on_error", ["raise", "drain"])
def test_a_graph_that_ends_at_a_failure_tells_one_end_of_what_began(
    place: str, on_error: Any, started: Started
) -> None:
    engine = Engine(started[place], started[place])
    for _, graph in graphs(place):
        listener = Listener()
        pipeline = pipeline_of(graph, listener)
        if not graph.failed:
            assert pipeline.run({}, engine=engine, on_error=on_error) == graph.done
            continue
        with pytest.raises((LookupError, WorkerKilled)):
            pipeline.run({}, engine=engine, on_error=on_error)
        check_began(graph, listener)


def test_a_graph_that_is_cancelled_tells_one_end_of_what_began(place: str, started: Started) -> None:
    engine = Engine(started[place], started[place])
    cancelled = 0
    for chance, graph in graphs(place):
        token = CancelToken()
        listener = Listener(token, chance.randint(1, 3))
        try:
            pipeline_of(graph, listener).run({}, engine=engine, on_error="continue", token=token)
        except RunCancelledError:
            cancelled += 1
        check_began(graph, listener)
    assert cancelled


def check_began(graph: Graph, listener: Listener) -> None:
    """What began is what could, and each has one end."""
    for name, told in listener.told.items():
        assert name in graph.done or name in graph.failed, graph
        assert told[0] == "start"
        assert [one for one in told if one.startswith("end")] == told[-1:], (name, told)
        assert told == GOOD or told[-1] == "end without outputs", (name, told)


# --- the front door of projects, which has a ledger and a journal of statuses ---


def project_of(graph: Graph, folder: Path, on_failure: str) -> Project:
    nodes = {
        name: {"function": function(graph.acts[name]), "dependencies": list(needs)}
        for name, needs in graph.needs.items()
    }
    pipeline = {"nodes": list(nodes), "on_failure": on_failure}
    return Project.load({"nodes": nodes, "pipelines": {"main": pipeline}}, folder=folder)


MOVES = {
    "started": TaskStatus.PROCESSING,
    "completed": TaskStatus.COMPLETED,
    "failed": TaskStatus.FAILED,
    "skipped": TaskStatus.SKIPPED,
    "cancelled": TaskStatus.CANCELLED,
}


def replayed(folder: Path, graph: Graph) -> dict[str, str]:
    """The last status of each node, by the journal. Raises where that has a move that cannot be."""
    (path,) = (folder / "runs").glob("*/journal*")
    status = dict.fromkeys(graph.acts, TaskStatus.PENDING)
    moves = [Transition(name, None, TaskStatus.PENDING, 0.0, 1) for name in status]
    for line in read_journal(path):
        if line["event"] == "node":
            name, to = line["node"], MOVES[line["status"]]
            moves.append(Transition(name, status[name], to, 0.0, 1))
            status[name] = to
    ledger, tracked = replay(moves)
    assert ledger.added == len(status)
    return {name: one.status.value for name, one in tracked.items() if one.status is not None}


UNBEGUN = ("skipped", "cancelled")
"""How what has not begun may end."""


def check_statuses(graph: Graph, folder: Path, runner: Runner, *, interrupted: bool = False) -> dict[str, str]:
    """Every node has one end, which fits those of the nodes that it needs, and all who tell it agree.

    Ctrl-C may keep the journal from a line: then it tells that the node has not begun, which is as true.
    """
    assert runner.state is not None
    nodes = runner.state.nodes
    statuses = {name: state.word.value for name, state in nodes.items()}
    assert set(statuses.values()) <= {"completed", "failed", "skipped", "cancelled"}
    told = replayed(folder, graph)
    if interrupted:
        told |= {name: status for name, status in statuses.items() if told[name] == "pending" and status in UNBEGUN}
    assert told == statuses
    assert runner.state.get_pipeline_summary()["status_breakdown"] == dict(Counter(statuses.values()))
    for name, status in statuses.items():
        others = {other for other in graph.upstream[name] if statuses[other] == "failed"}
        assert (status == "failed") <= graph.is_bad(name)
        assert (status == "completed") <= (name in graph.done)
        assert (status == "skipped") == bool(others), graph
        if others:
            assert nodes[name].error in {f"'{other}' has failed" for other in others}
    return statuses


@pytest.mark.parametrize("on_failure", ["continue_independent", "fail_fast", "drain"])
def test_every_node_of_a_project_has_one_end(place: str, on_failure: str, started: Started, tmp_path: Path) -> None:
    for number, (_, graph) in enumerate(graphs(place)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with Runner(project_of(graph, folder, on_failure), started[place]) as runner:
            if graph.failed:
                with pytest.raises(RunFailedError) as caught:
                    runner.run("main", keep=True)
                result = caught.value.result
            else:
                result = runner.run("main", keep=True)
        statuses = check_statuses(graph, folder, runner)
        assert result.statuses == statuses
        assert {name: result[name] for name in statuses if statuses[name] == "completed"}.items() <= graph.done.items()
        if on_failure == "continue_independent":
            assert set(result.failed) == graph.failed
            assert {name for name, status in statuses.items() if status == "completed"} == set(graph.done)
            assert "cancelled" not in statuses.values()


def test_a_diamond_with_a_broken_side_skips_its_tip_and_says_why(place: str, started: Started, tmp_path: Path) -> None:
    act = "die" if place in PROCESSES else "raise"
    acts = {"base": "ok", "left": act, "right": "slow", "tip": "ok", "behind": "ok", "apart": "ok"}
    needs = {"base": (), "left": ("base",), "right": ("base",), "tip": ("left", "right"), "behind": ("tip",)}
    graph = Graph(acts, {**needs, "apart": ()})
    with Runner(project_of(graph, tmp_path, "continue_independent"), started[place]) as runner:
        with pytest.raises(RunFailedError, match=r"Node 'left' of 'main' has failed.* 2 were skipped") as caught:
            runner.run("main")
        check_statuses(graph, tmp_path, runner)
    result = caught.value.result
    assert result.failed == ("left",)
    assert {name: result.nodes[name].error for name in result.skipped} == dict.fromkeys(
        ("tip", "behind"), "'left' has failed"
    )
    assert [name for name, status in result.statuses.items() if status == "completed"] == ["base", "right", "apart"]
    assert isinstance(caught.value.__cause__, WorkerKilled if act == "die" else LookupError)


class Interrupting(PipelineCallback):
    """Sends Ctrl-C to this process soon after so many nodes have begun."""

    def __init__(self, after: int, pause: float) -> None:
        self._left, self._pause = after, pause

    def on_node_start(self, node_id: str, inputs: dict[str, Any], ctx: CallbackContext) -> None:
        self._left -= 1
        if self._left == 0:
            threading.Timer(self._pause, os.kill, (os.getpid(), signal.SIGINT)).start()


@pytest.mark.alone
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file that Ctrl-C kept from its block
def test_every_node_of_a_project_that_is_interrupted_has_one_end(place: str, started: Started, tmp_path: Path) -> None:
    interrupted = cut = 0
    for number, (chance, graph) in enumerate(graphs(place)):
        folder = tmp_path / str(number)
        folder.mkdir()
        callback = Interrupting(chance.randint(1, 2), chance.choice([0.0, 0.02]))
        with Runner(project_of(graph, folder, "continue_independent"), started[place]) as runner:
            try:
                try:
                    runner.run("main", callbacks=[callback])
                except RunFailedError:
                    pass
                time.sleep(1.0)  # the run was faster: let it come here
            except KeyboardInterrupt:
                interrupted += 1
            cut += "cancelled" in check_statuses(graph, folder, runner, interrupted=True).values()
    assert interrupted
    assert cut or place in PROCESSES, "some in the middle; elsewhere there are too few to be sure"


# --- calls ---


def run_and_die(what: str) -> str:
    if what == "raise":
        raise LookupError(what)
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep({"ok": 0.0, "slow": 0.01}.get(what, 30.0))
    return what


@NEEDS_LOKY
@pytest.mark.parametrize("seed", range(2))
def test_the_log_of_calls_agrees_with_the_numbers_whatever_is_done(seed: int) -> None:
    """Calls are submitted, cancelled, fail, kill their workers and are tried again; workers are killed as well."""
    chance = random.Random(seed)
    futures: list[Any] = []
    whats: list[str] = []
    with (
        get_executor("loky", max_workers=2) as workers,
        TaskExecutor(workers, queue_capacity=60, on_full="drop_oldest", history=100_000) as executor,
    ):
        for _ in range(150):
            step = chance.choice(["submit"] * 6 + ["cancel", "wait"])
            if step == "submit":
                whats.append(chance.choices(["ok", "slow", "raise", "die"], [60, 20, 10, 3])[0])
                submit = executor.submit_with(retries=chance.choice([0, 0, 1]))
                futures.append(submit(run_and_die, whats[-1]))
            elif step == "cancel" and futures:
                chance.choice(futures).cancel()
            elif step == "wait":
                time.sleep(0.01)
        for victim in {outcome.value for outcome in workers.everywhere(os.getpid)}:
            time.sleep(0.05)
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                pass  # a call has killed it meanwhile
        executor.wait(futures, LIMIT)
        stats = executor.get_stats()
        moves = executor.history()

    assert all(future.done() for future in futures)
    ledger, tracked = replay(moves)
    ended = {
        TaskStatus.COMPLETED: stats.completed_tasks,
        TaskStatus.FAILED: stats.failed_tasks,
        TaskStatus.CANCELLED: stats.cancelled_tasks,
        TaskStatus.ABORTED: stats.aborted_tasks,
    }
    assert {status: ledger.count(status) for status in TaskStatus if ledger.count(status)} == {
        status: count for status, count in ended.items() if count
    }
    assert (stats.submitted_tasks, len(tracked), sum(ended.values())) == (len(futures),) * 3
    assert stats.retries == sum(move.before is TaskStatus.FAILED for move in moves)
    for future, what, (_, task) in zip(futures, whats, sorted(tracked.items()), strict=True):
        assert task.status is status_of(future), what
        if task.status is TaskStatus.COMPLETED:
            assert future.result() == what in ("ok", "slow")
    assert stats.completed_tasks
    assert stats.failed_tasks


def status_of(future: Any) -> TaskStatus:
    """What its future says of a call."""
    if future.cancelled():
        return TaskStatus.CANCELLED
    error = future.exception(0)
    if error is None:
        return TaskStatus.COMPLETED
    return TaskStatus.FAILED if isinstance(error, LookupError | WorkerKilled) else TaskStatus.ABORTED
