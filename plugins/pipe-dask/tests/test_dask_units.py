"""Judging deaths and fetching results, without a cluster."""

import asyncio
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from distributed.scheduler import KilledWorker

from pipe_core import Outcome, WorkerKilled
from pipe_core.runtime import beat
from pipe_core.runtime.task import Task
from pipe_dask import worker
from pipe_dask.deaths import OthersDeaths, OwnDeaths
from pipe_dask.results import Results
from pipe_dask.worker import SENT


@dataclass
class Worker:
    address: str = "tcp://127.0.0.1:1"
    nthreads: int = 1


@dataclass
class Board:
    """What the workers of a cluster have noted."""

    noted: dict[int, tuple[int | None, int | None]] = field(default_factory=dict)

    def running(self) -> dict[int, tuple[int | None, int | None]]:
        return self.noted


def call(number: int) -> Task:
    return Task(number, abs, (), {})


def killed(by: Any = None, failures: int = 0) -> KilledWorker:
    return KilledWorker("task", by or Worker(), failures)


def judge_all(deaths: Any, *blamed: tuple[int, KilledWorker]) -> list[Outcome | None]:
    async def judge() -> list[Outcome | None]:
        return await asyncio.gather(*(deaths.judge(call(number), death) for number, death in blamed))

    return asyncio.run(judge())


def kinds(outcomes: list[Outcome | None]) -> list[str]:
    return ["again" if one is None else "unstarted" if one.unstarted else type(one.error).__name__ for one in outcomes]


# --- deaths on a cluster of our own ---


def test_only_a_call_that_was_noted_is_blamed() -> None:
    board: Any = Board({7: (12, 2), 9: (None, None)})
    outcomes = judge_all(OwnDeaths(board), (6, killed()), (7, killed()), (8, killed()))
    assert kinds(outcomes) == ["unstarted", "WorkerKilled", "unstarted"]
    assert outcomes[1] is not None
    assert isinstance(outcomes[1].error, WorkerKilled)
    assert (outcomes[1].error.at, outcomes[1].error.hook) == (12, 2)


def test_a_call_that_is_never_begun_is_blamed_in_the_end() -> None:
    board: Any = Board()
    deaths = OwnDeaths(board)
    found = [kinds(judge_all(deaths, (1, killed())))[0] for _ in range(10)]
    assert found == ["unstarted"] * 9 + ["WorkerKilled"]
    assert kinds(judge_all(deaths, (2, killed()))) == ["unstarted"]


def test_what_a_dead_worker_ran_can_be_read_while_its_successor_runs_something_else(tmp_path: Path) -> None:
    """The driver may hear of a death late: it was suspended, for example."""
    board = beat.Board(tmp_path / "board", 2 * worker.ROWS)
    plugin, one, other = worker.Noting(str(board.path)), Named(0), Named(1)

    def runs(named: Any, number: int, at: int) -> None:
        plugin.setup(named)
        beat.begin()
        beat.row[worker.CALL], beat.row[beat.AT] = number, at

    def noted() -> dict[int, int]:
        rows = map(board.read, range(2 * worker.ROWS))
        return {int(row[worker.CALL]): int(row[beat.AT]) for row in rows if row[worker.CALL]}

    try:
        runs(one, 5, 12)
        runs(other, 6, 100)
        runs(one, 7, 1)
        assert noted() == {5: 12, 6: 100, 7: 1}
        runs(one, 8, 2)
        assert noted() == {7: 1, 8: 2, 6: 100}
        plugin.setup(one)
        assert noted() == {8: 2, 6: 100}, "the new one has begun nothing"
    finally:
        beat.row = array("d", [0.0] * beat.WIDTH)
        board.close()


@dataclass
class Named:
    """A worker of Dask's."""

    name: int


# --- deaths elsewhere ---


def test_a_call_that_died_alone_is_blamed_at_once() -> None:
    (outcome,) = judge_all(OthersDeaths(), (1, killed(failures=3)))
    assert outcome is not None
    assert "4 workers of 'dask' ended" in str(outcome.error)


def test_calls_that_died_together_run_again_and_are_blamed_at_the_second_time() -> None:
    deaths = OthersDeaths()
    assert kinds(judge_all(deaths, (1, killed()), (2, killed()))) == ["again", "again"]
    assert kinds(judge_all(deaths, (1, killed()), (3, killed()))) == ["WorkerKilled", "again"]


def test_as_many_calls_as_a_worker_has_threads_may_all_be_to_blame() -> None:
    threads = Worker(nthreads=2)
    assert kinds(judge_all(OthersDeaths(), (1, killed(threads)), (2, killed(threads)))) == ["WorkerKilled"] * 2


def test_deaths_of_two_workers_at_once_are_two_deaths() -> None:
    other = Worker(address="tcp://127.0.0.1:2")
    assert kinds(judge_all(OthersDeaths(), (1, killed()), (2, killed(other)))) == ["WorkerKilled"] * 2


# --- results ---


class Future:
    """A task of Dask's that has ended."""

    def __init__(self, status: str = "finished", error: BaseException | None = None) -> None:
        self.status = status
        self._error = error

    async def exception(self) -> BaseException | None:
        return self._error


class Client:
    """Gives what it is told to, in so many questions as it is asked."""

    id = "client"

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[int] = []
        self.waiting = asyncio.Event()

    def subscribe_topic(self, topic: str, handler: Any) -> None:
        assert topic == self.id
        self.publish = handler

    async def gather(self, futures: dict[int, Any], errors: str) -> dict[int, Any]:
        assert errors == "skip"
        self.asked.append(len(futures))
        answer = self.answers.pop(0)
        if isinstance(answer, asyncio.Event):
            self.waiting.set()
            await answer.wait()
            return dict.fromkeys(futures, b"late")
        if isinstance(answer, Exception):
            raise answer
        return dict.fromkeys(futures, answer)


def test_a_small_result_is_there_without_a_question() -> None:
    client = Client()
    results = Results(client)
    client.publish((0.0, [5, b"small"]))
    client.publish((0.0, {"action": "add-client"}))
    future: Any = Future(error=KilledWorker("task", Worker(), 0))
    assert asyncio.run(results.of(5, future)) == b"small"
    assert client.asked == []


def test_results_that_are_there_together_are_fetched_together() -> None:
    client = Client(b"a", b"b")
    results = Results(client)

    async def main() -> list[bytes]:
        return await asyncio.gather(*(results.of(i, Future()) for i in range(6)))  # type: ignore[arg-type]  # a stand-in

    assert sorted(asyncio.run(main())) in ([b"a"] + [b"b"] * 5, [b"a"] * 6)
    assert sum(client.asked) == 6
    assert len(client.asked) <= 2


def test_a_question_without_answer_holds_up_no_other() -> None:
    gate = asyncio.Event()
    client = Client(gate, b"soon")
    results = Results(client)

    async def main() -> tuple[bytes, bytes]:
        slow = asyncio.create_task(results.of(1, Future()))  # type: ignore[arg-type]  # a stand-in
        await client.waiting.wait()
        soon = await asyncio.wait_for(results.of(2, Future()), 20)  # type: ignore[arg-type]  # a stand-in
        assert not slow.done()
        gate.set()
        return await slow, soon

    assert asyncio.run(main()) == (b"late", b"soon")


def test_a_result_that_died_with_its_worker_is_asked_for_again() -> None:
    client = Client(None, b"again")
    future: Any = Future()
    assert asyncio.run(Results(client).of(1, future)) == b"again"
    assert client.asked == [1, 1]


def test_a_question_that_fails_fails_those_who_wait() -> None:
    future: Any = Future()
    with pytest.raises(OSError, match="closed"):
        asyncio.run(Results(Client(OSError("closed"))).of(1, future))


def test_a_cancelled_task_has_no_result() -> None:
    future: Any = Future(status="cancelled")
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(Results(Client()).of(1, future))


def test_a_small_result_that_never_came_is_an_error() -> None:
    future: Any = Future()
    with pytest.raises(ConnectionError, match="lost on its way"):
        asyncio.run(Results(Client(SENT)).of(1, future))
