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
        longest: Seconds that pass at most before it kills.
    """

    def __init__(self, folder: Path, kills: int, longest: float) -> None:
        self.killed = 0
        self.over = threading.Event()
        self._folder = folder
        self._wanted = kills
        self._longest = longest
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
            # A system gives numbers of processes again: a life is the line in which a worker said that it works.
            lives = {int(pid): life for life, (what, pid, _) in enumerate(noted(self._folder)) if what == "setup"}
            living = sorted(pid for pid, life in lives.items() if life not in dead and alive(pid))
            time.sleep(self._random.uniform(0, self._longest))
            if living:
                victim = self._random.choice(living)
                os.kill(victim, signal.SIGKILL)
                dead.add(lives[victim])
                self.killed += 1
        self.over.set()


def run(executor: Executor, folder: Path, kills: int, longest: float = 0.5, blamed: int = 0) -> None:
    """Every record is in the sink, but for so many at most that are *blamed*: three workers died while they ran it."""
    assassin = Assassin(folder, kills, longest)

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
    ).run()
    assert assassin.killed == kills
    assert all((row["errors"][0]["type"], row["attempt"]) == ("WorkerKilled", 3) for row in bad), bad
    assert len(bad) <= blamed, bad
    given_up = {row["position"] for row in bad}
    assert (verdict(good, assassin.count, given_up), report.read) == ({}, assassin.count)
    assert len(given_up) == len(bad)
    print(f"{kills} kills, {report.worker_deaths} in the middle of work; {report.read:,} records, {len(bad)} given up")
    assert 0 < report.worker_deaths <= kills  # one that has nothing to do dies unnoticed


def test_fifty_workers_are_killed(loky: Executor, tmp_path: Path) -> None:
    run(loky, tmp_path, 50)


@pytest.mark.parametrize("name", [name for name in PROCESSES if name != "loky"])
def test_some_workers_of_a_cluster_are_killed(name: str, started: Started, tmp_path: Path) -> None:
    run(started[name], tmp_path, 4)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_a_thousand_workers_are_killed(loky: Executor, tmp_path: Path) -> None:
    """One after the other, each as soon as it works: it happens that three of them ran the same record."""
    run(loky, tmp_path, 1000, longest=0.15, blamed=20)
