"""An item that is lost in another process is one item: all others come back."""

from __future__ import annotations

import copy
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from starting import Started

from pipe_core import CodecError, Engine, Pipeline, WorkerKilled, node

pytestmark = pytest.mark.timeout(60)

COUNT = 40
LOST = 17


@pytest.fixture(params=[("loky", "loky"), ("sync", "loky"), ("threads", "loky"), ("loky", "sync")], ids="+".join)
def engine(request: pytest.FixtureRequest, executors: Started) -> Engine:
    return Engine(*(executors[name] for name in request.param))


def check(result: Any, kind: type[Exception]) -> None:
    assert result["number"] == [None if index == LOST else index for index in range(COUNT)]
    ((index, error),) = ((failure.index, failure.error) for failure in result.failed)
    assert (index, type(error)) == (LOST, kind)


def test_what_cannot_travel_there(engine: Engine) -> None:
    @node
    def number(value: int, thing: Any) -> int:
        return value

    things = [threading.Lock() if index == LOST else None for index in range(COUNT)]
    inputs = {"value": range(COUNT), "thing": things}
    check(Pipeline([number]).map(inputs, ["value", "thing"], engine=engine, on_error="continue"), CodecError)
    with pytest.raises(CodecError, match="'thing'"):
        Pipeline([number]).map(inputs, ["value", "thing"], engine=engine)


def test_what_cannot_travel_back(engine: Engine) -> None:
    @node
    def number(value: int) -> Any:
        return threading.Lock() if value == LOST else value

    pipeline = Pipeline([number])
    check(pipeline.map({"value": range(COUNT)}, "value", engine=engine, on_error="continue"), CodecError)
    with pytest.raises(CodecError, match="'number'"):
        pipeline.map({"value": range(COUNT)}, "value", engine=engine)


def test_a_worker_that_dies_takes_one_item(engine: Engine, tmp_path: Path) -> None:
    @node
    def number(value: int) -> int:
        if value == LOST and not (tmp_path / "healed").exists():
            os._exit(3)
        return value

    result = Pipeline([number]).map({"value": range(COUNT)}, "value", engine=engine, on_error="continue")
    check(result, WorkerKilled)
    (tmp_path / "healed").touch()
    assert result.retry_failed()["number"] == list(range(COUNT))


def test_an_engine_in_a_worker_runs_in_line(engine: Engine) -> None:
    inner = Pipeline([node(output_name="more")(lambda value: value + 1)])

    @node
    def number(value: int) -> Any:
        result = inner.map({"value": range(value)}, "value", engine=engine)
        return os.getpid(), result

    (process, result), _ = Pipeline([number]).map({"value": [3, 3]}, "value", engine=engine)["number"]
    assert process != os.getpid()
    assert result["more"] == [1, 2, 3]
    assert copy.deepcopy(engine) is copy.copy(engine) is engine
