"""Which worker lives that holds something, and which call it gets. No cluster: Ray's words are said by the tests."""

import json
from typing import Any

import pytest

from pipe_ray.messages import MISSING, UNSTARTED
from pipe_ray.needing import Needing, options_for

GPU, BOTH, OTHER = {"GPU": 1.0}, {"GPU": 1.0, "CPU": 1.0}, {"licence": 1.0}


class Worker:
    """A life, and the slot that has it."""

    door: Any = None

    def __init__(self, number: int, resources: dict[str, float]) -> None:
        self.number, self.resources = number, resources
        self.turn = 0
        self.life = self
        self.up = self.gone = False
        self.running: int | None = None
        self.node = "here"

    @property
    def is_free(self) -> bool:
        return self.up and self.running is None

    def call(self, number: int, frame: bytes) -> None:
        assert self.is_free
        self.running = number

    def dismiss(self) -> None:
        self.gone = True

    def kill(self, number: int) -> None:
        self.gone = True


class Bench:
    def __init__(self, rows: int = 2, patience: float = 0.0) -> None:
        self.said: list[tuple[bytes, int]] = []
        self.made: list[Worker] = []
        self.events: Any = []
        self.nodes = [{"Alive": True, "NodeID": "here", "Resources": {"GPU": 1.0, "CPU": 3.0, "node:here": 1.0}}]
        made: Any = self.make
        self.pool = Needing(range(rows), made, [], self.say, self, patience)  # type: ignore[arg-type]  # a queue

    def put(self, event: Any) -> None:
        self.events.append(event)

    def make(self, pool: Needing, number: int, resources: dict[str, float]) -> Worker:
        if resources.get("GPU") == 1.5:
            raise ValueError("whole ones")
        self.made.append(Worker(number, resources))
        return self.made[-1]

    def say(self, kind: bytes, number: int, body: bytes) -> None:
        self.said.append((kind, number))
        self.body = json.loads(body or b"null")

    def comes_up(self, worker: Worker) -> None:
        worker.up = True
        self.free(worker)

    def free(self, worker: Any) -> None:
        worker.running = None
        self.pool.is_free(worker)


@pytest.fixture(name="bench")
def _bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench()
    monkeypatch.setattr("pipe_ray.needing.ray.nodes", lambda: bench.nodes)
    monkeypatch.setattr("pipe_ray.needing.threading.Timer", lambda seconds, call, args: Later())
    return bench


class Later:
    daemon = False

    def start(self) -> None:
        pass


def test_calls_of_a_kind_share_a_worker_and_those_that_are_not_needed_go(bench: Bench) -> None:
    for number in (1, 2):
        bench.pool.call(number, GPU, b"")
    first, second = bench.made
    bench.comes_up(first)
    assert (first.running, second.gone) == (1, False), "it may come up, too"
    bench.free(first)
    assert (first.running, second.gone) == (2, True)
    bench.free(first)
    assert not first.gone, "the next call may need the same"
    bench.pool.call(3, GPU, b"")
    assert first.running == 3
    assert len(bench.made) == 2


def test_who_holds_what_another_call_needs_goes_and_nobody_else(bench: Bench) -> None:
    bench.pool.call(1, GPU, b"")
    bench.comes_up(bench.made[0])
    bench.free(bench.made[0])
    bench.pool.call(2, OTHER, b"")
    bench.comes_up(bench.made[1])
    bench.free(bench.made[1])
    assert not bench.made[0].gone
    bench.pool.call(3, GPU | {"memory": 5.0}, b"")
    assert (bench.made[0].gone, bench.made[1].gone) == (True, False)
    assert bench.made[2].number == 0, "and its place is free"
    bench.pool.call(4, {"x": 1.0}, b"")
    assert bench.made[1].gone, "for there are no more places"


def test_who_runs_a_call_goes_behind_it(bench: Bench) -> None:
    bench.pool.call(1, GPU, b"")
    bench.comes_up(bench.made[0])
    bench.pool.call(2, BOTH, b"")
    assert not bench.made[0].gone
    bench.free(bench.made[0])
    assert bench.made[0].gone


def test_who_has_nothing_to_do_for_long_gives_it_back(bench: Bench) -> None:
    bench.pool.call(1, GPU, b"")
    (worker,) = bench.made
    slot: Any = worker
    bench.comes_up(worker)
    bench.free(worker)
    turn = worker.turn
    bench.pool.call(2, GPU, b"")
    bench.free(worker)
    bench.pool._has_waited(slot, turn)
    assert not worker.gone, "it has run another one since"
    bench.pool._has_waited(slot, worker.turn)
    assert worker.gone


def test_a_call_that_waits_is_given_up_and_one_that_runs_is_killed(bench: Bench) -> None:
    bench.pool.call(1, GPU, b"")
    bench.comes_up(bench.made[0])
    bench.pool.call(2, GPU, b"")
    assert bench.pool.kill(2)
    assert bench.said == [(UNSTARTED, 2)]
    assert bench.pool.kill(1)
    assert bench.made[0].gone
    assert not bench.pool.kill(3)


def test_what_no_machine_has_is_said_after_a_while_and_only_then(bench: Bench) -> None:
    bench.pool._patience = 1e9
    bench.pool.call(1, {"GPU": 2.0}, b"")
    bench.pool._look()
    assert not bench.said
    bench.pool._patience = 0.0
    bench.nodes.append({"Alive": False, "NodeID": "gone", "Resources": {"GPU": 4.0}})
    bench.pool._look()
    assert bench.said == [(MISSING, 1)]
    assert bench.body == {"resources": {"GPU": 2.0}, "machines": [{"GPU": 1.0, "CPU": 3.0}]}
    assert bench.made[0].gone, "and nobody waits for it any more"
    bench.pool.call(2, {"GPU": 1.5}, b"")
    assert bench.said[1:] == [(MISSING, 2)]
    assert bench.body["why"] == "whole ones"


def test_ray_has_words_of_its_own_for_some() -> None:
    assert options_for({"CPU": 2.0, "GPU": 0.5, "memory": 2e9, "slot": 1.0}) == {
        "num_cpus": 2.0,
        "num_gpus": 0.5,
        "memory": 2_000_000_000,
        "resources": {"slot": 1.0},
    }
    assert options_for({"slot": 1.0})["num_cpus"] == 0
