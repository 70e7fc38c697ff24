"""Calls that run and are given up: their worker is killed, or their thread left behind."""

from __future__ import annotations

from concurrent.futures import Future
from time import monotonic
from typing import Any, Final

from pipe_core.kernel.contracts import Backend
from pipe_core.kernel.errors import UnsupportedCapabilityError
from pipe_core.kernel.specs import Capabilities
from pipe_core.runtime.alarm import Alarm
from pipe_core.runtime.dispatcher import Dispatcher
from pipe_core.runtime.task import Task

_AGAIN: Final = 0.5
"""Seconds until a call that was given up and has not ended is killed again."""


class GivingUp:
    """Ends calls that a slot has in hand. Its owner holds a lock.

    Args:
        backend: Where they run.
        capabilities: What it can do.
        dispatcher: Knows which slot has which calls in hand.
        alarm: Rings when a call must be killed again: then comes `kill_again`.
    """

    def __init__(self, backend: Backend, capabilities: Capabilities, dispatcher: Dispatcher[Any], alarm: Alarm) -> None:
        self._backend = backend
        self._capabilities = capabilities
        self._dispatcher = dispatcher
        self._alarm = alarm

    @property
    def possible(self) -> bool:
        """Whether a call that runs can be ended, or left behind."""
        can_abandon = type(self._backend).abandon is not Backend.abandon
        return self._capabilities.hard_timeout or (self._capabilities.isolation == "thread" and can_abandon)

    def give_up(self, future: Future[Any], error: BaseException) -> Task | None:
        """The call of *future*, which fails with *error*: now, when it is in no hand any more, or else at its end.

        None when it has ended, waits, or cannot be given up here.
        """
        task = self._in_hand(future)
        if task is None:
            task = self._dispatcher.recall(lambda task: task.future is future)
            if task is None:
                return None
        elif not self._capabilities.hard_timeout and not self._left_behind(task):
            return None
        task.given_up = error
        if self.is_in_hand(task):
            self.kill(task.slot)
        return task

    def is_in_hand(self, task: Task) -> bool:
        """Whether the slot of *task* still has it: it runs, or is held ready."""
        return task in self._dispatcher.hands[task.slot]

    def kill(self, slot: int) -> None:
        """End the call that *slot* runs if it was given up, which is told as any other end.

        Once more until then, for it may not run yet.
        """
        hand = self._dispatcher.hands[slot]
        if hand and hand[0].given_up is not None:
            self._backend.kill(slot)
            self._alarm.set(monotonic() + _AGAIN)

    def kill_again(self) -> None:
        """End those that were given up and have not ended yet."""
        for slot in range(len(self._dispatcher.hands)):
            self.kill(slot)

    def _in_hand(self, future: Future[Any]) -> Task | None:
        return next((task for hand in self._dispatcher.hands for task in hand if task.future is future), None)

    def _left_behind(self, task: Task) -> bool:
        """Leave the thread behind that runs *task*."""
        if self._capabilities.isolation != "thread" or self._dispatcher.hands[task.slot][0] is not task:
            return False
        try:
            self._backend.abandon(task.slot)  # before its thread can end the call and take the slot's next one
        except UnsupportedCapabilityError:
            return False
        return self._dispatcher.release(task)
