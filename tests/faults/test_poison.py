"""Records that kill every worker that touches them: each is found, at the cost of few workers; no other is blamed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from killing import KILLERS, async_killer, chunk_killer, die, killer, once_killer
from oracle import Number, check, numbers
from pydantic import BaseModel, field_serializer, field_validator
from tried import NEEDS_LOKY

from pipe_core import Executor, FlowStatus, Pipe
from pipe_core.kernel.errors import TooManyErrorsError

pytestmark = [NEEDS_LOKY, pytest.mark.timeout(120)]


def run(executor: Any, count: int, **options: Any) -> tuple[list[Any], list[Any], Any]:
    good: list[Any] = []
    bad: list[Any] = []
    options = {"schema": Number, **options}
    report = Pipe(numbers(count), good, errors=bad, executor=executor, **options).run()
    return good, bad, report


def check_poison(
    found: tuple[list[Any], list[Any], Any], count: int, culprits: Collection[int], phase: str, *, strict: bool = True
) -> None:
    """Exactly the culprits were rejected.

    Not *strict*, on Ray: a death may take the worker's notes with it, and then the row does not know the phase and a
    culprit costs one worker more.
    """
    good, bad, report = found
    check(good, bad, count, culprits, report)
    for row in bad:
        assert row["phase"] in ((phase,) if strict else (phase, "worker"))
        assert [error["type"] for error in row["errors"]] == ["WorkerKilled"]
        assert row["raw"] == {"n": row["position"]}
        assert row["attempt"] >= 2
    assert report.poisoned == len(culprits)
    assert report.worker_deaths <= (3 if strict else 5) * len(culprits)
    assert report.status is FlowStatus.COMPLETED


# --- one, of every kind and at every place ---


@pytest.mark.parametrize("how", KILLERS)
def test_one_in_a_thousand_is_found_at_the_cost_of_three_workers_at_most(how: str, processes: Executor) -> None:
    if processes.name != "loky" and how not in ("SIGKILL", "SIGSEGV", "exit 1"):
        pytest.skip("a cluster's workers take seconds to come back: three ways to die are enough there")
    found = run(processes, 1000, pre_validation_hooks=[killer({613}, how)])
    check_poison(found, 1000, {613}, "pre", strict=processes.name != "ray")
    if processes.name == "loky":  # who starts the workers knows how they end
        named = "exit code" if how.startswith("exit") else how
        assert named in found[1][0]["errors"][0]["message"]


@pytest.mark.parametrize(
    "culprits",
    [{0}, {999}, {500, 501}, {0, 999}, {0, 1, 2}, {997, 998, 999}, {3, 77, 78, 402, 803}, {199, 200}],
    ids=lambda culprits: "+".join(map(str, sorted(culprits))),
)
@pytest.mark.parametrize("chunk_size", [None, pytest.param(7, marks=pytest.mark.thorough)])
def test_wherever_they_are(culprits: set[int], chunk_size: int | None, loky: Executor) -> None:
    found = run(loky, 1000, pre_validation_hooks=[killer(culprits)], chunk_size=chunk_size)
    check_poison(found, 1000, culprits, "pre")


@pytest.mark.parametrize("seed", [1])
def test_ten_in_ten_thousand(seed: int, loky: Executor) -> None:
    culprits = set(random.Random(seed).sample(range(10_000), 10))
    check_poison(run(loky, 10_000, pre_validation_hooks=[killer(culprits)]), 10_000, culprits, "pre")


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_a_hundred_in_a_hundred_thousand(loky: Executor) -> None:
    culprits = set(random.sample(range(100_000), 100))
    check_poison(run(loky, 100_000, pre_validation_hooks=[killer(culprits)]), 100_000, culprits, "pre")


# --- wherever they kill ---


def fatal_validator(culprits: Collection[int]) -> type[BaseModel]:
    wanted = frozenset(culprits)

    class Fatal(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def kill(cls, value: int) -> int:
            if value in wanted:
                die("SIGKILL")
            return value

    return Fatal


def fatal_serializer(culprits: Collection[int]) -> type[BaseModel]:
    wanted = frozenset(culprits)

    class Fatal(BaseModel):
        n: int

        @field_serializer("n")
        def kill(self, value: int) -> int:
            if value in wanted:
                die("SIGKILL")
            return value

    return Fatal


PLACES: dict[str, tuple[str, Callable[[Collection[int]], dict[str, Any]]]] = {
    "pre": ("pre", lambda them: {"pre_validation_hooks": [killer(them)]}),
    "pre, async": ("pre", lambda them: {"pre_validation_hooks": [async_killer(them)]}),
    "pre, chunk": ("pre", lambda them: {"pre_validation_hooks": [chunk_killer(them)]}),
    "second hook": ("pre", lambda them: {"pre_validation_hooks": [lambda e, s: None, killer(them)]}),
    "validation": ("worker", lambda them: {"schema": fatal_validator(them)}),
    "validation, hooks": (
        "worker",
        lambda them: {"schema": fatal_validator(them), "pre_validation_hooks": [lambda e, s: None]},
    ),
    "post": ("post", lambda them: {"post_validation_hooks": [killer(them, post=True)]}),
    "serializer": ("worker", lambda them: {"schema": fatal_serializer(them)}),
}


@pytest.mark.parametrize("place", PLACES)
def test_wherever_they_kill(place: str, loky: Executor) -> None:
    phase, options = PLACES[place]
    check_poison(run(loky, 400, **options({13, 200})), 400, {13, 200}, phase)


def test_a_chunk_hook_that_cannot_be_repeated_loses_its_chunk_and_no_other(loky: Executor) -> None:
    hook = chunk_killer({13}, repeatable=False, chunk_size=10)
    good, bad, report = run(loky, 100, pre_validation_hooks=[hook])
    check(good, bad, 100, set(range(10, 20)), report)
    assert {row["errors"][0]["type"] for row in bad} == {"WorkerKilled"}
    assert report.worker_deaths <= 3


def test_a_worker_reads_splits_of_a_file(tmp_path: Path, processes: Executor) -> None:
    source, culprits = tmp_path / "numbers.csv", {0, 29_999}
    if processes.name == "loky":  # a cluster's workers take seconds to come back
        culprits |= {9_999, 20_000}
    source.write_text("n,text\n" + "".join(f'{n},"two\nlines"\n' for n in range(30_000)))
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    report = Pipe(
        source,
        good,
        schema=Number,
        errors=bad,
        executor=processes,
        pre_validation_hooks=[killer({str(n) for n in culprits})],  # type: ignore[misc]  # cells are text
    ).run()
    rows = [[json.loads(line) for line in path.read_bytes().splitlines()] for path in (good, bad)]
    check(rows[0], rows[1], 30_000, culprits, report)
    assert rows[1][0]["raw"] == {"n": "0", "text": "two\nlines"}
    assert report.worker_deaths <= 3 * len(culprits)


# --- together with everything else ---


def test_beside_hooks_that_fail_drop_and_expand(processes: Executor) -> None:
    def act(entry: Any, store: Any) -> Any:
        n = entry.raw_data["n"]
        if n % 10 == 3:
            raise ValueError("no")
        return [] if n % 10 == 4 else [entry, entry.copy()] if n % 10 == 5 else None

    def outcome(executor: Any, hooks: Sequence[Any]) -> tuple[Any, Any, Any]:
        good, bad, report = run(executor, 500, pre_validation_hooks=hooks)
        return good, bad, (report.read, report.valid, report.failed, report.dropped, report.expanded)

    good, bad, counts = outcome("sync", [act])
    found, rejected, now = outcome(processes, [act, killer({100, 101, 200})])
    assert found == [row for row in good if row["n"] not in (100, 101, 200)]
    assert [row for row in rejected if row["errors"][0]["type"] == "HookError"] == bad
    assert now == (counts[0], counts[1] - 3, counts[2] + 3, *counts[3:])


def test_behind_a_hook_that_the_driver_decides_for(loky: Executor) -> None:
    found = run(loky, 500, pre_validation_hooks=[killer({77, 400})], post_validation_hooks=["deduplicate"])
    check_poison(found, 500, {77, 400}, "pre")


def test_a_limit_of_records_holds(loky: Executor) -> None:
    found = run(loky, 1000, pre_validation_hooks=[killer({77, 400})], limit=401, chunk_size=50)
    check_poison(found, 401, {77, 400}, "pre")


def test_a_limit_of_errors_holds(tmp_path: Path, loky: Executor) -> None:
    bad: list[Any] = []
    pipe = Pipe(
        numbers(1000),
        tmp_path / "good.jsonl",
        errors=bad,
        executor=loky,
        pre_validation_hooks=[killer({77, 301, 302})],
        max_errors=1,
        chunk_size=50,
    )
    with pytest.raises(TooManyErrorsError):
        pipe.run()
    assert pipe.report is not None
    assert (pipe.report.read, [row["position"] for row in bad]) == (302, [77, 301])
    assert not (tmp_path / "good.jsonl").exists()


def test_without_order(loky: Executor) -> None:
    good, bad, report = run(loky, 1000, pre_validation_hooks=[killer({5, 600})], ordered=False, chunk_size=20)
    check(sorted(good, key=lambda row: row["n"]), sorted(bad, key=lambda row: row["position"]), 1000, {5, 600}, report)


def test_entries_are_streamed(loky: Executor) -> None:
    pipe = Pipe(numbers(300), schema=Number, executor=loky, pre_validation_hooks=[killer({5, 150})])
    entries = list(pipe)
    check([{"n": entry.validated_data["n"]} for entry in entries], [{"position": 5}, {"position": 150}], 300, {5, 150})
    assert [entry.position for entry in entries] == [entry.validated_data["n"] for entry in entries]


# --- who is not to blame ---


def test_one_that_kills_once_and_then_passes_goes_to_the_sink(tmp_path: Path, processes: Executor) -> None:
    found = run(processes, 1000, pre_validation_hooks=[once_killer({0, 500, 501, 999}, tmp_path)])
    good, bad, report = found
    check(good, bad, 1000, (), report)
    assert (report.worker_deaths, report.poisoned) == (4, 0)


def test_too_many_of_them_stop_the_run(tmp_path: Path, processes: Executor) -> None:
    target = tmp_path / "good.jsonl"
    target.write_text("as before\n")
    pipe = Pipe(
        numbers(200),
        target,
        schema=Number,
        executor=processes,
        mode="overwrite",
        pre_validation_hooks=[killer(range(50, 54))],
        max_poison=2,
        chunk_size=10,
    )
    with pytest.raises(TooManyErrorsError, match="max_poison = 2") as stopped:
        pipe.run()
    assert pipe.report is not None
    assert pipe.report.poisoned == 3
    tried = 4  # also the one beside the third that was blamed
    assert pipe.report.worker_deaths <= (5 if processes.name == "ray" else 3) * tried
    assert pipe.report.status is FlowStatus.FAILED
    assert "killed or hung every worker" in str(stopped.value)
    assert target.read_text() == "as before\n"
    assert [path.name for path in tmp_path.iterdir()] == ["good.jsonl"]
    good, bad, report = run(processes, 20)
    check(good, bad, 20, (), report)  # the executor goes on
