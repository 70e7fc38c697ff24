"""How calls run: threads that take the next one when they are done with the last."""

import threading

from pipe_core import Backend, Done, Take


class HelloBackend(Backend):
    """One thread a slot."""

    def start(self, slots: int, take: Take, done: Done) -> None:
        """Start the threads."""
        self.threads = [threading.Thread(target=work, args=[slot, take, done], daemon=True) for slot in range(slots)]
        for thread in self.threads:
            thread.start()

    def wake(self) -> None:
        """Nothing to do: a thread without a call sleeps in `take`."""

    def stop(self, kill: bool = False) -> None:
        """Wait for the threads, which end because `take` gives None. A thread cannot wait for itself."""
        for thread in self.threads:
            if not kill and thread is not threading.current_thread():
                thread.join()


def work(slot: int, take: Take, done: Done) -> None:
    """Run calls one after the other until there are no more."""
    while (call := take(slot, wait=True)) is not None:
        done(call, call.run())
        del call  # or an idle thread would keep its last result alive
