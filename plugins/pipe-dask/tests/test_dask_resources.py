"""Calls that need something of their worker, on workers that have it and on others."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest

from pipe_core import Engine, Executor, MissingResourcesError, OptionsError, Pipeline, TaskExecutor, get_executor, node

pytestmark = pytest.mark.timeout(120)
LIMIT = 50


@pytest.fixture(scope="module")
def cluster(start_cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A worker with two threads and one GPU, and one with two threads and nothing."""
    made = start_cluster(tmp_path_factory.mktemp("resources"), 1, threads=2)
    try:
        made.options = ["--resources", "GPU=1,disk=2.5"]
        made.add_worker(threads=2)
        made.wait_for(2)
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def executor(cluster: Any) -> Iterator[Executor]:
    with get_executor("dask", address=cluster.address) as executor:
        yield executor


def alone(place: str) -> int:
    """Fails where another call has the same place. Gives the process."""
    handle = os.open(place, os.O_CREAT | os.O_EXCL)
    time.sleep(0.05)
    os.close(handle)
    os.unlink(place)
    return os.getpid()


def with_gpu(executor: Executor) -> int:
    return executor.submit_needing({"GPU": 1}, os.getpid).result(LIMIT)


def test_workers_say_what_they_have(executor: Executor) -> None:
    assert sorted(executor.resources(), key=len) == [{}, {"GPU": 1.0, "disk": 2.5}]


def test_calls_run_where_it_is_and_have_it_to_themselves(executor: Executor, tmp_path: Path) -> None:
    place = str(tmp_path / "gpu")
    needing = [executor.submit_needing({"GPU": 1}, alone, place) for _ in range(3)]
    needing += [executor.submit_needing({"GPU": 1, "disk": 2}, alone, place) for _ in range(3)]
    others = [executor.submit(os.getpid) for _ in range(20)]
    assert not wait([*needing, *others], LIMIT).not_done
    assert len({future.result() for future in needing}) == 1
    assert {future.result() for future in needing} <= {with_gpu(executor)}
    assert len({future.result() for future in others}) == 2, "the others run anywhere"


def test_what_no_worker_has_is_an_error_and_not_a_wait(cluster: Any) -> None:
    with get_executor("dask", address=cluster.address, timeout=2) as executor:
        future = executor.submit_needing({"GPU": 2}, os.getpid)
        error = future.exception(LIMIT)
        assert isinstance(error, MissingResourcesError)
        assert "GPU=2 is needed, and no worker of 'dask' has that. What they have: " in str(error)
        assert "GPU=1, disk=2.5" in str(error)
        assert error.resources == {"GPU": 2}
        assert executor.submit(pow, 2, 5).result(LIMIT) == 32, "and nothing else is held up by it"


def test_nodes_run_where_what_they_need_is(executor: Executor, tmp_path: Path) -> None:
    place = str(tmp_path / "gpu")

    @node(resources={"GPU": 1})
    def first(i: int) -> int:
        return alone(place)

    @node(resources={"GPU": 1, "disk": 1}, executor=executor)
    def second(i: int) -> int:
        return alone(place)

    @node
    def third(i: int) -> int:
        return os.getpid()

    inner = Pipeline([first, second, third])
    outer = Pipeline([inner.as_node(input_mapping={"numbers": "i"}, map_over="numbers")])
    gpu = with_gpu(executor)
    for engine in (Engine(executor, executor), Engine(None, executor)):
        found = inner.map({"i": range(4)}, "i", engine=engine)
        assert set(found["first"]) | set(found["second"]) == {gpu}
        nested = outer.run({"numbers": [1, 2]}, engine=engine)
        assert nested["first"] == nested["second"] == [gpu, gpu]


def test_a_node_that_needs_what_no_worker_has_is_refused_before_anything_runs(executor: Executor) -> None:
    ran: list[int] = []

    @node
    def before(i: int) -> int:
        ran.append(i)
        return i

    @node(resources={"TPU": 4}, executor=executor)
    def trained(before: int) -> int:
        return before

    with pytest.raises(MissingResourcesError, match=r"The node 'trained' cannot run: TPU=4 is needed, and no worker"):
        Pipeline([before, trained])(i=1)
    assert not ran


def test_a_task_executor_takes_them_too(cluster: Any, tmp_path: Path) -> None:
    place = str(tmp_path / "gpu")
    options = {"address": cluster.address}
    with TaskExecutor(("dask", options), queue_capacity=2, on_full="caller_runs") as executor:
        submit = executor.submit_with(resources={"GPU": 1})
        found = {submit(alone, place).result(LIMIT) for _ in range(2)}
        futures = [submit(alone, place) for _ in range(8)]  # more than the queue takes: none of them runs here
        assert {future.result(LIMIT) for future in futures} == found != {os.getpid()}


def test_a_cluster_of_ones_own_has_what_it_is_told_to() -> None:
    with get_executor("dask", max_workers=1, worker_resources={"GPU": 1}) as executor:
        assert executor.resources() == [{"GPU": 1.0}]
        lacking = executor.submit_needing({"GPU": 2}, os.getpid).exception(LIMIT)
        assert isinstance(lacking, MissingResourcesError), "and at once"
        assert "What they have: GPU=1." in str(lacking)
        assert with_gpu(executor) != os.getpid()
    with pytest.raises(OptionsError, match="worker_resources= is for a cluster that 'dask' starts itself"):
        get_executor("dask", address="127.0.0.1:1", worker_resources={"GPU": 1})
