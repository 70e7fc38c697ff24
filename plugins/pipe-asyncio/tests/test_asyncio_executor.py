"""`AsyncIOExecutor` and ``"asyncio"``: options, what they claim, and pipes that run on them."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pipe_asyncio import AsyncIOExecutor, AsyncIOOptions
from pipe_core import BaseHook, Executor, HookStore, OptionsError, Pipe, RunningError, get_executor

# --- options ---


def test_it_is_chosen_by_name_and_by_its_options() -> None:
    model = AsyncIOOptions(concurrency=3)
    for spec in ("asyncio", "asyncio://?concurrency=3", ("asyncio", {"concurrency": 3}), model):
        with get_executor(spec) as executor:
            assert executor.name == "asyncio"
            assert executor.max_workers == (10 if spec == "asyncio" else 3)
            assert executor.capabilities.native_async


def test_the_class_takes_what_the_name_takes() -> None:
    given = {"concurrency": 20, "chunk_size": 7, "max_inflight": 5, "use_batch_validation": False}
    with AsyncIOExecutor(
        concurrency=20, max_workers=4, chunksize=7, max_inflight=5, use_batch_validation=False
    ) as executor:
        assert isinstance(executor, Executor)
        assert (executor.name, executor.slots, executor.defaults) == ("asyncio", 20, given)
    with get_executor("asyncio", max_workers=4, **given) as executor:
        assert (executor.slots, executor.defaults) == (20, given)


def test_what_is_not_given_is_no_default_of_pipes() -> None:
    with AsyncIOExecutor() as executor:
        assert executor.defaults == {}


@pytest.mark.parametrize("option", ["max_workers", "concurrency", "chunksize", "max_inflight"])
@pytest.mark.parametrize("value", [0, -1, "many", 1.5])
def test_a_number_that_is_none_is_refused(option: str, value: Any) -> None:
    with pytest.raises(OptionsError, match=option.replace("chunksize", "chunk_size")):
        AsyncIOExecutor(**{option: value})


@pytest.mark.parametrize("loop", ["uvloop", 3, asyncio])
def test_what_is_no_loop_is_refused(loop: Any) -> None:
    with pytest.raises(OptionsError, match=r"loop: .*get_running_loop"):
        AsyncIOExecutor(loop=loop)


@pytest.mark.parametrize("option", ["compression", "prefetch"])
def test_an_option_without_a_use_is_refused(option: str) -> None:
    with pytest.raises(OptionsError, match=f"{option}: there is no such option"):
        get_executor("asyncio", **{option: 1})
    with pytest.raises(TypeError, match=option):
        AsyncIOExecutor(**{option: 1})


def test_a_schema_is_refused_with_its_right_place() -> None:
    with pytest.raises(OptionsError, match=r"Pipe\(source, sink, schema=\.\.\., executor=AsyncIOExecutor\(\)\)"):
        AsyncIOExecutor(BaseModel)


def test_the_plugin_module_imports_no_backend() -> None:
    code = "import sys, pipe_asyncio.plugin; print(sorted({'pipe_asyncio.backend'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert done.stdout == "[]\n", done.stderr


def test_the_module_answers_for_its_own_name_only() -> None:
    plugin = importlib.import_module("pipe_asyncio.plugin")
    assert plugin.pipe_executor("asyncio").capabilities.native_async
    assert plugin.pipe_executor("threads") is None


# --- pipes ---


class Reading(BaseModel):
    n: int
    square: int
    half: float = 0.0
    many: int = 0


async def square(entry: Any, store: HookStore) -> None:
    await asyncio.sleep(0)
    entry["raw_data"]["square"] = int(entry["raw_data"]["n"]) ** 2


def halve(entry: Any, store: HookStore) -> None:
    entry["validated_data"]["half"] = 10 / (entry["validated_data"]["n"] - 4)


class Whole(BaseHook):
    async def execute(self, entries: Any, store: HookStore) -> None:
        await asyncio.sleep(0)
        for entry in entries:
            entry["validated_data"]["many"] = entry["validated_data"]["n"] + 1


def written(folder: Path, executor: Any, **settings: Any) -> tuple[bytes, bytes, tuple[int, int, int]]:
    good, bad = folder / "good.jsonl", folder / "bad.jsonl"
    report = Pipe(
        folder / "in.csv",
        good,
        schema=Reading,
        errors=bad,
        pre_validation_hooks=[square],
        post_validation_hooks=[halve, Whole()],
        executor=executor,
        mode="overwrite",
        **settings,
    ).run()
    return good.read_bytes(), bad.read_bytes(), (report.read, report.valid, report.failed)


@pytest.mark.parametrize(
    "settings", [{}, {"chunk_size": 1}, {"chunk_size": 7}, {"concurrency": 1}, {"concurrency": 50}], ids=repr
)
def test_a_pipe_writes_the_same_bytes_as_on_sync(tmp_path: Path, settings: dict[str, int]) -> None:
    (tmp_path / "in.csv").write_text("n\n" + "".join(f"{n if n % 13 else 'x'}\n" for n in range(1, 500)))
    expected = written(tmp_path, "sync")
    assert expected[2] == (499, 460, 39)
    assert written(tmp_path, "asyncio", **settings) == expected
    with get_executor("asyncio", max_workers=2, **settings) as executor:
        assert written(tmp_path, executor) == expected


def test_validating_one_by_one_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("n\n1\nx\n4\n5\n")
    with AsyncIOExecutor(use_batch_validation=False) as single, AsyncIOExecutor() as many:
        assert written(tmp_path, single) == written(tmp_path, many)


@pytest.mark.parametrize("asked", [1, 7])
def test_the_executors_concurrency_bounds_the_calls_of_async_hooks(asked: int) -> None:
    now = most = 0

    async def count(entry: Any, store: HookStore) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(3):
            await asyncio.sleep(0)
        now -= 1

    with AsyncIOExecutor(concurrency=asked, max_workers=4) as executor:
        Pipe([{"n": n} for n in range(300)], pre_validation_hooks=[count], executor=executor).run()
        assert most == asked
        most = 0
        Pipe([{"n": n} for n in range(300)], pre_validation_hooks=[count], executor=executor, concurrency=3).run()
        assert most == 3


def test_arun_goes_on_on_the_loop_that_was_given() -> None:
    places = set()

    async def note(entry: Any, store: HookStore) -> None:
        places.add(asyncio.get_running_loop())

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with AsyncIOExecutor(loop=loop) as executor:
            report = await Pipe([{"n": 1}], pre_validation_hooks=[note], executor=executor).arun()
        assert report.valid == 1
        assert places == {loop}

    asyncio.run(main())


@pytest.mark.parametrize("front", ["run", "iteration"])
def test_blocking_the_loop_that_was_given_is_refused_with_the_way_out(front: str) -> None:
    async def main() -> None:
        async with AsyncIOExecutor(loop=asyncio.get_running_loop()) as executor:
            pipe = Pipe([{"n": 1}], executor=executor)
            with pytest.raises(RunningError, match=r"await pipe\.arun\(\)"):
                pipe.run() if front == "run" else list(pipe)
            assert (await pipe.arun()).valid == 1

    asyncio.run(main())


def test_hooks_of_a_run_elsewhere_run_on_the_loop_that_was_given() -> None:
    places = set()

    async def note(entry: Any, store: HookStore) -> None:
        await asyncio.sleep(0)
        places.add(asyncio.get_running_loop())

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with AsyncIOExecutor(loop=loop) as executor:
            pipe = Pipe([{"n": n} for n in range(50)], pre_validation_hooks=[note], executor=executor)
            assert (await asyncio.to_thread(pipe.run)).valid == 50
            report = pipe.start()
            assert await report.wait_async(20)
        assert places == {loop}

    asyncio.run(main())
