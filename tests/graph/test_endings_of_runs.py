"""How runs end before their time: Ctrl-C, an executor that somebody shuts down, a limit of time; and what is left."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipe_core import BackendLost, Engine, Executor, Pipeline, WorkerKilled, get_executor, node
from pipe_core.graph.errors import ExecutorClosedError
from pipe_core.testing.leaks import no_leaks

pytestmark = [pytest.mark.timeout(60), pytest.mark.alone]

LIMIT = 20.0
ELSEWHERE = ["threads", "asyncio", "loky"]
BOTH_SIDES = ["sync", *ELSEWHERE]


@pytest.fixture(params=ELSEWHERE)
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """One of the test's own, with two workers that are there already."""
    with get_executor(request.param, max_workers=2) as executor:
        for future in [executor.submit(int) for _ in range(4)]:
            future.result(LIMIT)
        yield executor


@pytest.fixture(scope="module", params=BOTH_SIDES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with Engine(request.param, request.param, max_workers=2) as engine:
        Pipeline([node(output_name="y")(lambda x: x)]).map({"x": range(4)}, "x", engine=engine)
        yield engine


def soon(folder: Path, call: Callable[[], Any]) -> threading.Thread:
    """Do *call* in a thread as soon as something in *folder* says that a node runs."""

    def work() -> None:
        deadline = time.monotonic() + LIMIT
        while not list(folder.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.005)
        call()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.fixture
def slow(tmp_path: Path) -> Pipeline:
    """A node that leaves a file for each of its calls, and one behind it."""

    @node
    def waits(item: int) -> int:
        (tmp_path / f"{item}").touch()
        time.sleep(0.1)
        return item

    return Pipeline([waits, node(output_name="behind")(lambda waits: waits)], name="slow")


# --- Ctrl-C ---


@pytest.mark.parametrize("call", ["run", "map"])
def test_ctrl_c_ends_a_run_and_nothing_begins_behind_it(
    call: str, engine: Engine, slow: Pipeline, tmp_path: Path
) -> None:
    thread = soon(tmp_path, lambda: os.kill(os.getpid(), signal.SIGINT))
    inputs = {"item": range(200)}
    inside = Pipeline([slow.as_node(map_over="item")])
    runs = {"map": lambda: slow.map(inputs, "item", engine=engine), "run": lambda: inside.run(inputs, engine=engine)}
    with pytest.raises(KeyboardInterrupt):
        runs[call]()
    count = len(list(tmp_path.iterdir()))
    assert count < 30
    time.sleep(0.3)
    assert len(list(tmp_path.iterdir())) == count
    thread.join()
    assert slow.run({"item": 1_000}, engine=engine) == {"waits": 1_000, "behind": 1_000}


@pytest.mark.parametrize("hears", ["the waiting thread", "another one"])
def test_ctrl_c_cancels_coroutines(hears: str, engine: Engine, tmp_path: Path) -> None:
    """Also where nobody wakes the thread that waits: the system may give the signal to another one, or just before."""
    if engine.node_executor == "loky":
        pytest.skip("what runs in another process is waited for")

    @node
    async def waits(item: int) -> int:
        (tmp_path / f"{item}").touch()
        try:
            await asyncio.sleep(60)
        finally:
            (tmp_path / f"{item}-ended").touch()
        return item

    def press() -> None:
        thread = threading.main_thread() if hears == "the waiting thread" else threading.current_thread()
        signal.pthread_kill(thread.ident or 0, signal.SIGINT)

    thread = soon(tmp_path, press)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Pipeline([waits]).run({"item": 1}, engine=engine)
    assert time.monotonic() - began < LIMIT
    thread.join()
    deadline = time.monotonic() + LIMIT
    while not (tmp_path / "1-ended").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_ctrl_c_where_events_are_told(engine: Engine, slow: Pipeline, tmp_path: Path) -> None:
    class Told:
        def __init__(self) -> None:
            self.open = 0
            self.maps = 0

        def on_map_item_start(self, *facts: Any) -> None:
            self.open += 1

        def on_map_item_end(self, *facts: Any) -> None:
            self.open -= 1

        def on_map_end(self, *facts: Any) -> None:
            self.maps += 1

    told = Told()
    thread = soon(tmp_path, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        slow.with_callbacks([told]).map({"item": range(200)}, "item", engine=engine)
    thread.join()
    assert (told.open, told.maps) == (0, 1)


# --- somebody shuts the executor down ---


def test_an_executor_that_was_shut_down_is_a_named_error(executor: Executor) -> None:
    engine = Engine(executor, executor)
    pipeline = Pipeline([node(output_name="y")(lambda x: x), node(output_name="z")(lambda x: x)])
    executor.shutdown()
    for on_error in ("raise", "continue"):
        with pytest.raises(ExecutorClosedError, match=f"The executor '{executor.name}' was shut down"):
            pipeline.run({"x": 1}, engine=engine, on_error=on_error)
        with pytest.raises(ExecutorClosedError, match=f"The executor '{executor.name}' was shut down"):
            pipeline.map({"x": range(50)}, "x", engine=engine, on_error=on_error)


@pytest.mark.parametrize("how", ["shutdown", "cancel", "terminate"])
def test_an_executor_may_be_shut_down_while_a_pipeline_runs_on_it(
    how: str, executor: Executor, slow: Pipeline, tmp_path: Path
) -> None:
    """Either everything was done, or why not is said: a run is never left waiting."""

    def end() -> None:
        if how == "terminate":
            executor.terminate()
        else:
            executor.shutdown(wait=False, cancel_futures=how == "cancel")

    thread = soon(tmp_path, end)
    killed = (WorkerKilled, BackendLost) if how == "terminate" else ()
    result: list[Any] = []
    try:
        result = slow.map({"item": range(8)}, "item", engine=Engine(executor, executor), on_error="continue")
    except (ExecutorClosedError, *killed):
        pass  # said; where it was shut down before the last slot had come, also on threads
    else:
        assert [row["behind"] for row in result] == list(range(8))
    thread.join()


def test_a_coroutine_that_its_executor_cancels_is_a_named_error(tmp_path: Path) -> None:
    @node
    async def waits(item: int) -> int:
        (tmp_path / f"{item}").touch()
        await asyncio.sleep(60)
        return item

    executor = get_executor("asyncio", max_workers=2)
    thread = soon(tmp_path, executor.terminate)
    with pytest.raises(ExecutorClosedError, match="'asyncio' was shut down"):
        Pipeline([waits]).map({"item": range(5)}, "item", engine=Engine(executor, executor))
    thread.join()


# --- time ---


def test_what_waits_for_a_slot_is_not_waited_for(executor: Executor, slow: Pipeline, tmp_path: Path) -> None:
    """The executor is somebody's, and busy with something else."""
    go = tmp_path / "go"

    def busy(path: Path) -> None:
        deadline = time.monotonic() + LIMIT
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.005)

    held = [executor.submit(busy, go) for _ in range(executor.slots)]
    while not all(future.running() for future in held):
        time.sleep(0.002)
    with pytest.raises(TimeoutError, match="did not end within its timeout"):
        slow.run({"item": 1}, engine=Engine(executor, executor), timeout=0.1)
    assert not any(future.done() for future in held)
    go.touch()


@pytest.mark.parametrize("on_error", ["raise", "continue"])
def test_a_run_ends_when_its_time_is_over(engine: Engine, slow: Pipeline, tmp_path: Path, on_error: Any) -> None:
    with pytest.raises(TimeoutError, match="did not end within its timeout"):
        slow.map({"item": range(200)}, "item", engine=engine, timeout=0.3, on_error=on_error)
    count = len(list(tmp_path.iterdir()))
    assert count < 40
    time.sleep(0.3)
    assert len(list(tmp_path.iterdir())) == count


# --- what is left ---


@pytest.mark.parametrize("place", ELSEWHERE)
def test_a_closed_engine_leaves_nothing_behind(place: str) -> None:
    @node
    async def waits(item: int) -> int:
        await asyncio.sleep(0.001)
        return item

    pipeline = Pipeline([waits, node(output_name="behind")(lambda waits: waits)])

    def use(engine: Engine) -> None:
        inside = Pipeline([pipeline.as_node({"items": "item"}, map_over="items")])
        assert inside.run({"items": range(10)}, engine=engine)["behind"] == list(range(10))
        assert len(pipeline.map({"item": range(10)}, "item", engine=engine)) == 10

    use(Engine("sync", "sync"))  # what is started once in a process
    with no_leaks(patience=15):
        engine = Engine(place, place, max_workers=2)
        use(engine)
        engine.close()
        use(engine)  # it starts others
        engine.close()
        engine.close()


def test_an_engine_that_nobody_has_any_more_ends_its_threads() -> None:
    pipeline = Pipeline([node(output_name="y")(lambda x: x)])
    with no_leaks(patience=15):
        engine = Engine("threads", "threads", max_workers=2)
        pipeline.map({"x": range(10)}, "x", engine=engine)
        del engine
        gc.collect()


def test_a_run_leaves_no_loop_behind() -> None:
    @node
    async def fails(item: int) -> int:
        await asyncio.sleep(0)
        raise LookupError(item)

    pipeline = Pipeline([fails])
    with no_leaks():
        for _ in range(5):
            with pytest.raises(LookupError):
                pipeline.run({"item": 1}, engine=Engine("sync"))


def test_an_engine_does_not_shut_down_what_it_was_given(executor: Executor) -> None:
    with Engine(executor, executor) as engine:
        Pipeline([node(output_name="y")(lambda x: x)]).run({"x": 1}, engine=engine)
    assert executor.submit(pow, 2, 3).result(LIMIT) == 8
