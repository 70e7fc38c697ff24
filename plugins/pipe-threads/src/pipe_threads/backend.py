"""Threads that pull calls: each takes the next one when it is done with the last."""

from __future__ import annotations

import threading

from pipe_core import Backend, Done, Outcome, Take

_sizing = threading.Lock()
"""Held while the stack size, which is the whole process's, is another one."""


class ThreadBackend(Backend):
    """One daemon thread a slot, started when there is first something to do for it.

    Args:
        stack_size: Bytes of stack of each thread. Default: the system's.
    """

    name = "threads"

    def __init__(self, stack_size: int | None = None) -> None:
        self._stack_size = stack_size

    def start(self, slots: int, take: Take, done: Done) -> None:
        """Remember where calls come from. Threads are started by `wake`."""
        self._slots, self._take, self._done = slots, take, done
        self._threads: dict[int, threading.Thread] = {}  # by slot
        self._lock = threading.Lock()

    def wake(self) -> None:
        """Start another thread: those that there are have something to do."""
        if len(self._threads) == self._slots:
            return
        with self._lock:
            error = self._start_thread()
            alone = not self._threads
        if error is not None and alone:
            self._refuse(error)

    def _start_thread(self) -> RuntimeError | None:
        """Start a thread for a slot that has none. Gives the reason where the system has no more threads."""
        slot = next((slot for slot in range(self._slots) if slot not in self._threads), None)
        if slot is None:
            return None
        thread = threading.Thread(target=self._work, args=[slot], name=f"pipe-thread-{slot}", daemon=True)
        self._threads[slot] = thread  # before it runs, for it looks whether the slot is its own
        try:
            self._start(thread)
        except RuntimeError as error:
            del self._threads[slot]
            return error
        return None

    def _start(self, thread: threading.Thread) -> None:
        if self._stack_size is None:
            thread.start()
            return
        with _sizing:
            before = threading.stack_size(self._stack_size)
            try:
                thread.start()
            finally:
                threading.stack_size(before)

    def _refuse(self, error: RuntimeError) -> None:
        """There is not one thread: say so to whoever waits."""
        while (call := self._take(0)) is not None:
            self._done(call, Outcome(error=error))

    def _work(self, slot: int) -> None:
        me = threading.current_thread()
        while (call := self._take(slot, wait=True)) is not None:
            self._done(call, call.run())
            del call  # an idle thread must not keep a result alive
            if self._threads.get(slot) is not me:
                return  # left behind: the call was given up, and another thread has the slot

    def stop(self, kill: bool = False) -> None:
        """Join the threads, but not the calling one and none that was left behind. With *kill* join none."""
        if kill:
            return
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()

    def abandon(self, slot: int) -> None:
        """Leave the thread of *slot* behind, with the call that it runs, and start another one."""
        with self._lock:
            del self._threads[slot]
            self._start_thread()  # where the system has no more threads, the next `wake` tries again
