"""Worker processes that pull calls: a thread for each slot starts its worker, feeds it, and starts another if it dies.

loky starts the processes, without running the caller's script again. The way of the calls is our own: loky's pool
shares one queue among all workers and gives everything up when one of them dies; here a death touches one call.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from pipe_core import Backend, BackendLost, Call, Done, Outcome, Take
from pipe_core.runtime.beat import Board
from pipe_core.runtime.spool import Spool
from pipe_loky.process import Worker

_STARTS: Final = 3
"""How often in a row a worker may die before its first answer without a call to blame."""


class LokyBackend(Backend):
    """One worker process a slot."""

    def start(self, slots: int, take: Take, done: Done) -> None:
        """Start a thread for each slot, and each thread its worker, at once: workers take long to come up."""
        self._take, self._done = take, done
        self._spool = Spool()
        self._board = Board(self._spool.folder / "board", slots)
        self._workers: list[Worker | None] = [None] * slots
        self._lock = threading.Lock()
        self._killing = False
        self._left = slots
        self._threads = [
            threading.Thread(target=self._serve, args=(slot,), name=f"pipe-loky-{slot}", daemon=True)
            for slot in range(slots)
        ]
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Nothing to do: the threads of the slots sleep in ``take``."""

    # --- one slot, in its thread ---

    def _serve(self, slot: int) -> None:
        failed = 0
        try:
            while failed < _STARTS and not self._killing:
                worker = self._started(slot)
                if worker is None or not self._feed(slot, worker):
                    return
                failed = 0 if worker.useful else failed + 1
            self._refuse(slot)
        finally:
            self._leave(slot)

    def _started(self, slot: int) -> Worker | None:
        with self._lock:
            worker = self._workers[slot] = None if self._killing else Worker(slot, self._board)
        return worker

    def _feed(self, slot: int, worker: Worker) -> bool:
        """Feed the worker until there is nothing more, or it dies (True)."""
        hand: deque[Call] = deque()
        try:
            while self._fill(slot, worker, hand):
                answer = worker.receive()
                self._done(hand.popleft(), answer)
        except (EOFError, OSError):
            self._read_rest(worker, hand)
            self._bury(worker, hand)
            return True
        worker.stop()
        return False

    def _fill(self, slot: int, worker: Worker, hand: deque[Call]) -> bool:
        """Take what the slot may have in hand. False when the executor stops."""
        while (call := self._take(slot, wait=not hand)) is not None:
            try:
                frame = call.frame()
            except BaseException as error:  # what cannot travel; told to the one who waits for the call
                self._done(call, Outcome(error=error))
                continue
            hand.append(call)
            worker.send(frame)
        return bool(hand)

    def _read_rest(self, worker: Worker, hand: deque[Call]) -> None:
        """A send may be what fails first: the worker may have answered before it died."""
        with contextlib.suppress(EOFError, OSError):
            while hand:
                answer = worker.receive()
                self._done(hand.popleft(), answer)

    def _bury(self, worker: Worker, hand: deque[Call]) -> None:
        """The one call that the worker had begun ends with its death; the others go to another worker."""
        killed = worker.bury()
        if killed is not None and hand:
            self._done(hand.popleft(), Outcome(error=killed))
        while hand:
            self._done(hand.popleft(), Outcome(unstarted=True))

    def _refuse(self, slot: int) -> None:
        """No worker comes up here: say so to whoever comes, rather than start them for ever."""
        while not self._killing and (call := self._take(slot, wait=True)) is not None:
            lost = BackendLost(
                f"{_STARTS} worker processes of 'loky' died one after the other before they ran a call. What they "
                f"wrote to standard error says why; is the Python at hand still the one that pipe was installed in?"
            )
            self._done(call, Outcome(error=lost))

    def _leave(self, slot: int) -> None:
        with self._lock:
            self._workers[slot] = None
            self._left -= 1
            if self._left:
                return
        self._board.close()
        self._spool.close()

    # --- from other threads ---

    def stop(self, kill: bool = False) -> None:
        """Wait for the threads, each of which ends its worker in order. With *kill* end the workers now."""
        if kill:
            with self._lock:
                self._killing = True
                for worker in self._workers:
                    if worker is not None:
                        worker.kill()
            return
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def kill(self, slot: int) -> None:
        """End the worker of *slot*; another one takes its place."""
        with self._lock:
            worker = self._workers[slot]
        if worker is not None:
            worker.kill()

    def put(self, digest: str, data: bytes) -> Callable[[str], bytes]:
        """Keep *data* in a private folder of this machine."""
        return self._spool.put(digest, data)
