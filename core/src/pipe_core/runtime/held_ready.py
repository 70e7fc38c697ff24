"""How many calls busy slots hold ready: what a person said, or the most that anybody asks for, as long as they do."""

from __future__ import annotations

import math
from typing import Any

from pipe_core.runtime.dispatcher import Dispatcher


class HeldReady:
    """Keeps that number of a dispatcher. Its owner holds a lock.

    Args:
        dispatcher: Whose. Where it is infinite it stays so.
        said: By a person, and then nobody changes it; None when nobody said anything.
    """

    def __init__(self, dispatcher: Dispatcher[Any], said: int | None) -> None:
        self._dispatcher = dispatcher
        self._is_fixed = said is not None
        self._asked: list[int] = []

    def ask(self, calls: int) -> None:
        """Somebody wants slots to hold so many, until `release`."""
        self._asked.append(calls)
        self._adapt()

    def release(self, calls: int) -> None:
        """Somebody who asked for so many does so no more."""
        self._asked.remove(calls)
        self._adapt()

    def _adapt(self) -> None:
        if not self._is_fixed and self._dispatcher.ready != math.inf:
            self._dispatcher.ready = max(self._asked, default=0)
