"""The kit for executors passes backends that are right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from executor_runs import GROUND, Run

GOOD = (
    GROUND
    + """

class Loop(Threads):
    '''An event loop on a thread of its own; plain functions run in threads.'''

    capabilities = Capabilities(isolation="thread", native_async=True)

    def start(self, slots, take, done):
        self.take, self.done, self.free = take, done, set(range(slots))
        self.pool, self.loop = ThreadPoolExecutor(slots), asyncio.new_event_loop()
        self.threads = [threading.Thread(target=self.serve, daemon=True)]
        self.threads[0].start()
        self.tasks, self.lock = set(), threading.Lock()

    def coroutine_loop(self):
        return self.loop

    def wake(self):
        self.loop.call_soon_threadsafe(self.pull)

    def pull(self):
        while self.free and (call := self.take(slot := min(self.free))) is not None:
            self.free.discard(slot)
            context = call.context if call.is_async else None  # `run` enters it itself
            task = self.loop.create_task(self.run(slot, call), context=context)
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def run(self, slot, call):
        try:
            outcome = await (call.arun() if call.is_async else self.loop.run_in_executor(self.pool, call.run))
        except RuntimeError as error:  # the pool was shut down between the call's taking and its beginning
            outcome = Outcome(error=error)
        self.free.add(slot)
        self.done(call, outcome)
        self.pull()

    def stop(self, kill=False):
        self.pool.shutdown(wait=not kill)
        with self.lock:
            if not self.loop.is_closed():
                self.loop.call_soon_threadsafe(self.last)
        super().stop(kill)

    def last(self):
        if self.tasks:
            self.loop.call_later(0.001, self.last)
        else:
            self.loop.stop()

    def serve(self):
        self.loop.run_forever()
        with self.lock:
            self.loop.close()


class TestLoop(Kit):
    made = Loop
    patience = 10.0

class OtherLoop(Loop):
    def coroutine_loop(self):
        return asyncio.new_event_loop()

class TestOtherLoop(Kit):
    made = OtherLoop
    patience = 10.0

class TestThreads(Kit):
    made = Threads
    patience = 10.0

class TestProcesses(Kit):
    made = Processes
    patience = 10.0
    start_seconds = 10.0
"""
)


@pytest.mark.parametrize("name", ["Threads", "Loop", "Processes"])
def test_the_kit_passes_a_backend_that_is_right(name: str, tmp_path: Path) -> None:
    output = Run(tmp_path / "run", GOOD, f"test_made.py::Test{name}").output()
    assert re.search(r"^\d{2,} passed, \d+ skipped in", output, re.MULTILINE), output


def test_the_kit_fails_a_backend_that_gives_another_loop(tmp_path: Path) -> None:
    name = "test_made.py::TestOtherLoop::test_asynchronous_functions_run_on_its_own_loop"
    assert "coroutine_loop() gives another one" in Run(tmp_path / "run", GOOD, name).output()
