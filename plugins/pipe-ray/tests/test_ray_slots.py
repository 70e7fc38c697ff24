"""What a slot says of its calls, whatever Ray says of its workers. No cluster: Ray's words are said by the tests."""

import json
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.exceptions import RayActorError, RayTaskError

from pipe_core.runtime.beat import AT, HOOK, STARTED, WIDTH, Board
from pipe_ray.messages import ANSWER, DOWN, KILLED, REFUSED, UNSTARTED, UP
from pipe_ray.slots import Slot
from pipe_ray.watch import HopelessError

pytestmark = pytest.mark.timeout(60)


class Actor:
    """An actor that does nothing by itself. What it was asked is in `asked`, in order: the method and its future."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Future[Any]]] = []

    def __getattr__(self, method: str) -> Any:
        return Method(self, method)

    def end_of(self, method: str) -> Future[Any]:
        """The future of what was asked first and has not ended."""
        return next(future for name, future in self.asked if name == method and not future.done())

    def die(self) -> None:
        for _, future in self.asked:
            if not future.done():
                future.set_exception(RayActorError())


class Method:
    def __init__(self, actor: Actor, name: str) -> None:
        self.actor, self.name = actor, name

    def remote(self, *args: Any) -> "Method":
        self.args, self.ended = args, Future[Any]()
        self.actor.asked.append((self.name, self.ended))
        if self.name == "begin":
            self.actor.told = json.loads(args[0])
        return self

    def future(self) -> Future[Any]:
        return self.ended


class Bench:
    """A slot, its workers, and what it has told the driver."""

    def __init__(self, folder: Path) -> None:
        self.said: list[tuple[bytes, int]] = []
        self.actors: list[Actor] = []
        self.events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.board = Board(folder / "board", 1)
        self.slot = Slot(0, self.make, {}, self.board, {}, self.say, self.events)

    def make(self) -> Actor:
        self.actors.append(Actor())
        return self.actors[-1]

    def say(self, kind: bytes, number: int, body: bytes) -> None:
        self.said.append((kind, number))
        self.body = body

    def settle(self) -> None:
        """All that has happened is heard."""
        while not self.events.empty():
            self.next()

    def next(self) -> None:
        event = self.events.get(timeout=30)
        assert event is not None
        event()

    def up(self, *, near: bool = False) -> Actor:
        """The worker that is on its way comes up."""
        actor = self.actors[-1]
        actor.end_of("begin").set_result(json.dumps({"pid": 1, "node": "n", "near": near}))
        self.settle()
        return actor

    def up_near(self) -> tuple[Actor, Connection]:
        there = Client(self.actors[-1].told["door"], family="AF_UNIX")
        return self.up(near=True), there

    def end(self) -> None:
        life = self.slot.life
        life.door.close()
        if life.near is not None:
            life.near.hang_up()
        self.board.close()

    def note(self, started: int, at: int = -1, hook: int = 0) -> None:
        """As a worker does, into its row of the board."""
        self.board._numbers[STARTED], self.board._numbers[AT], self.board._numbers[HOOK] = started, at, hook


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The actors that were killed."""
    found: list[Any] = []
    monkeypatch.setattr(ray, "kill", lambda actor, no_restart: found.append(actor))
    return found


@pytest.fixture
def bench(tmp_path: Path, killed: list[Any]) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.end()


def test_ray_has_one_call_at_a_time(bench: Bench) -> None:
    bench.slot.call(1, b"first")
    bench.slot.call(2, b"second")
    actor = bench.up()
    assert [name for name, _ in actor.asked] == ["begin", "run"]
    actor.end_of("run").set_result(b"answer")
    bench.settle()
    assert bench.said == [(UP, 0), (ANSWER, 1)]
    assert [name for name, _ in actor.asked] == ["begin", "run", "run"]


def test_the_call_that_runs_dies_with_its_worker_and_those_behind_go_elsewhere(bench: Bench) -> None:
    actor = bench.up()
    for number in (1, 2, 3):
        bench.slot.call(number, b"frame")
    actor.end_of("run").set_result(b"answer")
    bench.settle()
    actor.die()
    bench.settle()
    assert bench.said[2:] == [(DOWN, 0), (KILLED, 2), (UNSTARTED, 3)]


def test_what_ray_cannot_bring_fails_its_call_only(bench: Bench) -> None:
    actor = bench.up()
    bench.slot.call(1, b"frame")
    bench.slot.call(2, b"frame")
    actor.end_of("run").set_exception(RayTaskError("run", "no room", MemoryError("no room")))
    bench.settle()
    assert bench.said[1:] == [(REFUSED, 1)]
    assert bench.body == b"no room"
    actor.end_of("run").set_result(b"answer")
    bench.settle()
    assert bench.said[2:] == [(ANSWER, 2)]


def test_a_near_worker_answers_before_it_dies(bench: Bench) -> None:
    """What it sent counts, also where Ray's word of its death comes first."""
    actor, there = bench.up_near()
    bench.slot.call(1, b"first")
    bench.slot.call(2, b"second")
    assert there.recv_bytes() == b"first"
    there.send_bytes(b"answer")
    actor.die()
    bench.settle()
    assert bench.said[1:] == [(ANSWER, 1), (DOWN, 0), (UNSTARTED, 2)]
    there.close()


@pytest.mark.parametrize(("started", "told"), [(0, UNSTARTED), (1, KILLED)])
def test_a_near_worker_notes_whether_the_call_had_begun(bench: Bench, started: int, told: bytes) -> None:
    actor, there = bench.up_near()
    bench.slot.call(1, b"frame")
    assert there.recv_bytes() == b"frame"
    bench.note(started, at=41, hook=3)
    there.close()
    actor.die()
    bench.settle()
    assert bench.said[1:] == [(DOWN, 0), (told, 1)]
    if told == KILLED:
        assert (json.loads(bench.body)["at"], json.loads(bench.body)["hook"]) == (41, 3)
    assert bench.board.read(0) == [0.0] * WIDTH  # for the next one


def test_a_near_worker_is_told_of_shared_bytes_between_two_calls(bench: Bench) -> None:
    actor, there = bench.up_near()
    bench.slot.call(1, b"first")
    bench.slot.keep("digest", None)
    assert [name for name, _ in actor.asked] == ["begin", "serve", "keep", "serve"]
    assert there.recv_bytes() == b"first"
    there.send_bytes(b"answer")
    assert there.recv_bytes() == b"", "back to Ray, which has `keep` for it"
    actor.end_of("serve").set_result(None)
    bench.next()
    bench.next()
    bench.slot.call(2, b"second")
    assert there.recv_bytes() == b"second"
    assert bench.said[1:] == [(ANSWER, 1)]
    there.close()


def test_a_worker_that_never_came_up_is_not_told_as_gone(bench: Bench) -> None:
    """The driver counts: a slot that went down once too often would get no call any more."""
    bench.slot.call(1, b"frame")
    bench.actors[0].die()
    bench.settle()
    assert bench.said == [(UNSTARTED, 1)]
    bench.up()
    assert bench.said[1:] == [(UP, 0)]


def test_workers_that_die_before_any_call_are_not_started_for_ever(bench: Bench) -> None:
    for _ in range(2):
        bench.actors[-1].die()
        bench.settle()
    bench.actors[-1].die()
    with pytest.raises(HopelessError, match="3 workers"):
        bench.settle()


def test_only_the_worker_that_is_at_the_call_is_killed(bench: Bench, killed: list[Any]) -> None:
    actor = bench.up()
    for number in (1, 2, 3):
        bench.slot.call(number, b"frame")
    bench.slot.kill(2)
    assert bench.said[1:] == [(UNSTARTED, 2)], "it waits no more"
    assert killed == []
    bench.slot.kill(1)
    assert killed == [actor]
    actor.die()
    bench.settle()
    assert bench.said[2:] == [(DOWN, 0), (KILLED, 1), (UNSTARTED, 3)]


def test_what_ray_says_of_a_worker_before_is_not_heard(bench: Bench) -> None:
    old, there = bench.up_near()
    bench.slot.keep("digest", None)  # `serve` twice, and so two words of its death
    old.die()
    bench.settle()
    bench.up()
    bench.settle()
    assert len(bench.actors) == 2
    assert bench.said == [(UP, 0), (DOWN, 0), (UP, 0)]
    there.close()
