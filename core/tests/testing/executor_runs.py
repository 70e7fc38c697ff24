"""What the tests of the kit for executors run: the honest backends that others are made of, and a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

GROUND = '''
import asyncio, struct, subprocess, sys, threading, time
from concurrent.futures import Future, ThreadPoolExecutor
from pipe_core import Backend, Capabilities, Executor, Outcome, WorkerKilled
from pipe_core.runtime.foreign import ForeignBackend
from pipe_core.runtime.spool import Spool
from pipe_core.testing import ExecutorConformance


class Kit(ExecutorConformance):
    made = None
    kind = Executor
    patience = 1.0
    start_seconds = 1.0

    def make_executor(self, prefetch=0):
        return self.kind(self.made(), slots=2, capabilities=self.made.capabilities, prefetch=prefetch)


class Threads(Backend):
    """A thread a slot."""

    capabilities = Capabilities(isolation="thread")

    def start(self, slots, take, done):
        self.take, self.done = take, done
        self.threads = [threading.Thread(target=self.work, args=[slot], daemon=True) for slot in range(slots)]
        for thread in self.threads:
            thread.start()

    def work(self, slot):
        while (call := self.take(slot, wait=True)) is not None:
            self.end(slot, call)
            del call

    def end(self, slot, call):
        self.done(call, call.run())

    def wake(self):
        """The threads sleep in take."""

    def stop(self, kill=False):
        for thread in self.threads:
            if not kill and thread is not threading.current_thread():
                thread.join()


WORKER = """
import os, signal, struct, sys
answers = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)
signal.signal(signal.SIGINT, signal.SIG_IGN)
from pipe_core.runtime.wire import run_frame
while head := sys.stdin.buffer.read(8):
    answer = run_frame(sys.stdin.buffer.read(*struct.unpack("<Q", head)))
    answers.write(struct.pack("<Q", len(answer)) + answer)
    answers.flush()
"""


class Processes(Threads):
    """A thread a slot, and a process of its own for each of them."""

    capabilities = Capabilities(isolation="process", hard_timeout=True, survives_worker_death=True)

    def start(self, slots, take, done):
        self.spool, self.workers, self.lock = Spool(), {}, threading.Lock()
        super().start(slots, take, done)

    def end(self, slot, call):
        try:
            frame = call.frame()
        except Exception as error:
            self.done(call, Outcome(error=error))
            return
        worker = self.worker(slot)
        try:
            worker.stdin.write(struct.pack("<Q", len(frame)) + frame)
            worker.stdin.flush()
            head = worker.stdout.read(8)
            answer = worker.stdout.read(*struct.unpack("<Q", head)) if head else None
        except OSError:
            answer = None
        if answer is None:
            self.died(slot, call, worker)
        else:
            self.done(call, answer)

    def worker(self, slot):
        worker = self.workers.get(slot)
        if worker is None or worker.poll() is not None:
            self.close(worker)
            command = [sys.executable, "-c", WORKER]
            worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.workers[slot] = worker
        return worker

    def close(self, worker):
        if worker is not None:
            for file in (worker.stdin, worker.stdout):
                try:
                    file.close()
                except OSError:
                    pass
            worker.wait()

    def died(self, slot, call, worker):
        self.done(call, Outcome(error=WorkerKilled("it died", exit_code=worker.wait())))

    def kill(self, slot):
        self.workers[slot].kill()

    def put(self, digest, data):
        return self.spool.put(digest, data)

    def stop(self, kill=False):
        for worker in self.workers.values() if kill else ():
            worker.kill()
        super().stop()
        with self.lock:
            for slot in list(self.workers):
                self.close(self.workers.pop(slot))
        self.spool.close()
'''


class Run:
    """A pytest of its own over *text*."""

    def __init__(self, folder: Path, text: str, *tests: str) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "test_made.py").write_text(text)
        command = [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=short", "-p", "no:cacheprovider", *tests]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PIPE_")}
        kept["PYTHONPATH"] = str(folder)
        self._output = folder / "output"
        with self._output.open("wb") as file:
            self._process = subprocess.Popen(
                command, cwd=folder, env=kept, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )

    def output(self) -> str:
        try:
            self._process.wait(55)
        finally:
            self._process.kill()
            self._process.wait()
        return self._output.read_text("utf-8")
