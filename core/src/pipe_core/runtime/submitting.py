"""The adapter for systems that only take submissions: adopted executors, Dask, Ray.

It hands over what the executor lets its slots have in hand and refills a slot the moment a call of it has ended, so
that a later, more urgent call still finds its place.
"""

from __future__ import annotations

import threading
from abc import abstractmethod

from pipe_core.kernel.contracts import Backend, Call, Done, Outcome, Take
from pipe_core.kernel.errors import UnsupportedCapabilityError


class SubmittingBackend(Backend):
    """A backend whose system takes calls by submission. Write `submit`, and say `ended` when a call has ended.

    Where the system does not say which of its workers runs what, slots are only a count.
    """

    name = "unnamed"
    """What users type, for messages."""

    def start(self, slots: int, take: Take, done: Done) -> None:
        """Remember where calls come from and where their ends are told."""
        self._take, self._done = take, done
        self._hands = [0] * slots
        self._lock = threading.Lock()
        self._here = threading.local()

    @abstractmethod
    def submit(self, slot: int, call: Call) -> None:
        """Hand *call* over. Must lead to one call of `ended`, from any thread; what it raises ends the call."""

    def wake(self) -> None:
        """Hand over what there is, to the slot with the least in hand."""
        if getattr(self._here, "waking", False):
            return  # further up this stack: a call ended while it was handed over, and the loop below goes on
        self._here.waking = True
        try:
            while True:
                with self._lock:
                    slot = self._hands.index(min(self._hands))
                    self._hands[slot] += 1
                call = self._take(slot)
                if call is None:
                    with self._lock:
                        self._hands[slot] -= 1
                    return
                try:
                    self.submit(slot, call)
                except BaseException as error:  # told to the one who waits for the call
                    self.ended(slot, call, Outcome(error=error))
        finally:
            self._here.waking = False

    def ended(self, slot: int, call: Call, outcome: Outcome | bytes) -> None:
        """The call has ended. Bytes are the answer of `wire.run_frame`."""
        with self._lock:
            self._hands[slot] -= 1
        self._done(call, outcome)
        self.wake()

    @abstractmethod
    def stop(self, kill: bool = False) -> None:
        """Give back everything that was started."""

    def everywhere(self, frame: bytes) -> list[bytes]:
        """Not offered, unless a backend says otherwise: which worker has which slot is the system's affair."""
        raise UnsupportedCapabilityError(
            f"The executor '{self.name}' does not say which workers it has.",
            capability="everywhere",
            executor=self.name,
        )
