"""A pipe runs on any `concurrent.futures.Executor` with the same bytes, the same errors and the same counts."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from pipe_core import BaseHook, Entry, HookStore, Pipe


def make_schema() -> type[BaseModel]:
    """A schema that no worker could import: it has to travel by value."""

    class Measure(BaseModel):
        number: int
        label: str

        @field_validator("number")
        @classmethod
        def small(cls, value: int) -> int:
            if value >= 900:
                raise ValueError("too large")
            return value

    return Measure


def make_hook() -> BaseHook:
    class Refuse(BaseHook):
        def setup(self, store: HookStore) -> None:
            store["bad"] = {"13", "613"}

        def execute(self, entries: list[Entry], store: HookStore) -> None:
            for entry in entries:
                if entry["raw_data"]["number"] in store["bad"]:
                    raise ValueError(f"no {entry['raw_data']['number']}")

    return Refuse()


def make_entry_hook() -> Any:
    def add_half(entry: Entry, store: HookStore) -> None:
        entry["validated_data"]["half"] = entry["validated_data"]["number"] / 2

    return add_half


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    source = tmp_path / "numbers.csv"
    source.write_text("number,label\n" + "".join(f"{n},label {n}\n" for n in range(1000)), encoding="utf-8")
    return source


def run(source: Any, folder: Path, executor: Any) -> tuple[bytes, bytes, dict[str, Any]]:
    folder.mkdir()
    report = Pipe(
        source,
        folder / "good.jsonl",
        schema=make_schema(),
        errors=folder / "bad.jsonl",
        pre_validation_hooks=[make_hook()],
        post_validation_hooks=[make_entry_hook()],
        executor=executor,
    ).run()
    facts = report.to_dict()
    same = {key: facts[key] for key in ("read", "valid", "failed", "dropped", "expanded", "histogram", "status")}
    return (folder / "good.jsonl").read_bytes(), (folder / "bad.jsonl").read_bytes(), same


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_a_foreign_executor_gives_the_bytes_of_sync(kind: str, numbers: Path, tmp_path: Path) -> None:
    expected = run(numbers, tmp_path / "sync", "sync")
    pool: Executor
    if kind == "threads":
        pool = ThreadPoolExecutor(2)
    else:
        pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))
    with pool:
        assert run(numbers, tmp_path / kind, pool) == expected
        assert pool.submit(abs, -1).result() == 1  # it is not ours, so it was not shut down
    assert expected[2]["read"] == 1000
    assert expected[2]["failed"] == 102


def test_a_schema_error_on_a_process_comes_back_with_its_record(numbers: Path, tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        report = Pipe(numbers, schema=make_schema(), executor=pool).run()
    assert [kind.count for kind in report.histogram] == [100]
    assert report.first_failures[0]["position"] == 900
    assert "too large" in report.first_failures[0]["errors"][0]["msg"]
