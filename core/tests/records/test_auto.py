"""``executor="auto"``: what it looks at, what it leaves alone, and how people say it."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pipe_core import BaseHook, Kernel, OptionsError, Pipe, PluginNotFoundError, SchemaError, using
from pipe_core.records.advice import auto, sample, source_facts
from pipe_core.records.advice.auto import advise_pipe
from pipe_core.records.advice.sample import Sample, SampleFailed

pytestmark = pytest.mark.alone  # what calls cost and how long they wait is measured

INSTALLED = Kernel().index.names("executors")


class Row(BaseModel):
    n: int


def rows(count: int) -> list[dict[str, Any]]:
    return [{"n": n} for n in range(count)]


def best(*names: str) -> str:
    """The first that is installed; ``sync`` always is."""
    return next((name for name in names if name in INSTALLED), "sync")


def sleepy(entry: Any, store: Any) -> None:
    time.sleep(0.01)


async def sleepy_async(entry: Any, store: Any) -> None:
    import asyncio

    await asyncio.sleep(0.01)


def busy(entry: Any, store: Any) -> None:
    end = time.thread_time() + 0.001
    while time.thread_time() < end:
        pass


def deadly(entry: Any, store: Any) -> None:
    os._exit(7)


class Crowd(BaseHook):
    """Waits once for each chunk, however many records it has."""

    def execute(self, entries: Any, store: Any) -> None:
        time.sleep(0.05)


class Locked:
    """Holds what cannot travel."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __call__(self, entry: Any, store: Any) -> None:
        pass


class SetUpForEver(BaseHook):
    def setup(self, store: Any) -> None:
        time.sleep(60)


class BadSetUp(BaseHook):
    def setup(self, store: Any) -> None:
        raise OSError("no such service")


@pytest.fixture
def no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may take one."""

    def refuse(*_: Any) -> Sample:
        raise AssertionError("a sample was taken")

    monkeypatch.setattr(source_facts, "sample_apart", refuse)


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is best must not depend on the machine of the test."""
    monkeypatch.setattr(source_facts, "cores", lambda: 4)


# --- what is chosen ---


@pytest.mark.usefixtures("no_sample")
@pytest.mark.parametrize("hooks", [[], [busy]])
def test_a_hundred_rows_stay_on_sync_and_are_not_sampled(hooks: list[Any]) -> None:
    report = Pipe(rows(100), schema=Row, pre_validation_hooks=hooks, executor="auto").run()

    assert (report.executor, report.valid) == ("sync", 100)
    assert report.notes == ["auto chose 'sync': about 100 records, done before workers would have started"]


def test_hooks_that_wait_run_at_the_same_time() -> None:
    out: list[Any] = []
    report = Pipe(rows(400), out, schema=Row, pre_validation_hooks=[sleepy], executor="auto").run()

    assert report.executor == best("threads", "asyncio")
    assert [row["n"] for row in out] == list(range(400))
    (note,) = report.notes
    assert note.startswith(f"auto chose '{report.executor}': about 400 records of 1")
    assert "of it waiting" in note
    assert ("pip install pipe-threads" in note) == ("threads" not in INSTALLED)


def test_many_rows_that_wait_long() -> None:
    advice = advise_pipe(Pipe(rows(10_000), schema=Row, pre_validation_hooks=[sleepy]))

    assert (advice.rule, advice.best) == ("waiting", "threads")
    assert advice.executor == best("threads", "asyncio")
    assert advice.facts.seconds is not None
    assert advice.facts.seconds > 95


def test_async_hooks_that_wait() -> None:
    advice = advise_pipe(Pipe(rows(10_000), schema=Row, pre_validation_hooks=[sleepy_async]))

    assert (advice.rule, advice.best) == ("waiting, async hooks", "asyncio")
    assert advice.executor == best("asyncio")
    assert advice.facts.overlap == 10
    assert advice.facts.each is not None
    assert advice.facts.each < 0.008  # ten of them wait at the same time, here as on any executor


def test_hooks_that_compute() -> None:
    advice = advise_pipe(Pipe(rows(20_000), schema=Row, pre_validation_hooks=[busy]))

    assert (advice.rule, advice.best) == ("computing", "loky")
    assert advice.executor == best("loky", "dask", "ray")
    assert advice.install == (None if advice.executor == "loky" or "loky" in INSTALLED else "pip install pipe-loky")


def test_a_hook_for_chunks_is_measured_by_the_chunk() -> None:
    advice = advise_pipe(Pipe(rows(10_000), schema=Row, pre_validation_hooks=[Crowd()]))

    assert advice.facts.each is not None
    assert 0.0005 <= advice.facts.each < 0.005


def test_a_record_that_ends_its_process_asks_for_processes() -> None:
    advice = advise_pipe(Pipe(rows(1_000), schema=Row, pre_validation_hooks=[deadly]))

    assert (advice.rule, advice.best) == ("deadly", "loky")
    assert "the sample ended its process (exit code 7)" in advice.reason


def test_what_cannot_travel_is_not_sampled_and_says_why() -> None:
    report = Pipe(rows(1_000), schema=Row, pre_validation_hooks=[Locked()], executor="auto").run()

    assert report.executor == "sync"
    assert "Locked" in report.notes[0]
    assert "lock" in report.notes[0]


# --- how much there is ---


def test_records_of_a_file_are_estimated_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("n\n" + "".join(f"{10_000_000 + n}\n" for n in range(50_000)))

    known = advise_pipe(Pipe(path, schema=Row)).facts

    assert known.records == pytest.approx(50_000, rel=0.05)
    assert (known.splittable, known.at_least, known.size) == (True, False, path.stat().st_size - 2)


def test_a_compressed_file_is_read_from_its_beginning_only(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps({"n": n, "text": f"{n * 7919 % 100_003:x}"}) + "\n" for n in range(20_000))

    known = advise_pipe(Pipe(path)).facts

    assert not known.splittable
    assert known.records is not None
    assert 4_000 < known.records < 100_000


def test_a_limit_is_the_most_that_there_is(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("n\n" + "".join(f"{n}\n" for n in range(50_000)))

    assert advise_pipe(Pipe(path, limit=700)).facts.records == 700
    assert advise_pipe(Pipe(rows(300), limit=700)).facts.records == 300


@pytest.mark.usefixtures("no_sample")
def test_a_small_file_is_known_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("n\n" + "".join(f"{n}\n" for n in range(5_000)))

    report = Pipe(path, schema=Row, executor="auto").run()

    assert (report.executor, report.valid) == ("sync", 5_000)


def test_nothing_to_read(tmp_path: Path) -> None:
    assert advise_pipe(Pipe([])).executor == "sync"


def test_records_that_fail_are_counted() -> None:
    known = advise_pipe(Pipe([{"n": "x"} if n % 2 else {"n": n} for n in range(400)], schema=Row)).facts

    assert (known.sampled, known.failed) == (200, 100)


# --- what is left alone ---


@pytest.mark.usefixtures("no_sample")
def test_what_can_be_read_once_is_not_touched() -> None:
    taken: list[int] = []

    def generate() -> Iterator[dict[str, Any]]:
        for n in range(300):
            taken.append(n)
            yield {"n": n}

    pipe = Pipe(generate(), schema=Row, executor="auto")
    assert advise_pipe(pipe).rule == "live"
    assert taken == []

    report = pipe.run()
    assert (report.executor, report.read) == ("sync", 300)
    assert "the input is live" in report.notes[0]


@pytest.mark.usefixtures("no_sample")
def test_a_queue_is_not_touched() -> None:
    orders: queue.Queue[Any] = queue.Queue()
    for row in (*rows(50), None):
        orders.put(row)

    assert Pipe(orders, executor="auto").run().read == 50


@pytest.mark.usefixtures("no_sample")
def test_endless_input_with_async_hooks_goes_to_asyncio() -> None:
    endless = ({"n": n} for n in itertools.count())
    advice = advise_pipe(Pipe(endless, pre_validation_hooks=[sleepy_async]))

    assert (advice.executor, advice.best) == (best("asyncio"), "asyncio")


@pytest.mark.usefixtures("no_sample")
def test_a_sized_iterable_may_be_read_only_once() -> None:
    class Counted:
        """As a progress bar around a generator: it has a length, and gives its items once."""

        def __init__(self) -> None:
            self._items = iter(rows(6_000))

        def __len__(self) -> int:
            return 6_000

        def __iter__(self) -> Iterator[Any]:
            return self._items

    source = Counted()
    assert advise_pipe(Pipe(source)).facts.records == 6_000
    assert Pipe(source, executor="auto").run().read == 6_000


def test_records_of_a_list_are_as_they_were() -> None:
    def grow(entry: Any, store: Any) -> None:
        entry["raw_data"].append(1)

    given = [[n] for n in range(300)]
    out: list[Any] = []
    Pipe(given, out, pre_validation_hooks=[grow], executor="auto").run()

    assert out == [[n, 1] for n in range(300)]


def test_what_hooks_remember_of_the_sample_does_not_show_in_the_run() -> None:
    seen: list[int] = []

    def once(entry: Any, store: Any) -> list[Any]:
        """Drops what it has seen before."""
        if entry["raw_data"]["n"] in seen:
            return []
        seen.append(entry["raw_data"]["n"])
        return [entry]

    report = Pipe(rows(300), schema=Row, pre_validation_hooks=[once], executor="auto").run()

    assert (report.executor, report.valid, report.dropped) == ("sync", 300, 0)


def test_sinks_see_the_records_of_the_run_only(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    errors: list[Any] = []
    source = [{"n": "x"} if n == 5 else {"n": n} for n in range(300)]

    Pipe(source, target, errors=errors, schema=Row, pre_validation_hooks=[lambda e, s: None], executor="auto").run()

    assert len(target.read_text().splitlines()) == 299
    assert [row["position"] for row in errors] == [5]


@pytest.mark.usefixtures("no_sample")
@pytest.mark.parametrize("mode", ["ignore", "error"])
def test_hooks_do_not_run_for_a_target_that_exists(tmp_path: Path, mode: Any) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("old\n")
    pipe = Pipe(rows(1_000), target, pre_validation_hooks=[sleepy], mode=mode, executor="auto")

    if mode == "ignore":
        assert pipe.run().read == 0
    else:
        with pytest.raises(FileExistsError):
            pipe.run()
    assert target.read_text() == "old\n"


# --- a sample that goes wrong ---


@pytest.mark.parametrize(
    ("hook", "reason"),
    [(SetUpForEver(), "hooks were still in their setup"), (BadSetUp(), "BadSetUp failed in setup: OSError")],
)
def test_a_sample_that_fails_is_told_and_the_run_decides(
    hook: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "LONGEST", 30.0)
    advice = advise_pipe(Pipe(rows(1_000), schema=Row, pre_validation_hooks=[hook]))

    assert advice.executor == "sync"
    assert reason in advice.reason


def test_a_sample_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "LONGEST", 0.01)
    advice = advise_pipe(Pipe(rows(1_000), schema=Row))

    assert advice.executor == "sync"
    assert "it did not end within" in advice.reason


def test_without_a_python_to_start_there_is_no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    assert "no process could be started for it" in advise_pipe(Pipe(rows(1_000))).reason


def test_an_answer_that_never_began_is_no_death(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "__name__", "pipe_core.nothing_of_this_name")
    with pytest.raises(SampleFailed, match="no process could be started") as caught:
        sample._run_apart(b"")
    assert not caught.value.died


def test_a_wrong_schema_fails_as_on_any_executor() -> None:
    with pytest.raises(SchemaError):
        Pipe(rows(10), schema=print, executor="auto").run()


def test_a_missing_file_fails_as_on_any_executor(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Pipe(tmp_path / "nothing.csv", executor="auto").run()


# --- the clock of the sample ---


def test_a_busy_machine_does_not_look_like_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = iter([3, 3, 3, 4])
    wall, cpu = iter([0.0, 1.0, 2.0]), iter([0.0, 0.5, 0.5, 1.0])
    monkeypatch.setattr(sample, "_pauses", lambda: next(pauses))
    monkeypatch.setattr(sample.time, "perf_counter", lambda: next(wall))
    monkeypatch.setattr(sample.time, "process_time", lambda: next(cpu))
    clock = sample._Clock()

    clock.start(1)
    clock.stop()
    assert clock.result() == (0.5, 0.0, 1)  # it had to wait for its turn, and never gave it up

    clock.start(2)
    clock.stop()
    assert clock.result() == (0.25, 0.25, 3)  # the first batch warms up and does not count


def test_the_system_tells_when_a_process_pauses() -> None:
    before = sample._pauses()
    time.sleep(0.01)

    assert before is None or sample._pauses() != before


# --- how it is said ---


@pytest.mark.parametrize(
    ("variable", "setting"),
    [("auto", None), (None, 'executor = "auto"'), (None, 'executor = {name = "auto"}'), ("sync", None), (None, None)],
)
def test_settings_may_say_auto(
    variable: str | None, setting: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if variable is not None:
        monkeypatch.setenv("PIPE_EXECUTOR", variable)
    if setting is not None:
        (tmp_path / "pipe.toml").write_text(setting)

    notes = Pipe(rows(3)).run().notes

    assert any(note.startswith("auto chose") for note in notes) == ("auto" in f"{variable}{setting}")


def test_a_name_is_stronger_than_a_setting() -> None:
    with using(executor="auto"):
        assert Pipe(rows(3), executor="sync").run().notes == []
        assert Pipe(rows(3)).run().notes != []


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (("auto", {"max_workers": 3}), "'auto' has no option 'max_workers'"),
        ({"name": "auto", "chunk_size": 3}, "'auto' has no option 'chunk_size'"),
        (("auto", {"address": "head:10001"}), "cannot tell what the address 'head:10001' is of"),
        ("auto://head", "cannot tell what the address"),
    ],
)
def test_auto_has_no_options_but_an_address(said: Any, words: str) -> None:
    with pytest.raises(OptionsError, match=words):
        Pipe(rows(3), executor=said).run()


def test_an_option_in_a_variable_is_named_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPE_EXECUTOR", "auto")
    monkeypatch.setenv("PIPE_EXECUTOR__MAX_WORKERS", "3")

    with pytest.raises(OptionsError, match="PIPE_EXECUTOR__MAX_WORKERS"):
        Pipe(rows(3)).run()


@pytest.mark.parametrize(
    ("said", "cluster"),
    [
        (("auto", {"address": "ray://head:10001"}), ("ray", "ray://head:10001")),
        (("auto", {"address": "tls://head:8786"}), ("dask", "tls://head:8786")),
        ("auto", (None, None)),
    ],
)
def test_an_address_says_which_cluster(said: Any, cluster: tuple[str | None, str | None]) -> None:
    found = auto.asked_for_auto(said)

    assert found is not None
    assert (found.executor, found.address) == cluster


def test_a_cluster_of_the_settings_keeps_its_options() -> None:
    with using(executor="dask://head:8786"):
        found = auto.asked_for_auto("auto")

    assert found is not None
    assert (found.executor, found.address) == ("dask", None)  # with the name come the options of that setting


def test_a_wrong_name_near_auto_is_no_plugin() -> None:
    with pytest.raises(PluginNotFoundError, match="No executor named 'autos'"):
        Pipe(rows(3), executor="autos").run()
    assert "auto" not in INSTALLED


_PLUGIN = """
from pipe_core import hookimpl
from pipe_core.executors import sync
from dataclasses import replace

@hookimpl
def pipe_executor(name):
    return replace(sync.pipe_executor("sync"), summary="another auto") if name == "auto" else None
"""


def test_a_plugin_called_auto_is_reached_by_its_full_name(tmp_path: Path) -> None:
    (tmp_path / "pipe_other.py").write_text(_PLUGIN)
    information = tmp_path / "pipe_other-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: pipe-other\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[pipe_core.executors]\nauto = pipe_other\n")
    script = (
        "from pipe_core import Pipe\n"
        "for name in ('auto', 'pipe-other:auto'):\n"
        "    report = Pipe([{'n': 1}], executor=name).run()\n"
        "    print(report.executor, len(report.notes))\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIPE_")}
    environment = {**kept, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=50
    )

    assert done.stdout.split() == ["sync", "1", "auto", "0"], done.stderr
