"""Flight: the pieces that were handed over and have not come back yet."""

from __future__ import annotations

import contextvars
import math
import queue
import time
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipe_core.kernel.contracts import Readable
from pipe_core.records.dispatch import Dispatch
from pipe_core.records.feed import Piece
from pipe_core.records.suspects import Part
from pipe_core.runtime import trace


@dataclass(eq=False, slots=True)
class Try:
    """One piece, or a part of a suspect one, that was handed over."""

    number: int
    piece: Piece
    part: Part | None
    began: float


class Flight:
    """Hands pieces over and waits for them. Only whoever drives the run uses it; `wake` may come from anywhere.

    Args:
        dispatch: The way there.
        run: The run's id, which workers' logs name.

    Attributes:
        context: In which pieces are handed over.
    """

    def __init__(self, dispatch: Dispatch, run: str) -> None:
        self._dispatch = dispatch
        self._back: queue.SimpleQueue[tuple[Try, Future[Any]] | None] = queue.SimpleQueue()
        self._out: dict[Future[Any], Try] = {}
        self.context = contextvars.copy_context()
        self.context.run(trace.run_id.set, run)

    def __len__(self) -> int:
        return len(self._out)

    def begin(self, tried: Try, most: int | None) -> None:
        """Hand a piece over, or its first *most* records."""
        future = self.context.run(self._dispatch.submit, tried.piece, most)
        self._out[future] = tried
        future.add_done_callback(partial(self._ended, tried))

    def _ended(self, tried: Try, future: Future[Any]) -> None:
        self._back.put((tried, future))  # nothing else: decisions are made by whoever drives

    def wake(self) -> None:
        """End the wait of `landed`, though nothing has come back."""
        self._back.put(None)

    def landed(self, seconds: float | None) -> list[tuple[Try, Future[Any]]]:
        """All that has come back; where there is nothing, what comes first within *seconds* (None: for ever)."""
        landed = []
        try:
            event = self._back.get(timeout=seconds) if seconds != 0 else self._back.get_nowait()
            while True:
                if event is not None:
                    del self._out[event[1]]
                    landed.append(event)
                event = self._back.get_nowait()
        except queue.Empty:
            return landed

    def reading(self, readable: Readable) -> list[Future[Any]]:
        """The futures of what reads *readable*."""
        return [future for future, tried in self._out.items() if tried.piece.readable is readable]

    def futures(self) -> list[Future[Any]]:
        """Of all that has not come back."""
        return list(self._out)

    def drain(self, seconds: float) -> bool:
        """Cancel what has not begun and wait for the rest, for at most *seconds*. False when something still runs."""
        until = time.monotonic() + seconds
        for future in self.futures():
            future.cancel()
        while self._out:
            left = None if until == math.inf else until - time.monotonic()
            try:
                event = self._back.get(timeout=left) if left is None or left > 0 else self._back.get_nowait()
            except queue.Empty:
                return False
            if event is not None:
                self._out.pop(event[1], None)
        return True
