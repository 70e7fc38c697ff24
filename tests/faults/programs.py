"""Programs in processes of their own, which get signals, and what they leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

TAG = "PIPE_TEST_TAG"

SCRIPT = """
import pathlib, sys, time
from pydantic import BaseModel
from pipe_core import Pipe

class Number(BaseModel):
    n: int

def work(entry, store):
    time.sleep(0.001)  # the workload

def numbers():
    n = 0
    while True:
        yield {"n": n}
        n += 1

pathlib.Path("ready").touch()
pipe = Pipe(numbers(), "out.jsonl", schema=Number, errors="bad.jsonl", mode="overwrite",
            pre_validation_hooks=[work], executor=sys.argv[1])
try:
    pipe.run(handle_sigterm=True)
except KeyboardInterrupt:
    sys.exit(130)
"""

CODE = """
import pathlib, time
from pydantic import BaseModel

pathlib.Path("ready").touch()

class Number(BaseModel):
    n: int

def work(entry, store):
    time.sleep(0.001)  # the workload
"""

FILE = """
pipe:
  source: numbers.csv
  schema: code.py:Number
  pre_validation_hooks: [code.py:work]
  sink: out.jsonl
  errors: bad.jsonl
  mode: overwrite
  executor: {executor}
"""


@dataclass
class Program:
    """A program that runs in a folder of its own. All processes that it starts carry its tag."""

    process: subprocess.Popen[str]
    folder: Path
    tag: str

    def wait_until_ready(self) -> None:
        """Its code was imported, and the run is about to begin."""
        deadline = time.monotonic() + 60
        while not (self.folder / "ready").exists():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, "it does not begin"
            time.sleep(0.005)

    def family(self) -> list[int]:
        """The processes that it started and that live."""
        return [pid for pid in _tagged(self.tag) if pid != self.process.pid]

    def orphans(self, seconds: float) -> list[int]:
        """What still lives of its family after so many seconds."""
        deadline = time.monotonic() + seconds
        while (left := self.family()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left


def _tagged(tag: str) -> Iterator[int]:
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(TAG) == tag:
                yield process.pid
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


@contextmanager
def started(folder: Path, arguments: list[str], **environment: str) -> Iterator[Program]:
    """A program that runs ``python *arguments*``; whatever is left of it is ended at the end of the block."""
    tag = uuid.uuid4().hex
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **environment, TAG: tag},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    program = Program(process, folder, tag)
    try:
        yield program
    finally:
        for pid in _tagged(tag):
            _kill(pid)
        process.kill()
        process.communicate()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def script(folder: Path, executor: str) -> list[str]:
    """A program in Python."""
    (folder / "script.py").write_text(SCRIPT)
    return ["script.py", executor]


def looping(folder: Path, executor: str) -> list[str]:
    """A program in Python that loops over its pipe."""
    (folder / "looping.py").write_text(SCRIPT.replace("pipe.run(handle_sigterm=True)", "for entry in pipe: pass"))
    return ["looping.py", executor]


def command_line(folder: Path, executor: str) -> list[str]:
    """The command ``pipe run``."""
    (folder / "code.py").write_text(CODE)
    (folder / "pipe.yaml").write_text(FILE.format(executor=executor))
    (folder / "numbers.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(300_000)))
    return ["-m", "pipe_core.cli", "run", "pipe.yaml", "--no-progress"]


WAYS: dict[str, Callable[[Path, str], list[str]]] = {"script": script, "command line": command_line}
