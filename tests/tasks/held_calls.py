"""What the tests of task executors share: calls that run until they are let go, notes of calls, and waits."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import pytest

from pipe_core import TaskExecutor

LIMIT = 60.0
ON_THREADS = [
    pytest.mark.timeout(120),
    pytest.mark.skipif("threads" not in entry_points(group="pipe_core.executors").names, reason="threads is missing"),
]
"""The marks of tests that make task executors as they come."""


class Gate:
    """Calls that begin, and go on when they are let.

    Attributes:
        begun: Is released once for each call that has begun.
        go: Lets them go on.
    """

    def __init__(self) -> None:
        self.begun, self.go = threading.Semaphore(0), threading.Event()

    def __call__(self, value: Any = None) -> Any:
        self.begun.release()
        assert self.go.wait(LIMIT)
        return value


def held(executor: TaskExecutor) -> Gate:
    """A gate at which calls stand that keep all slots of *executor* busy."""
    gate = Gate()
    for _ in range(executor.slots):
        executor.submit(gate)
    for _ in range(executor.slots):
        assert gate.begun.acquire(timeout=LIMIT)
    return gate


def note(path: str, text: str) -> None:
    """Write *text* into a file, from any process: a line of its own, whoever else writes."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{text}\n".encode())
    os.close(file)


def wait_for(holds: Callable[[], object]) -> None:
    """Return as soon as something holds."""
    deadline = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)
