"""Workers are killed at random while a run goes on: nothing is lost, doubled, wrong or out of order, none is blamed."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from killing import noted, noting
from oracle import Number, verdict
from starting import Started
from tried import NEEDS_LOKY, PROCESSES

from pipe_core import Executor, Pipe
from pipe_core.testing.executing.gates import alive

pytestmark = [NEEDS_LOKY, pytest.mark.timeout(170), pytest.mark.alone]  # slowed down, two kills may meet at one record


class Assassin:
    """Kills one worker after the other, each as soon as it has said that it works and a little while later.

    Args:
        folder: Where the workers write down that they are there.
        kills: How many to kill.
    """

    def __init__(self, folder: Path, kills: int) -> None:
        self.killed = 0
        self.over = threading.Event()
        self._folder = folder
        self._wanted = kills
        self._random = random.Random(7)
        self._thread = threading.Thread(target=self._work, daemon=True)

    def numbers(self) -> Iterator[dict[str, int]]:
        """Integers for as long as there are workers to kill."""
        self._thread.start()
        n = 0
        while not self.over.is_set():
            yield {"n": n}
            n += 1
        self.count = n

    def _work(self) -> None:
        deadline = time.monotonic() + 30 + 2.5 * self._wanted
        dead: set[int] = set()
        while self.killed < self._wanted and time.monotonic() < deadline:
            pids = {int(pid) for what, pid, _ in noted(self._folder) if what == "setup"}
            living = sorted(pid for pid in pids - dead if alive(pid))
            time.sleep(self._random.uniform(0, 0.5))
            if living:
                victim = self._random.choice(living)
                os.kill(victim, signal.SIGKILL)
                dead.add(victim)
                self.killed += 1
        self.over.set()


def run(executor: Executor, folder: Path, kills: int, **options: Any) -> None:
    assassin = Assassin(folder, kills)

    def work(entry: Any, store: Any) -> None:
        import time

        time.sleep(0.0001)  # the workload: long enough to be killed in the middle of

    good: list[int] = []
    bad: list[Any] = []
    report = Pipe(
        assassin.numbers(),
        lambda row: good.append(row["n"]),
        schema=Number,
        errors=bad,
        executor=executor,
        pre_validation_hooks=[noting(folder), work],
        **options,
    ).run()
    assert assassin.killed == kills
    assert (verdict(good, assassin.count), bad, report.read) == ({}, [], assassin.count)
    assert 0 < report.worker_deaths <= kills  # one that has nothing to do dies unnoticed


def test_fifty_workers_are_killed(loky: Executor, tmp_path: Path) -> None:
    run(loky, tmp_path, 50)


@pytest.mark.parametrize("name", [name for name in PROCESSES if name != "loky"])
def test_some_workers_of_a_cluster_are_killed(name: str, started: Started, tmp_path: Path) -> None:
    run(started[name], tmp_path, 4)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_a_thousand_workers_are_killed(loky: Executor, tmp_path: Path) -> None:
    run(loky, tmp_path, 1000)
