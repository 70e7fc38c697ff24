"""What is said of one node alone holds wherever it runs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipe_core import (
    Engine,
    Pipeline,
    RateLimit,
    Retry,
    RunRecorder,
    TaskTimeoutError,
    UnsupportedCapabilityError,
    node,
)

QUICK = Retry(3, delay=0.001)
ENGINES = ["sync", "threads", "asyncio", "loky"]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with Engine(request.param, request.param, max_workers=None if request.param == "sync" else 2) as engine:
        yield engine


def count(folder: Path, name: str) -> int:
    """How often it was called with that, this time included: in files, for a process knows nothing of another one."""
    (folder / f"{name}-{os.getpid()}-{threading.get_ident()}-{time.monotonic_ns()}").touch()
    return len(list(folder.glob(f"{name}-*")))


def test_what_fails_is_tried_again(engine: Engine, tmp_path: Path) -> None:
    @node(retries=QUICK)
    def flaky(item: int) -> int:
        if count(tmp_path, str(item)) < 3:
            raise ConnectionError(item)
        return item

    @node
    def doubled(flaky: int) -> int:
        return 2 * flaky

    result = Pipeline([flaky, doubled]).map({"item": range(5)}, "item", engine=engine)
    assert result["doubled"] == [0, 2, 4, 6, 8]


def test_the_last_failure_counts(engine: Engine, tmp_path: Path) -> None:
    @node(retries=Retry(2, delay=0.001))
    def fails(item: int) -> int:
        raise ConnectionError(count(tmp_path, "x"))

    with pytest.raises(ConnectionError, match="3"):
        Pipeline([fails]).run({"item": 1}, engine=engine)
    result = Pipeline([fails]).map({"item": [1, 2]}, "item", engine=engine, on_error="continue")
    assert [failure.index for failure in result.failed] == [0, 1]


def test_only_so_many_run_at_once(engine: Engine, tmp_path: Path) -> None:
    @node(concurrency=1)
    def alone(item: int) -> int:
        with (tmp_path / "here").open("x"):  # fails when somebody else is here
            time.sleep(0.005)
        (tmp_path / "here").unlink()
        return item

    assert Pipeline([alone]).map({"item": range(20)}, "item", engine=engine)["alone"] == list(range(20))


def test_starts_keep_to_the_rate(engine: Engine) -> None:
    @node(rate=RateLimit(20, per=1, burst=1))
    def limited(item: int) -> int:
        return item

    began = time.monotonic()
    assert Pipeline([limited]).map({"item": range(11)}, "item", engine=engine)["limited"] == list(range(11))
    assert time.monotonic() - began >= 0.49


@pytest.mark.parametrize("where", ["threads", "loky"])
def test_a_node_may_have_an_executor_of_its_own(engine: Engine, where: str) -> None:
    @node(executor=where)
    def there(item: int) -> tuple[int, int]:
        return os.getpid(), threading.get_ident()

    @node
    def here(there: tuple[int, int]) -> tuple[int, int]:
        return os.getpid(), threading.get_ident()

    found = Pipeline([there, here]).run({"item": 1}, engine=engine)
    me = os.getpid(), threading.get_ident()
    assert found["there"] != me
    assert (found["there"][0] == me[0]) == (where == "threads")


@pytest.mark.parametrize("where", ["threads", "asyncio", "loky"])
def test_what_takes_too_long_is_given_up(where: str) -> None:
    @node(timeout=0.6)
    def slow(item: float) -> float:
        time.sleep(item)
        return item

    @node
    def after(slow: float) -> float:
        return slow + 1

    with Engine(where, where, max_workers=2) as engine:
        Pipeline([after], engine=engine).map({"slow": [0.0] * 50}, "slow")  # workers take a moment to start
        pipeline = Pipeline([slow, after], engine=engine)
        result = pipeline.map({"item": [0.0, 8.0, 0.01]}, "item", on_error="continue")
        assert result["after"] == [1.0, None, 1.01]
        assert isinstance(result.failed[0].error, TaskTimeoutError)
        assert "'slow' ran longer than its timeout of 0.6 s" in str(result.failed[0].error)


def test_a_limit_that_nobody_can_keep_is_refused_before_anything_runs() -> None:
    ran = []

    @node(timeout=1)
    def limited(item: int) -> int:
        ran.append(item)
        return item

    with pytest.raises(UnsupportedCapabilityError, match="the calling thread cannot end what runs"):
        Pipeline([limited]).run({"item": 1})
    assert not ran


@pytest.mark.parametrize("where", ["threads", "asyncio", "loky"])
def test_callbacks_hear_once_that_it_was_given_up(where: str) -> None:
    heard: list[tuple[str, object]] = []
    recorder = RunRecorder()

    class Listener:
        def on_node_start(self, node_id: str, inputs: Any, ctx: Any) -> None:
            heard.append(("start", inputs))

        def on_error(self, node_id: str, error: BaseException, ctx: Any) -> None:
            heard.append(("error", type(error)))

        def on_node_end(self, node_id: str, outputs: Any, duration: float, ctx: Any) -> None:
            heard.append(("end", outputs))

    @node(timeout=0.4, executor=where)
    def slow(item: float) -> float:
        time.sleep(item)
        return item

    @node(output_name="later")
    def wait(item: float) -> None:
        time.sleep(2 * item)

    with Engine(max_workers=2) as engine:
        Pipeline([node(output_name="warm", executor=where)(lambda item: item)], engine=engine)(item=0)
        pipeline = Pipeline([slow], callbacks=[Listener(), recorder], engine=engine)
        around = Pipeline([pipeline.as_node(), wait], engine=engine)
        around.run({"item": 1.0}, on_error="continue")
    assert heard == [("start", {"item": 1.0}), ("error", TaskTimeoutError), ("end", {})]
    (call,) = recorder.calls
    assert call.failed
    assert call.end - call.start > 0.3


def test_an_executor_that_a_node_was_given_stays_here_when_other_nodes_travel() -> None:
    with ThreadPoolExecutor(1) as pool, Engine(("loky", {"max_workers": 1}), "sync") as engine:
        here = node(output_name="here", executor=pool)(lambda x: os.getpid())
        there = node(output_name="there")(lambda here: os.getpid())
        found = Pipeline([here, there]).run({"x": 1}, engine=engine)
    assert found["here"] == os.getpid() != found["there"]


def test_a_timeout_is_kept_by_what_runs_the_node_whatever_is_around_it() -> None:
    @node(timeout=0.3)
    def slow(item: float) -> float:
        time.sleep(item)
        return item

    with Engine("threads") as own, Engine("sync", "threads") as engine:
        nested = [
            Pipeline([Pipeline([slow], engine=own)]),
            Pipeline([Pipeline([slow]).as_node(input_mapping={"item": "item"}, map_over="item")]),
        ]
        for pipeline, item, wrong in ((nested[0], 0.0, 2.0), (nested[1], [0.0, 0.0], [0.0, 2.0])):
            assert pipeline.run({"item": item}, engine=engine)["slow"] == item
            with pytest.raises(TaskTimeoutError):
                pipeline.run({"item": wrong}, engine=engine)
