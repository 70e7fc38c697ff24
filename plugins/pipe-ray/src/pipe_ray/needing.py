"""Workers for calls that need something of their machine, such as a GPU: they hold it while they live.

What a worker holds is nobody else's, as Ray counts it. So none of them lives without a reason: one that is idle leaves
when a call waits that needs something else, and otherwise after a while. Until then the next call of its kind finds it,
with the model that the last one may have loaded.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import ray

from pipe_core.runtime.resources import times
from pipe_ray.messages import DOWN, MISSING, UNSTARTED
from pipe_ray.slots import Events, Life, Say, Slot

_IDLE: Final = 5.0
"""Seconds that a worker without a call keeps what it has."""
PATIENCE: Final = 12.0
"""Seconds that a call waits for a machine of somebody else's cluster that has what it needs, where there is none."""
_OFTEN: Final = 1.0
"""Seconds between two looks at what the machines have, while calls wait."""
_BY_NAME: Final = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}
"""What Ray has words of its own for."""
_NO_NEED: Final = ("node:", "object_store_memory")
"""How the names of what Ray counts as well begin that no call can need."""

Resources = dict[str, float]
Make = Callable[["Needing", int, Resources], "NeedingSlot"]


def options_for(resources: Resources) -> dict[str, Any]:
    """*resources* as Ray's options of an actor."""
    options: dict[str, Any] = {"num_cpus": 0, "resources": {}}
    for name, amount in resources.items():
        if name in _BY_NAME:
            options[_BY_NAME[name]] = int(amount) if name == "memory" else amount
        else:
            options["resources"][name] = amount
    return options


@dataclass(slots=True)
class _Waiting:
    """A call for which no worker is free."""

    number: int
    resources: Resources
    frame: bytes
    seen: float  # when a machine was there last that has what it needs


class NeedingSlot(Slot):
    """A slot whose worker holds *resources*. It runs a call when it is given one, and keeps none in hand.

    Args:
        pool: What gives it calls.
        resources: What its worker holds.
        *there: As `Slot`.
        lives: As `Slot`.
    """

    def __init__(self, pool: Needing, resources: Resources, *there: Any, lives: int) -> None:
        self.resources = resources
        self.turn = 0  # how often it has been free
        self._pool = pool
        self._left = False
        super().__init__(*there, lives=lives)  # type: ignore[misc]  # they are all but the last one

    @property
    def is_free(self) -> bool:
        """Whether its worker is there and runs nothing."""
        return self.life.up and self.life.running is None

    def _go_on(self) -> None:
        super()._go_on()
        if self.is_free and not self._left:
            self._pool.is_free(self)

    def dismiss(self) -> None:
        """Let the worker leave, and have no other one."""
        self._left = True
        self.leave()

    def _bury(self, life: Life, error: BaseException) -> None:
        if self._left:
            life.door.close()
        else:
            super()._bury(life, error)

    def _go_after(self) -> None:
        if self._pool.wants(self):
            super()._go_after()
        else:
            self._left = True
            self._pool.has_died(self)


class Needing:
    """The calls that need something, and the workers that have it. Belongs to the thread that has the slots.

    Args:
        rows: The numbers that its slots may have.
        make: Makes a slot.
        others: The slots of calls that need nothing, each of which takes a CPU.
        say: For messages to the driver.
        events: Where to put what happens in other threads.
        patience: Seconds that a call waits for a machine that has what it needs, where there is none.
    """

    def __init__(
        self,
        rows: Iterable[int],
        make: Make,
        others: Sequence[Slot],
        say: Say,
        events: Events,
        patience: float = PATIENCE,
    ) -> None:
        self.slots: list[NeedingSlot] = []
        self._rows = list(rows)
        self._make, self._others, self._say, self._events = make, others, say, events
        self._patience = patience
        self._waiting: deque[_Waiting] = deque()
        self._is_looking = False

    # --- calls ---

    def call(self, number: int, resources: Resources, frame: bytes) -> None:
        """Run a call on a worker that has *resources*, as soon as there is one."""
        self._waiting.append(_Waiting(number, resources, frame, time.monotonic()))
        free = next((slot for slot in self.slots if slot.is_free and slot.resources == resources), None)
        if free is not None:
            self.is_free(free)
        else:
            self._balance()
        if self._waiting:
            self._look_later()

    def kill(self, number: int) -> bool:
        """End the worker that is at that call, or do not begin it. False where it is none of these calls."""
        for one in self._waiting:
            if one.number == number:
                self._waiting.remove(one)
                self._say(UNSTARTED, number, b"")
                return True
        slot = next((slot for slot in self.slots if slot.life.running == number), None)
        if slot is not None:
            slot.kill(number)
        return slot is not None

    # --- workers ---

    def is_free(self, slot: NeedingSlot) -> None:
        """The worker of *slot* could run a call."""
        following = next((one for one in self._waiting if one.resources == slot.resources), None)
        slot.turn += 1
        if following is not None:
            self._waiting.remove(following)
            slot.call(following.number, following.frame)
        elif not self._waiting:
            later = threading.Timer(_IDLE, self._events.put, (partial(self._has_waited, slot, slot.turn),))
            later.daemon = True
            later.start()
        self._balance()

    def _has_waited(self, slot: NeedingSlot, turn: int) -> None:
        if slot in self.slots and slot.is_free and slot.turn == turn:
            self._dismiss(slot)

    def wants(self, slot: NeedingSlot) -> bool:
        """Whether a call waits for what *slot* has."""
        return any(one.resources == slot.resources for one in self._waiting)

    def has_died(self, slot: NeedingSlot) -> None:
        """The worker of *slot* is dead, and nobody wants another one."""
        self.slots.remove(slot)
        self._rows.append(slot.number)
        self._balance()

    def _dismiss(self, slot: NeedingSlot) -> None:
        self.slots.remove(slot)
        self._rows.append(slot.number)
        slot.dismiss()

    def _balance(self) -> None:
        """Let workers go that nobody waits for where somebody waits for others, and start as many as are waited for."""
        kinds = [one.resources for one in self._waiting]
        for slot in list(self.slots):
            on_its_way = not slot.life.up
            if on_its_way and slot.resources in kinds:
                kinds.remove(slot.resources)
            elif on_its_way or (slot.is_free and self._is_in_the_way(slot)):
                self._dismiss(slot)
        for resources in kinds:
            if self._rows:
                self._start(resources)

    def _start(self, resources: Resources) -> None:
        row = self._rows.pop(0)
        try:
            self.slots.append(self._make(self, row, resources))
        except ValueError as error:  # a half of two GPUs, for example
            self._rows.append(row)
            self._give_up(resources, why=str(error))

    def _give_up(self, resources: Resources, **facts: Any) -> None:
        """Tell the end of the calls that wait for *resources*."""
        for one in [one for one in self._waiting if one.resources == resources]:
            self._waiting.remove(one)
            self._say(MISSING, one.number, json.dumps({"resources": resources, **facts}).encode())

    def _is_in_the_way(self, slot: NeedingSlot) -> bool:
        """Whether a call waits, perhaps for what *slot* has, or for its place."""
        return any(not self._rows or one.resources.keys() & slot.resources.keys() for one in self._waiting)

    # --- machines ---

    def machines(self) -> list[Resources]:
        """What each machine has, beside the CPUs that the workers of other calls take there."""
        nodes: Any = ray.nodes  # not annotated
        found: list[Resources] = []
        for node in nodes():
            if node["Alive"]:
                has = {name: much for name, much in node["Resources"].items() if not name.startswith(_NO_NEED)}
                has["CPU"] = has.get("CPU", 0.0) - sum(one.life.node == node["NodeID"] for one in self._others)
                found.append({name: much for name, much in has.items() if much > 0})
        return found

    def _look_later(self) -> None:
        if not self._is_looking:
            self._is_looking = True
            later = threading.Timer(_OFTEN, self._events.put, (self._look,))
            later.daemon = True
            later.start()

    def _look(self) -> None:
        """Give up the calls for which there has been no machine for a while."""
        self._is_looking = False
        if not self._waiting:
            return
        machines, now = self.machines(), time.monotonic()
        for one in list(self._waiting):
            if any(times(has, one.resources) for has in machines):
                one.seen = now
            elif now > one.seen + self._patience:
                self._give_up(one.resources, machines=machines)
        self._balance()
        if self._waiting:
            self._look_later()


def quiet(say: Say) -> Say:
    """*say*, without what only matters of slots that the driver counts."""

    def tell(kind: bytes, number: int, body: bytes) -> None:
        if kind != DOWN:
            say(kind, number, body)

    return tell
