"""Slots as the host sees them: an actor, the calls that it has in hand, and what is known when it dies."""

from __future__ import annotations

import json
import queue
import re
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

import ray
from ray.exceptions import RayTaskError

from pipe_core.runtime.beat import AT, HOOK, STARTED, Board
from pipe_ray.messages import ANSWER, DOWN, KILLED, REFUSED, UNSTARTED, UP

_STARTS: Final = 3
"""How often in a row a worker may die before its first call begins."""

Say = Callable[..., None]
"""``say(kind, number, body)``: a message for the driver, to be sent later."""


class HopelessError(Exception):
    """No worker comes up."""


@dataclass(slots=True, eq=False)
class Held:
    """A call in a worker's hand. `ended` is set when Ray has said what became of it."""

    number: int
    ended: Future[Any] | None = None


@dataclass(slots=True, eq=False)
class Life:
    """A worker from its start to its death.

    Attributes:
        actor: Ray's handle.
        up: Whether it has said that it is there.
        noted: Whether it notes down how far it is where we see it.
        answered: How many calls it has ended.
        hand: The calls that it was given and that have not been told, in order.
        dying: Ray has said of some call that the worker is dead.
        killed: We have killed it.
    """

    actor: Any
    up: bool = False
    noted: bool = False
    pid: int | None = None
    answered: int = 0
    hand: deque[Held] = field(default_factory=deque)
    dying: bool = False
    killed: bool = False


class Slot:
    """One place for calls, whatever becomes of its workers.

    All methods are called under one lock.

    Args:
        number: Which one.
        make: Makes an actor and gives its handle.
        settings: What its workers are told first, as JSON.
        board: Where they note down how far they are.
        shared: By digest, the references to shared bytes.
        say: For messages to the driver.
        ends: Where the ends of Ray's calls are put, as something to call under the lock.
    """

    def __init__(
        self,
        number: int,
        make: Callable[[], Any],
        settings: str,
        board: Board,
        shared: dict[str, Any],
        say: Say,
        ends: queue.SimpleQueue[Callable[[], None] | None],
    ) -> None:
        self.number = number
        self._make, self._settings, self._board, self._shared = make, settings, board, shared
        self._say, self._ends = say, ends
        self._waiting: deque[tuple[int, bytes]] = deque()  # given while the worker was dying
        self._failed = 0
        self.life: Life = self._born()

    def _born(self) -> Life:
        self._board.clear(self.number)
        life = Life(self._make())
        self._follow(life.actor.begin.remote(self._settings), lambda ended: self._begun(life, ended))
        for digest, reference in self._shared.items():
            life.actor.keep.remote(digest, [reference])
        return life

    def _follow(self, reference: Any, then: Callable[[Future[Any]], None]) -> None:
        """Call *then* with a future of what *reference* stands for, when that has ended."""
        reference.future().add_done_callback(lambda ended: self._ends.put(lambda: then(ended)))

    # --- calls ---

    def call(self, number: int, frame: bytes) -> None:
        """Hand a call over."""
        life = self.life
        if life.dying:
            self._waiting.append((number, frame))
            return
        held = Held(number)
        life.hand.append(held)
        self._follow(life.actor.run.remote(frame), lambda ended: self._ended(life, held, ended))

    def keep(self, digest: str, reference: Any) -> None:
        """Let the worker know of shared bytes."""
        self.life.actor.keep.remote(digest, [reference])

    def _ended(self, life: Life, held: Held, ended: Future[Any]) -> None:
        held.ended = ended
        error = ended.exception()
        if error is None:
            life.answered += 1
            life.hand.remove(held)
            self._say(ANSWER, held.number, ended.result())
        elif isinstance(error, RayTaskError):  # `run_frame` raises nothing: the answer was too large, or memory is out
            life.answered += 1
            life.hand.remove(held)
            self._say(REFUSED, held.number, _reason(error).encode())
        else:
            life.dying = True
        self._bury(life)

    # --- life and death ---

    def _begun(self, life: Life, ended: Future[Any]) -> None:
        error = ended.exception()
        if isinstance(error, RayTaskError):
            raise HopelessError(f"A worker cannot get ready: {_reason(error)}")
        if error is not None:
            life.dying = True
            self._bury(life)
            return
        said = ended.result()
        facts = json.loads(said)
        life.up, life.noted, life.pid = True, facts.get("noted", False), facts["pid"]
        self._say(UP, self.number, said.encode())

    def kill(self, number: int) -> None:
        """End the worker, should it be at that call."""
        life = self.life
        if life.hand and life.hand[0].number == number:
            life.killed = True
            ray.kill(life.actor, no_restart=True)

    def _bury(self, life: Life) -> None:
        """When all that a dead worker had in hand is known, tell it, and start another worker."""
        if not life.dying or life is not self.life or any(held.ended is None for held in life.hand):
            return
        notes = self._board.read(self.number)
        begun = notes[STARTED] > life.answered if life.noted else life.up and bool(life.hand)
        self._failed = 0 if begun or life.answered else self._failed + 1
        if begun and life.hand:
            self._blame(life, life.hand.popleft(), notes)
        for held in life.hand:
            self._say(UNSTARTED, held.number, b"")
        if self._failed >= _STARTS:
            raise HopelessError(f"{_STARTS} workers died one after the other before they ran a call.")
        ray.kill(life.actor, no_restart=True)  # one that cannot be reached may still live
        self._say(DOWN, self.number, b"")
        self.life = self._born()
        waiting, self._waiting = self._waiting, deque()
        for number, frame in waiting:
            self.call(number, frame)

    def _blame(self, life: Life, held: Held, notes: list[float]) -> None:
        assert held.ended is not None  # looked at above
        facts = {
            "message": f"The worker process {life.pid} ended while it ran the call: "
            + ("it was killed." if life.killed else _reason(held.ended.exception())),
            "at": int(notes[AT]) if life.noted and notes[AT] >= 0 else None,
            "hook": int(notes[HOOK]) or None if life.noted else None,
        }
        self._say(KILLED, held.number, json.dumps(facts).encode())


def _reason(error: BaseException | None) -> str:
    """What Ray says of an error, in one sentence or a few."""
    text = str(error)
    if isinstance(error, RayTaskError):
        return str(error.cause) if error.cause is not None else text.strip().splitlines()[-1]
    detail = re.search(r"Worker exit detail: (.*?)(?: Some common causes|\n|$)", text)
    if detail is not None:
        return f"Ray says: {detail[1].strip()}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"Ray says: {lines[-1]}" if lines else type(error).__name__
