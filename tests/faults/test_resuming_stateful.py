"""A run is killed, starved of room, and moved to other executors and chunk sizes in any order: it comes to its end."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from kept_sinks import PRELOAD, SINKS, left
from tried import INSTALLED

from pipe_core.runs.journal import read_journal
from pipe_core.runtime.failpoints import NAMES
from pipe_core.testing.faults import Drivers, Ended, Oracle

pytestmark = [
    pytest.mark.timeout(170),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="programs are forks of a warm process"),
]

PROGRAM = Path(__file__).with_name("kept_program.py")
ORACLE = Oracle(4_000, invalid=lambda n: n % 50 == 0 or 1_000 <= n < 1_600, dropped=lambda n: n % 10 == 7)
QUICK = [name for name in ("sync", "threads") if name in INSTALLED]


class KeptRunMachine(RuleBasedStateMachine):
    """Does harm to one run, step by step.

    Attributes:
        drivers: Run its programs.
        whole: What an undisturbed run leaves, by the name of the sink.
    """

    drivers: ClassVar[Drivers]
    whole: ClassVar[dict[str, Any]]

    @initialize(name=st.sampled_from(["jsonl", "csv", "parts", "sqlite"]))
    def begin(self, name: str) -> None:
        self.name = name if SINKS[name].installed else "jsonl"
        self.folder = Path(tempfile.mkdtemp(prefix="pipe-kept-"))
        ORACLE.write(self.folder / "in.jsonl")

    @property
    def is_complete(self) -> bool:
        events = [event for path in self.folder.glob("runs/*/journal.jsonl") for event in read_journal(path)]
        return any(event["event"] == "end" and event["status"] == "completed" for event in events)

    def go_on(self, executor: str, size: int | None, *, failpoints: str = "", **options: Any) -> Ended:
        """Begin the run or go on with it; with another one where it is complete, which is a matter of time."""
        if self.is_complete:
            self.another_run_begins(self.name)
        if options.pop("worker_dies", False):
            (self.folder / "a-worker-dies").touch()
        kill_after = options.pop("kill_after", None)
        environment = {"PIPE_TEST_OPTIONS": json.dumps({"chunk_size": size, **options}), "PIPE_TEST_FSYNC": "none"}
        ended = self.drivers.run(
            PROGRAM, "go-on", executor, SINKS[self.name].target, folder=self.folder,
            failpoints=failpoints, environment=environment, kill_after=kill_after,
        )  # fmt: skip
        if ended.code == 0:
            ORACLE.check_counts(ended.said)
        return ended

    executors = st.sampled_from(QUICK)
    sizes = st.sampled_from([None, 200, 500, 1_500])

    @rule(executor=executors, size=sizes, point=st.sampled_from(NAMES), time=st.integers(1, 8))
    def the_driver_is_killed_at_a_point(self, executor: str, size: int | None, point: str, time: int) -> None:
        ended = self.go_on(executor, size, failpoints=f"{point}=kill@{time}")
        assert ended.killed or ended.code == 0, ended

    @rule(executor=executors, size=sizes, seconds=st.floats(0, 0.4))
    def the_driver_is_killed_after_a_time(self, executor: str, size: int | None, seconds: float) -> None:
        ended = self.go_on(executor, size, kill_after=seconds)
        assert ended.killed or ended.code == 0, ended

    @rule(executor=executors, size=sizes, room=st.integers(0, 40_000))
    def the_disk_is_full(self, executor: str, size: int | None, room: int) -> None:
        ended = self.go_on(executor, size, file_size=room)
        assert ended.code == 0 or ended.said["error"] in ("SinkError", "CheckpointError"), ended

    @rule(executor=executors, size=sizes, point=st.sampled_from(NAMES), time=st.integers(1, 8))
    def a_device_fails_at_a_point(self, executor: str, size: int | None, point: str, time: int) -> None:
        ended = self.go_on(executor, size, failpoints=f"{point}=error@{time}")
        assert ended.code == 0 or (ended.code in (1, 3) and not ended.killed), ended

    if "loky" in INSTALLED:

        @rule(size=sizes, point=st.sampled_from(NAMES), time=st.integers(1, 6))
        def a_worker_dies_and_then_the_driver(self, size: int | None, point: str, time: int) -> None:
            ended = self.go_on("loky", size, failpoints=f"{point}=kill@{time}", worker_dies=True)
            assert ended.killed or ended.code == 0, ended
            (self.folder / "a-worker-dies").unlink(missing_ok=True)

    @rule(name=st.sampled_from(["jsonl", "csv", "parts", "sqlite"]))
    def another_run_begins(self, name: str) -> None:
        self.teardown()
        self.begin(name)

    def teardown(self) -> None:
        if not hasattr(self, "folder"):
            return
        if not self.is_complete:
            ended = self.go_on("sync", 500)
            assert ended.code == 0, ended
        found = SINKS[self.name].content(self.folder), (self.folder / "bad.jsonl").read_bytes(), left(self.folder)
        assert found == self.whole[self.name], f"{self.folder}: other contents, or something is left"
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def machine() -> Iterator[type[KeptRunMachine]]:
    with Drivers(PRELOAD) as drivers:
        KeptRunMachine.drivers, KeptRunMachine.whole = drivers, {}
        for name in ("jsonl", "csv", "parts", "sqlite"):
            one = KeptRunMachine()
            one.begin(name)
            assert one.go_on("sync", 500).code == 0
            content = SINKS[one.name].content(one.folder)
            KeptRunMachine.whole[one.name] = content, (one.folder / "bad.jsonl").read_bytes(), left(one.folder)
            shutil.rmtree(one.folder)
        yield KeptRunMachine


def tried(machine: type[KeptRunMachine], examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=examples < 100,
            database=None,
            phases=[Phase.generate],  # to make an example smaller takes longer than to read what was done
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_run_comes_to_its_end_whatever_is_done_to_it(machine: type[KeptRunMachine]) -> None:
    tried(machine, 5, 5)


@pytest.mark.chaos
@pytest.mark.timeout(3600)
def test_a_run_comes_to_its_end_whatever_is_done_to_it_for_long(machine: type[KeptRunMachine]) -> None:
    tried(machine, 100, 12)
