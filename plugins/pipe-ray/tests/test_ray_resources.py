"""Calls that need something of their machine: they run where it is, and have it to themselves."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipe_core import (
    Engine,
    Executor,
    MissingResourcesError,
    OptionsError,
    Pipeline,
    TaskTimeoutError,
    WorkerKilled,
    get_executor,
    node,
)

pytestmark = pytest.mark.timeout(120)
LIMIT = 60.0


@pytest.fixture(name="executor", scope="module")
def _executor() -> Iterator[Executor]:
    """Two workers, a GPU, a slot, and two licences."""
    with get_executor("ray", max_workers=2, resources={"GPU": 1, "slot": 1, "licence": 2}) as executor:
        yield executor


def alone(place: str) -> int:
    """Fails where another call has the same place. Gives the process."""
    handle = os.open(place, os.O_CREAT | os.O_EXCL)
    time.sleep(0.05)
    os.close(handle)
    os.unlink(place)
    return os.getpid()


def test_machines_say_what_they_have(executor: Executor) -> None:
    (found,) = executor.resources()
    assert (found["GPU"], found["slot"], found["licence"]) == (1, 1, 2)
    assert "CPU" not in found, "the workers of other calls take them all"


def test_calls_have_it_to_themselves_whatever_else_they_need(executor: Executor, tmp_path: Path) -> None:
    place = str(tmp_path / "slot")
    kinds: list[dict[str, float]] = [{"slot": 1}, {"slot": 1, "licence": 1}, {"slot": 1}]
    needing = [executor.submit_needing(kind, alone, place) for kind in kinds]
    others = [executor.submit(pow, 2, i) for i in range(5)]
    assert [future.result(LIMIT) for future in others] == [1, 2, 4, 8, 16]
    first, second, third = (future.result(LIMIT) for future in needing)
    assert second not in (first, third)
    plain = {outcome.value for outcome in executor.everywhere(os.getpid)}
    assert len(plain) == 2
    assert not plain & {first, second, third}


def test_a_worker_that_has_it_is_found_again(executor: Executor, tmp_path: Path) -> None:
    place = str(tmp_path / "slot")
    shared = executor.share("kept")
    calls = [executor.submit_needing({"slot": 1}, lambda: (shared.get(), alone(place))) for _ in range(4)]
    assert len({future.result(LIMIT) for future in calls}) == 1
    assert calls[0].result()[0] == "kept"


def test_ray_itself_says_which_gpus_a_call_has(executor: Executor) -> None:
    found = executor.submit_needing({"GPU": 1}, os.getenv, "CUDA_VISIBLE_DEVICES").result(LIMIT)
    assert found == "0"
    halves = [executor.submit_needing({"GPU": 0.5}, os.getpid) for _ in range(2)]
    assert all(future.result(LIMIT) for future in halves)


def test_its_death_is_its_calls_end_and_no_other_ones(executor: Executor, tmp_path: Path) -> None:
    place = str(tmp_path / "slot")
    dying = executor.submit_needing({"slot": 1}, os._exit, 3)
    after = executor.submit_needing({"slot": 1}, alone, place)
    assert isinstance(dying.exception(LIMIT), WorkerKilled)
    assert after.result(LIMIT)


def test_what_is_given_up_ends_also_while_it_waits(executor: Executor) -> None:
    hanging = executor.submit_needing({"slot": 1}, time.sleep, 1000)
    waiting = executor.submit_needing({"slot": 1, "licence": 1}, os.getpid)
    for future in (waiting, hanging):
        assert executor.give_up(future, TaskTimeoutError("too long"))
        assert isinstance(future.exception(LIMIT), TaskTimeoutError)
    assert executor.submit_needing({"slot": 1}, pow, 2, 5).result(LIMIT) == 32


def test_what_no_machine_has_is_an_error_and_not_a_wait(executor: Executor) -> None:
    lacking = executor.submit_needing({"slot": 2}, os.getpid)
    wrong = executor.submit_needing({"GPU": 1.5}, os.getpid)
    assert isinstance(wrong.exception(LIMIT), OptionsError)
    error = lacking.exception(LIMIT)
    assert isinstance(error, MissingResourcesError)
    assert "slot=2 is needed, and no worker of 'ray' has that. What they have: " in str(error)
    assert "licence=2" in str(error)
    assert error.resources == {"slot": 2}
    assert executor.submit(pow, 2, 5).result(LIMIT) == 32


def test_nodes_run_where_what_they_need_is(executor: Executor, tmp_path: Path) -> None:
    place = str(tmp_path / "slot")

    @node(resources={"slot": 1}, timeout=50)
    def first(i: int) -> int:
        return alone(place)

    @node(resources={"slot": 1, "licence": 1}, executor=executor)
    def second(i: int) -> int:
        return alone(place)

    @node
    def third(i: int) -> int:
        return os.getpid()

    inner = Pipeline([first, second, third])
    found = inner.map({"i": range(3)}, "i", engine=Engine(None, executor))
    assert not set(found["third"]) & {*found["first"], *found["second"]}

    @node(resources={"TPU": 4}, executor=executor)
    def trained(third: int) -> int:
        return third

    with pytest.raises(MissingResourcesError, match=r"The node 'trained' cannot run: TPU=4 is needed, and no worker"):
        Pipeline([third, trained]).run({"i": 1}, engine=Engine(executor))


def test_on_a_cluster_that_is_there_it_gives_back_what_it_had(auto: Any) -> None:
    with pytest.raises(OptionsError, match="resources= is for a Ray that 'ray' starts itself"):
        get_executor("ray", address="auto", resources={"slot": 1})
    with pytest.raises(OptionsError, match="is what max_workers says"):
        get_executor("ray", resources={"CPU": 1})
    before = auto.look()
    with get_executor("ray", address="auto", max_workers=1) as executor:
        both = [executor.submit_needing({"CPU": 1}, os.getpid) for _ in range(2)]
        assert len({future.result(LIMIT) for future in both}) == 1, "the other CPU is another worker's"
        assert executor.resources()[0]["CPU"] == 1
    deadline = time.monotonic() + LIMIT
    while auto.look() != before:
        assert time.monotonic() < deadline
