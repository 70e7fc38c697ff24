"""Drivers are killed at every failpoint and at random: another process goes on, and nobody can tell from the output."""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from kept_sinks import PRELOAD, SINKS, KeptSink, left
from tried import INSTALLED

from pipe_core.runs.journal import read_journal
from pipe_core.runtime.failpoints import NAMES
from pipe_core.testing.faults import Drivers, Ended, Gate, Oracle

USUAL = ("jsonl", "csv", "parquet", "sqlite")
"""The sinks that are tried with every change; the others take longer together."""

pytestmark = [
    pytest.mark.timeout(170),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="programs are forks of a warm process"),
]

PROGRAM = Path(__file__).with_name("kept_program.py")
ORACLE = Oracle(6_000, dropped=lambda n: n % 10 == 7)
EXECUTORS = [name for name in ("sync", "threads", "loky") if name in INSTALLED]
ALIKE = ("json", "gzip", "parts")
"""Written as files of JSON lines are: half of the places are enough for every day."""
ONCE = ("run.planned", "run.ended", *(name for name in NAMES if ".commit." in name))
"""Where a run comes once; everywhere else it comes with each chunk."""


@pytest.fixture(scope="module")
def drivers() -> Iterator[Drivers]:
    with Drivers(PRELOAD) as drivers:
        yield drivers


@dataclass(frozen=True)
class Ground:
    """Where programs run, each in a folder of its own.

    Attributes:
        drivers: Runs them.
        folder: Where their folders go.
        sink: What they write to.
    """

    drivers: Drivers
    folder: Path
    sink: KeptSink

    def made(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    def run(self, folder: Path, what: str, executor: str, **options: Any) -> Ended:
        asked = {"source": str(self.folder / "in.jsonl"), "chunk_size": 750}
        environment = {"PIPE_TEST_OPTIONS": json.dumps(asked), "PIPE_TEST_FSYNC": "none"}
        target = self.sink.target.replace("{table}", table_of(folder))
        return self.drivers.run(PROGRAM, what, executor, target, folder=folder, environment=environment, **options)

    def outcome(self, folder: Path) -> Any:
        """All that must be as in an undisturbed run."""
        return self.sink.content(folder), (folder / "bad.jsonl").read_bytes(), left(folder)


def table_of(folder: Path) -> str:
    return folder.name.replace("-", "_").replace(".", "_")


def ground(
    drivers: Drivers, folder: Path, sink: KeptSink, oracle: Oracle = ORACLE
) -> tuple[Ground, Any, dict[str, Any]]:
    """Where programs run, and what an undisturbed one leaves and says."""
    oracle.write(folder / "in.jsonl")
    here = Ground(drivers, folder, sink)
    whole = here.made("undisturbed")
    ended = here.run(whole, "begin", "sync")
    assert ended.code == 0, ended
    oracle.check_counts(ended.said)
    return here, here.outcome(whole), ended.said


def same(said: dict[str, Any], whole: dict[str, Any]) -> bool:
    return {**said, "resumed_at": None} == {**whole, "resumed_at": None}


def cases(name: str, *, whole: bool) -> Iterator[tuple[str, int]]:
    """Each place, the first time that a run comes there or a later one; both where *whole*, and of JSON lines."""
    for number, place in enumerate(NAMES, list(SINKS).index(name) if name in SINKS else 0):
        later = _later(place, SINKS.get(name))
        moments = [1] if later is None else [1, later]
        if whole or name == "jsonl":
            yield from ((place, moment) for moment in moments)
        elif name not in ALIKE or number % 2:
            yield place, moments[number // 2 % len(moments)]


def _later(place: str, sink: KeptSink | None) -> int | None:
    """A later time at which a run comes to a place; None where there is none."""
    only_final = sink is not None and sink.only_final
    if place.startswith("file."):  # the first is no checkpoint
        return 2 if only_final else 3
    return None if place in ONCE or (only_final and place.startswith("checkpoint.")) else 2


def in_turn(seed: int) -> Iterator[tuple[str, str]]:
    """The executor that dies and the one that goes on. Workers of other processes take long to start: they are rare."""
    quick = [name for name in EXECUTORS if name != "loky"]
    pairs = list(itertools.permutations(quick, 2)) or [(quick[0], quick[0])]
    for number in itertools.count(seed):
        dies, goes_on = pairs[number % len(pairs)]
        if "loky" in EXECUTORS and number % 24 == 0:
            dies = "loky"
        if "loky" in EXECUTORS and number % 24 == 12:
            goes_on = "loky"
        yield dies, goes_on


def each(check: Callable[..., str | None], arguments: Sequence[tuple[Any, ...]]) -> list[str]:
    """What is wrong, of two cases at a time."""
    with ThreadPoolExecutor(2) as pool:
        return [found for found in pool.map(lambda one: check(*one), arguments) if found is not None]


def check_each_failpoint(
    name: str, sink: KeptSink, drivers: Drivers, folder: Path, *, whole_table: bool = False
) -> None:
    here, expected, whole = ground(drivers, folder, sink)

    def check(point: str, moment: int, executors: tuple[str, str]) -> str | None:
        case = f"{point}@{moment}, {executors[0]} and then {executors[1]}"
        folder = here.made(f"{point}-{moment}")
        died = here.run(folder, "begin", executors[0], failpoints=f"{point}=kill@{moment}")
        if not died.killed:
            return f"{case}: it was to be killed, and ended with {died}"
        ended = here.run(folder, "go-on", executors[1])
        if ended.code:
            return f"{case}: {ended}"
        if not same(ended.said, whole):
            return f"{case}: it counts {ended.output}"
        return None if here.outcome(folder) == expected else f"{case}: other contents, or something is left"

    turns = in_turn(len(name))
    problems = each(check, [(*case, next(turns)) for case in cases(name, whole=whole_table)])
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    "name", [name if name in USUAL else pytest.param(name, marks=pytest.mark.thorough) for name in SINKS]
)
def test_a_driver_is_killed_at_each_failpoint(name: str, drivers: Drivers, tmp_path: Path) -> None:
    if not SINKS[name].installed:
        pytest.skip(f"{SINKS[name].needs} is not installed")
    check_each_failpoint(name, SINKS[name], drivers, tmp_path)


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SINKS)
def test_a_driver_is_killed_at_each_failpoint_early_and_late(name: str, drivers: Drivers, tmp_path: Path) -> None:
    if not SINKS[name].installed:
        pytest.skip(f"{SINKS[name].needs} is not installed")
    check_each_failpoint(name, SINKS[name], drivers, tmp_path, whole_table=True)


@pytest.mark.parametrize(
    "executor",
    [
        pytest.param(name, marks=[] if name == "asyncio" else pytest.mark.thorough)
        for name in ("asyncio", "dask", "ray")
        if name in INSTALLED
    ],
)
def test_a_run_goes_from_and_to_every_other_executor(executor: str, drivers: Drivers, tmp_path: Path) -> None:
    here, expected, whole = ground(drivers, tmp_path, SINKS["jsonl"])
    for dies, goes_on in ((executor, "sync"), ("sync", executor)):
        folder = here.made(f"{dies}-{goes_on}")
        assert here.run(folder, "begin", dies, failpoints="commit.after=kill@3").killed
        ended = here.run(folder, "go-on", goes_on)
        assert ended.code == 0, ended
        assert ended.said["resumed_at"]
        assert same(ended.said, whole)
        assert here.outcome(folder) == expected


@pytest.mark.parametrize("name", SINKS)
def test_a_checkpoint_comes_before_the_first_row(name: str, drivers: Drivers, tmp_path: Path) -> None:
    if not SINKS[name].installed:
        pytest.skip(f"{SINKS[name].needs} is not installed")
    late = Oracle(6_000, invalid=lambda n: n < 4_000)
    here, expected, whole = ground(drivers, tmp_path, SINKS[name], late)
    folder = here.made("killed")
    assert here.run(folder, "begin", "sync", failpoints="commit.after=kill@2").killed
    ended = here.run(folder, "go-on", "sync")
    assert ended.code == 0, ended
    assert same(ended.said, whole)
    assert here.outcome(folder) == expected


@pytest.fixture(scope="module")
def sql() -> ModuleType:
    """The databases that the tests of pipe-sql have."""
    path = Path(__file__).parents[2] / "plugins/pipe-sql/tests/conftest.py"
    spec = spec_from_file_location("databases_of_pipe_sql", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.mark.chaos
@pytest.mark.skipif(not SINKS["sqlite"].installed, reason="pipe_sql is not installed")
def test_a_driver_that_writes_to_a_server_is_killed_at_each_failpoint(
    sql: ModuleType, drivers: Drivers, tmp_path: Path
) -> None:
    with contextmanager(sql.server.__wrapped__)() as server, contextmanager(sql.postgres.__wrapped__)(server) as base:

        def content(folder: Path) -> Any:
            return base.run(f'SELECT n FROM "{table_of(folder)}" ORDER BY n')

        check_each_failpoint("postgres", KeptSink(f"{base.url}?table={{table}}", content), drivers, tmp_path)
        tables = {name for (name,) in base.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
        assert tables - {"_pipe_commits"} == {table_of(path) for path in tmp_path.iterdir() if path.is_dir()}, (
            "rows that wait are left"
        )


# --- at any time ---


def is_complete(folder: Path) -> bool:
    """Whether a run was complete, and noted that, before its process was killed."""
    events = [event for path in folder.glob("runs/*/journal.jsonl") for event in read_journal(path)]
    return any(event["event"] == "end" and event["status"] == "completed" for event in events)


def killed_until_it_is_done(here: Ground, folder: Path, chance: random.Random, expected: Any) -> int:
    """How often a run was killed, each time on another executor, before it came to its end."""
    kills = 0
    while not is_complete(folder):
        executor = "loky" if "loky" in EXECUTORS and chance.random() < 0.05 else chance.choice(EXECUTORS[:2])
        # Who is always killed while it begins gets no further.
        after = None if kills % 10 == 9 else chance.uniform(0, 2 if executor == "loky" else 0.5)
        ended = here.run(folder, "go-on", executor, kill_after=after)
        assert ended.killed or ended.code == 0, (folder, ended)
        kills += ended.killed
    assert here.outcome(folder) == expected, folder
    return kills


def check_random_kills(count: int, names: Sequence[str], drivers: Drivers, folder: Path, seed: int) -> None:
    chance, grounds = random.Random(seed), []
    for name in names:
        place = folder / name
        place.mkdir()
        grounds.append(ground(drivers, place, SINKS[name]))
    kills = 0
    for number in itertools.count():
        if kills >= count:
            return
        here, expected, _ = chance.choice(grounds)
        kills += killed_until_it_is_done(here, here.made(f"case-{number}"), chance, expected)


def test_drivers_are_killed_at_random(drivers: Drivers, tmp_path: Path) -> None:
    check_random_kills(10, ["jsonl", "parts"], drivers, tmp_path, 1)


@pytest.mark.chaos
@pytest.mark.timeout(3600)
def test_a_thousand_drivers_are_killed_at_random(drivers: Drivers, tmp_path: Path) -> None:
    check_random_kills(1_000, [name for name in SINKS if SINKS[name].installed], drivers, tmp_path, 2)


# --- who is left ---


@pytest.mark.parametrize("executor", [name for name in EXECUTORS if name != "sync"])
@pytest.mark.parametrize("point", ["source.take.before", "checkpoint.kept"])
def test_nobody_outlives_a_driver_that_is_killed_at_a_failpoint(
    executor: str, point: str, drivers: Drivers, tmp_path: Path
) -> None:
    ORACLE.write(tmp_path / "in.jsonl")
    driver = drivers.start(
        PROGRAM, "begin", executor, "out.jsonl", folder=tmp_path, failpoints=f"{point}=hang@2",
        environment={"PIPE_TEST_OPTIONS": json.dumps({"chunk_size": 750})},
    )  # fmt: skip
    kept = f"{point} is not reached"
    deadline = time.monotonic() + 60
    while not (list(tmp_path.glob("runs/*/checkpoint.json")) and (executor == "threads" or driver.family())):
        assert driver.poll() is None, kept
        assert time.monotonic() < deadline, kept
    driver.kill()
    assert driver.wait().killed
    assert driver.orphans(6.0) == []  # two seconds, on a machine with nothing else to do
    assert drivers.run(PROGRAM, "go-on", "sync", "out.jsonl", folder=tmp_path).code == 0
    ORACLE.check_files(tmp_path / "out.jsonl", tmp_path / "bad.jsonl")


# --- two at once ---


GATED = """
import json, sys
from pipe_core import Pipe, PipeError
from pipe_core.testing.faults import Gate, Number, drop_marked

gate = Gate(".", "begun")

def wait(entry, store):
    if entry.position >= 1_500:
        gate.pass_through()

wait.needs_position = True

pipe = Pipe("in.jsonl", "out.jsonl", schema=Number, errors="bad.jsonl", pre_validation_hooks=[drop_marked, wait],
            chunk_size=750, checkpoint="runs", checkpoint_seconds=1e-9)
try:
    pipe.resume(sys.argv[2]) if sys.argv[1] == "resume" else pipe.run()
    print(json.dumps("completed"))
except PipeError as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


def test_of_two_that_resume_a_run_at_once_one_goes_on(drivers: Drivers, tmp_path: Path) -> None:
    ORACLE.write(tmp_path / "in.jsonl")
    script = tmp_path / "gated.py"
    script.write_text(GATED)
    assert drivers.run(script, "run", folder=tmp_path, failpoints="checkpoint.kept=kill@1").killed
    (run,) = (path.name for path in (tmp_path / "runs").iterdir())
    for kill in (True, True, False):  # whoever has the lock is killed twice: it is taken over
        both = [drivers.start(script, "resume", run, folder=tmp_path) for _ in range(2)]
        while (ended := next((one for one in both if one.poll() is not None), None)) is None:
            continue
        name, text = ended.wait().said
        other = both[1 - both.index(ended)]
        assert (name, other.poll()) == ("RunLockedError", None)
        assert f"{run} goes on in " in text
        if kill:
            other.kill()
            assert other.wait().killed
    Gate(tmp_path, "begun").open()
    assert other.wait().said == "completed"
    ORACLE.check_files(tmp_path / "out.jsonl", tmp_path / "bad.jsonl")
    assert "ResumeError" in drivers.run(script, "resume", run, folder=tmp_path).said
