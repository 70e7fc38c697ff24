"""Whole pipes: the same bytes as on `sync`, whatever dies."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from pipe_core import Executor, Pipe, get_executor
from pipe_ray import RayExecutor

pytestmark = pytest.mark.timeout(180)


class Order(BaseModel):
    id: int
    amount: float = Field(gt=0)
    name: str


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    made = get_executor("ray", max_workers=2, prefetch=2, chunk_size=50)
    try:
        yield made
    finally:
        made.shutdown()


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    rows = [f"{i},{i % 7 - 1}.5,näme {i}" for i in range(3000)]
    path.write_text("id,amount,name\n" + "\n".join(rows) + "\n", "utf-8")
    return path


def shout(entry: Any, store: Any) -> None:
    entry["raw_data"]["name"] = entry["raw_data"]["name"].upper()


def run(orders: Path, name: str, executor: Any, **options: Any) -> tuple[bytes, bytes, Any]:
    sink, errors = orders.with_name(f"{name}.jsonl"), orders.with_name(f"{name}-errors.jsonl")
    pipe = Pipe(str(orders), str(sink), schema=Order, errors=str(errors), executor=executor, **options)
    report = pipe.run()
    return sink.read_bytes(), errors.read_bytes(), report


@pytest.mark.parametrize("options", [{}, {"pre_validation_hooks": [shout]}, {"compression": "lz4"}])
def test_a_run_gives_the_same_bytes_as_on_sync(orders: Path, executor: Executor, options: dict[str, Any]) -> None:
    good, bad, report = run(orders, "ray", executor, **options)
    plain = {key: value for key, value in options.items() if key != "compression"}
    expected_good, expected_bad, expected = run(orders, "sync", "sync", **plain)
    assert good == expected_good
    assert bad == expected_bad
    assert (report.read, report.valid, report.failed) == (expected.read, expected.valid, expected.failed)
    assert report.failed > 0


def test_a_generator_goes_to_a_list(executor: Executor) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        for i in range(1000):
            yield {"id": i, "amount": i % 5, "name": f"n{i}"}

    found: dict[str, list[Any]] = {}
    for name, where in {"ray": executor, "sync": "sync"}.items():
        found[name] = []
        Pipe(rows(), found[name], schema=Order, executor=where).run()
    assert len(found["ray"]) == 800
    assert found["ray"] == found["sync"]


def test_a_record_that_kills_every_worker_is_found_and_the_rest_is_fine(orders: Path, executor: Executor) -> None:
    poisonous = {"0", "1234", "1235", "2999"}

    def kill(entry: Any, store: Any) -> None:
        if entry["raw_data"]["id"] in poisonous:
            os.kill(os.getpid(), signal.SIGKILL)

    def drop(entry: Any, store: Any) -> Any:
        return [] if entry["raw_data"]["id"] in poisonous else None

    good, bad, report = run(orders, "ray", executor, pre_validation_hooks=[kill])
    expected_good, expected_bad, expected = run(orders, "sync", "sync", pre_validation_hooks=[drop])
    assert good == expected_good
    told = [json.loads(line) for line in bad.splitlines()]
    killed = [row for row in told if row["errors"][0]["type"] == "WorkerKilled"]
    assert {row["raw"]["id"] for row in killed} == poisonous
    assert len(told) == len(killed) + len(expected_bad.splitlines())
    assert (report.read, report.valid) == (expected.read, expected.valid)


def test_a_worker_that_dies_once_loses_nothing(orders: Path, executor: Executor, tmp_path: Path) -> None:
    died = str(tmp_path / "died")

    def die_once(entry: Any, store: Any) -> None:
        if entry["raw_data"]["id"] == "1234":
            try:
                os.close(os.open(died, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return
            os._exit(1)

    good, bad, report = run(orders, "ray", executor, pre_validation_hooks=[die_once])
    assert os.path.exists(died)
    assert (good, bad) == run(orders, "sync", "sync")[:2]
    assert report.read == 3000


def test_a_hook_that_hangs_is_ended(orders: Path, executor: Executor) -> None:
    def hang(entry: Any, store: Any) -> None:
        import re

        if entry["raw_data"]["id"] == "1234":
            re.match(r"(a+)+$", "a" * 50 + "b")

    _good, bad, report = run(orders, "ray", executor, pre_validation_hooks=[hang], hook_timeout=1)
    late = [row for row in map(json.loads, bad.splitlines()) if row["errors"][0]["type"] == "HookTimeout"]
    assert [row["raw"]["id"] for row in late] == ["1234"]
    assert report.read == 3000


def test_a_program_travels_once_to_each_worker(orders: Path, executor: Executor, tmp_path: Path) -> None:
    """Counted where it is pulled."""
    notes = tmp_path / "pulls"
    notes.touch()
    backend: Any = executor._backend
    put, path = backend.put, str(notes)

    def counted(digest: str, data: bytes) -> Any:
        pull = put(digest, data)

        def pulled(digest: str) -> bytes:
            import os

            with open(path, "a") as file:
                file.write(f"{os.getpid()} {digest}\n")
            found: bytes = pull(digest)
            return found

        return pulled

    backend.put = counted
    try:
        run(orders, "ray", executor)
    finally:
        del backend.put
    pulls = notes.read_text("utf-8").splitlines()
    assert pulls
    assert len(pulls) == len(set(pulls)), "a worker pulled the same bytes twice"


def test_a_run_starts_its_own_cluster_and_ends_it(orders: Path) -> None:
    import psutil

    before = set(psutil.Process().children(recursive=True))
    good, _bad, _report = run(orders, "ray", ("ray", {"max_workers": 1}))
    assert good == run(orders, "sync", "sync")[0]
    assert set(psutil.Process().children(recursive=True)) <= before


def test_what_the_executor_was_given_counts_for_pipes() -> None:
    with RayExecutor(max_workers=1, chunk_size=7, compression="lz4", max_inflight=3) as executor:
        assert executor.defaults == {"chunk_size": 7, "compression": "lz4", "max_inflight": 3}
        assert executor.slots == 1
