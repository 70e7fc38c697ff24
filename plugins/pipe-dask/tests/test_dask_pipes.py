"""Whole pipes: the same bytes as on `sync`."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from pipe_core import Executor, Pipe, get_executor
from pipe_dask import DaskExecutor


class Order(BaseModel):
    id: int
    amount: float = Field(gt=0)
    name: str


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    made = get_executor("dask", max_workers=2, prefetch=2, chunk_size=50)
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
    good, bad, report = run(orders, "dask", executor, **options)
    plain = {key: value for key, value in options.items() if key != "compression"}
    expected_good, expected_bad, expected = run(orders, "sync", "sync", **plain)
    assert good == expected_good
    assert bad == expected_bad
    assert (report.read, report.valid, report.failed) == (expected.read, expected.valid, expected.failed)
    assert report.failed > 0


def test_a_run_starts_its_own_cluster_and_ends_it(orders: Path) -> None:
    import psutil

    before = set(psutil.Process().children(recursive=True))
    good, _bad, _report = run(orders, "dask", ("dask", {"max_workers": 1}))
    assert good == run(orders, "sync", "sync")[0]
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_worker_that_dies_in_a_run_loses_nothing(orders: Path, executor: Executor, tmp_path: Path) -> None:
    """Once: the records that it had run again."""
    died = str(tmp_path / "died")

    def die_once(entry: Any, store: Any) -> None:
        import os

        if entry["raw_data"]["id"] == "1234":
            try:
                os.close(os.open(died, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return
            os._exit(1)

    good, bad, report = run(orders, "dask", executor, pre_validation_hooks=[die_once])
    assert os.path.exists(died)
    expected = run(orders, "sync", "sync")
    assert (good, bad) == (expected[0], expected[1])
    assert report.read == 3000


def test_what_the_executor_was_given_counts_for_pipes() -> None:
    with DaskExecutor(max_workers=1, chunk_size=7, compression="lz4", max_inflight=3) as executor:
        assert executor.defaults == {"chunk_size": 7, "compression": "lz4", "max_inflight": 3}
        assert executor.slots == 1
