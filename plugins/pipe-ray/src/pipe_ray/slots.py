"""Slots as the host sees them: a worker, the call that it runs, those that wait, and what is known when it dies."""

from __future__ import annotations

import json
import queue
import re
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import ray
from ray.exceptions import RayTaskError

from pipe_core.runtime.beat import AT, HOOK, STARTED, Board
from pipe_ray.messages import ANSWER, DOWN, KILLED, REFUSED, UNSTARTED, UP
from pipe_ray.near import Door, Near
from pipe_ray.watch import HopelessError

_STARTS: Final = 3
"""How often in a row a worker may die before its first call begins."""

_GONE: Final = "Ray has not said why. Perhaps a process that the worker started lives on and has its connections."

Say = Callable[[bytes, int, bytes], None]
"""``say(kind, number, body)``: a message for the driver."""
Events = queue.SimpleQueue[Callable[[], None] | None]
"""What has happened, each as something to call in the one thread that has the slots."""


class GoneError(Exception):
    """The process of a worker has ended, and Ray has not said so."""


@dataclass(slots=True, eq=False)
class Life:
    """A worker from its start to its death.

    Attributes:
        actor: Ray's handle.
        door: Where it comes in, should it be on this machine.
        up: Whether it has said that it is there.
        near: The way to it, where it is on this machine. Then it also notes down how far it is.
        pid: Its process.
        node: Where that is, by Ray's name.
        running: The number of the call that it was given. Only one: of several Ray might lose the answers of those that
            have ended when the next one ends the worker, and nobody could tell which one that was.
        answered: How many calls it has ended.
        killed: We have killed it.
    """

    actor: Any
    door: Door
    up: bool = False
    near: Near | None = None
    pid: int | None = None
    node: str = ""
    running: int | None = None
    answered: int = 0
    killed: bool = False


class Slot:
    """One place for calls, whatever becomes of its workers. Belongs to one thread.

    Args:
        number: Which one.
        make: Makes an actor and gives its handle.
        settings: What its workers are told first.
        board: Where they note down how far they are.
        shared: By digest, the references to shared bytes.
        say: For messages to the driver.
        events: Where to put what happens in other threads.
        lives: How many workers of that number there may have been before.
    """

    def __init__(
        self,
        number: int,
        make: Callable[[], Any],
        settings: dict[str, Any],
        board: Board,
        shared: dict[str, Any],
        say: Say,
        events: Events,
        lives: int = 0,
    ) -> None:
        self.number = number
        self._make, self._settings, self._board, self._shared = make, settings, board, shared
        self._say, self._events = say, events
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._lives = lives
        self._failed = 0
        self.life: Life = self._born()

    # --- the beginning of a worker ---

    def _born(self) -> Life:
        self._lives += 1
        self._board.clear(self.number)
        life = Life(self._make(), Door(self._board.path.with_name(f"{self.number}-{self._lives}")))
        told = json.dumps({**self._settings, "row": self.number, "door": life.door.path})
        self._follow(life.actor.begin.remote(told), partial(self._begun, life))
        for digest, reference in self._shared.items():
            life.actor.keep.remote(digest, [reference])
        return life

    def _follow(self, reference: Any, then: Callable[[Future[Any]], None]) -> None:
        """Call *then* with a future of what *reference* stands for, when that has ended."""
        reference.future().add_done_callback(lambda ended: self._events.put(partial(then, ended)))

    def _begun(self, life: Life, ended: Future[Any]) -> None:
        error = ended.exception()
        if isinstance(error, RayTaskError):
            raise HopelessError(f"A worker cannot get ready: {_reason(error)}")
        if error is not None:
            self._bury(life, error)
            return
        said = ended.result()
        facts = json.loads(said)
        life.up, life.pid, life.node = True, facts["pid"], facts["node"]
        if facts.get("near"):
            life.near = life.door.enter(
                lambda answer: self._events.put(partial(self._answered, life, answer)),
                lambda: self._events.put(partial(self._gone, life, GoneError(_GONE))),
            )
            self._serve(life)
        life.door.close()
        self._say(UP, self.number, said.encode())
        self._go_on()

    def _serve(self, life: Life) -> None:
        self._follow(life.actor.serve.remote(), partial(self._served, life))

    # --- the way of a call ---

    def call(self, number: int, frame: bytes) -> None:
        """Run a call, behind those that wait."""
        self._waiting.append((number, frame))
        self._go_on()

    def _go_on(self) -> None:
        life = self.life
        if not life.up or life.running is not None or not self._waiting:
            return
        life.running, frame = self._waiting.popleft()
        if life.near is not None:
            life.near.give(frame)
        else:
            self._follow(life.actor.run.remote(frame), partial(self._ended, life))

    def _ended(self, life: Life, ended: Future[Any]) -> None:
        error = ended.exception()
        if error is None:
            self._answered(life, ended.result())
        elif isinstance(error, RayTaskError):  # `run_frame` raises nothing: the answer was too large, or memory is out
            self._answered(life, _reason(error).encode(), REFUSED)
        else:
            self._bury(life, error)

    def _answered(self, life: Life, answer: bytes, kind: bytes = ANSWER) -> None:
        number, life.running = life.running, None
        assert number is not None  # until now
        life.answered += 1
        self._go_on()  # before the answer goes on its way
        self._say(kind, number, answer)

    def keep(self, digest: str, reference: Any) -> None:
        """Let the worker know of shared bytes, before the calls that come."""
        self.life.actor.keep.remote(digest, [reference])
        if self.life.near is not None:
            self._serve(self.life)
            self.life.near.pause()

    # --- the end of a worker ---

    def leave(self) -> Any | None:
        """Let the worker end in order. Gives what Ray says of that, None where there is none yet."""
        life = self.life
        if not life.up:
            ray.kill(life.actor, no_restart=True)
            return None
        left = life.actor.leave.remote()
        if life.near is not None:
            life.near.pause()
        return left

    def kill(self, number: int) -> None:
        """End the worker, should it be at that call. One that waits does not begin."""
        if self.life.running == number:
            self.life.killed = True
            ray.kill(self.life.actor, no_restart=True)
        for one in self._waiting:
            if one[0] == number:
                self._waiting.remove(one)
                self._say(UNSTARTED, number, b"")
                break

    def _served(self, life: Life, ended: Future[Any]) -> None:
        error = ended.exception()
        if error is not None:
            self._gone(life, error)

    def _gone(self, life: Life, error: BaseException) -> None:
        if life is self.life:
            assert life.near is not None  # it served
            life.near.hang_up()
            self._events.put(partial(self._bury, life, error))  # behind the answer that it may have given

    def _bury(self, life: Life, error: BaseException) -> None:
        """Tell the end of a dead worker's call, give back what waits, and start another worker."""
        if life is not self.life:
            return  # Ray says it of everything that it had for the worker
        life.door.close()
        notes = self._board.read(self.number)
        begun = life.running is not None and (life.near is None or notes[STARTED] > life.answered)
        self._failed = 0 if begun or life.answered else self._failed + 1
        if self._failed >= _STARTS:
            raise HopelessError(f"{_STARTS} workers died one after the other before they ran a call.")
        if life.up:
            self._say(DOWN, self.number, b"")  # first: then what comes back goes to other slots
        if life.running is not None:
            self._say(KILLED if begun else UNSTARTED, life.running, _blame(life, error, notes) if begun else b"")
        while self._waiting:
            self._say(UNSTARTED, self._waiting.popleft()[0], b"")
        ray.kill(life.actor, no_restart=True)  # one that cannot be reached may still live
        self._go_after()

    def _go_after(self) -> None:
        """What follows the death of the worker."""
        self.life = self._born()


def _blame(life: Life, error: BaseException, notes: list[float]) -> bytes:
    """What is known of the end of a worker and the call that it ran, as JSON."""
    facts = {
        "message": f"The worker process {life.pid} ended while it ran the call: "
        + ("it was killed." if life.killed else _reason(error)),
        "at": int(notes[AT]) if life.near is not None and notes[AT] >= 0 else None,
        "hook": int(notes[HOOK]) or None if life.near is not None else None,
    }
    return json.dumps(facts).encode()


def _reason(error: BaseException) -> str:
    """What Ray says of an error, in one sentence or a few."""
    text = str(error)
    if isinstance(error, GoneError):
        return text
    if isinstance(error, RayTaskError):
        return str(error.cause) if error.cause is not None else text.strip().splitlines()[-1]
    detail = re.search(r"Worker exit detail: (.*?)(?: Some common causes|\n|$)", text)
    if detail is not None:
        return f"Ray says: {detail[1].strip()}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"Ray says: {lines[-1]}" if lines else type(error).__name__
