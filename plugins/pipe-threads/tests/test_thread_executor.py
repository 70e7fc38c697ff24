"""`ThreadExecutor` and ``"threads"``: options, what they claim, and pipes that run on them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pipe_core import Executor, HookStore, OptionsError, Pipe, get_executor
from pipe_core.runtime.cores import cores
from pipe_threads import ThreadExecutor, ThreadsOptions

# --- options ---


def test_it_is_chosen_by_name_and_by_its_options() -> None:
    for spec in ("threads", "threads://?max_workers=3", ("threads", {"max_workers": 3}), ThreadsOptions(max_workers=3)):
        with get_executor(spec) as executor:
            assert executor.name == "threads"
            assert executor.max_workers == (cores() if spec == "threads" else 3)


def test_the_class_takes_what_the_name_takes() -> None:
    given = {"chunk_size": 7, "concurrency": 20, "max_inflight": 5}
    with ThreadExecutor(max_workers=3, chunksize=7, concurrency=20, max_inflight=5) as executor:
        assert isinstance(executor, Executor)
        assert (executor.name, executor.max_workers, executor.defaults) == ("threads", 3, given)
    with get_executor("threads", max_workers=3, **given) as executor:
        assert executor.defaults == given


def test_what_is_not_given_is_no_default_of_pipes() -> None:
    with ThreadExecutor() as executor:
        assert (executor.max_workers, executor.defaults) == (cores(), {})


@pytest.mark.parametrize("option", ["max_workers", "chunksize", "concurrency", "max_inflight"])
@pytest.mark.parametrize("value", [0, -1, "many", 1.5])
def test_a_number_that_is_none_is_refused(option: str, value: Any) -> None:
    with pytest.raises(OptionsError, match=option.replace("chunksize", "chunk_size")):
        ThreadExecutor(**{option: value})


@pytest.mark.parametrize("option", ["compression", "prefetch", "address"])
def test_an_option_without_a_use_is_refused(option: str) -> None:
    with pytest.raises(OptionsError, match=f"{option}: there is no such option"):
        get_executor("threads", **{option: 1})
    with pytest.raises(TypeError, match=option):
        ThreadExecutor(**{option: 1})


def test_a_schema_is_refused_with_its_right_place() -> None:
    with pytest.raises(OptionsError, match=r"Pipe\(source, sink, schema=\.\.\., executor=ThreadExecutor\(\)\)"):
        ThreadExecutor(BaseModel)


def test_the_plugin_module_imports_no_backend() -> None:
    code = "import sys, pipe_threads.plugin; print('pipe_threads.backend' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert done.stdout == "False\n", done.stderr


def test_the_module_answers_for_its_own_name_only() -> None:
    plugin = importlib.import_module("pipe_threads.plugin")
    assert plugin.pipe_executor("threads").capabilities.isolation == "thread"
    assert plugin.pipe_executor("loky") is None


# --- the standard library ---


def test_wait_and_as_completed_work() -> None:
    gate = threading.Event()
    with ThreadExecutor(max_workers=2) as executor:
        slow, quick = executor.submit(gate.wait, 20), executor.submit(abs, -2)
        done, pending = concurrent.futures.wait([slow, quick], return_when=concurrent.futures.FIRST_COMPLETED)
        assert (done, pending) == ({quick}, {slow})
        gate.set()
        assert {future.result() for future in concurrent.futures.as_completed([slow, quick])} == {True, 2}


def test_only_what_has_not_started_can_be_cancelled() -> None:
    gate, runs = threading.Event(), threading.Event()

    def run() -> None:
        runs.set()
        gate.wait(20)

    ran: list[int] = []
    with ThreadExecutor(max_workers=1) as executor:
        running, waiting = executor.submit(run), executor.submit(ran.append, 1)
        assert runs.wait(20)
        assert not running.cancel()
        assert waiting.cancel()
        gate.set()
    assert ran == []


def test_an_event_loop_goes_on_while_threads_work() -> None:
    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        gate = threading.Event()
        async with ThreadExecutor(max_workers=2) as executor:
            waiting = loop.run_in_executor(executor, gate.wait, 20)
            await asyncio.sleep(0)
            loop.call_soon(gate.set)  # only if the loop goes on does the call end
            return await asyncio.gather(waiting, loop.run_in_executor(executor, abs, -1))

    assert asyncio.run(main()) == [True, 1]


def test_coroutine_functions_run() -> None:
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    with ThreadExecutor(max_workers=2) as executor:
        assert list(executor.map(double, range(5))) == [0, 2, 4, 6, 8]


# --- pipes ---


class Reading(BaseModel):
    n: int
    square: int
    half: float = 0.0


def square(entry: Any, store: HookStore) -> None:
    entry["raw_data"]["square"] = int(entry["raw_data"]["n"]) ** 2


async def halve(entry: Any, store: HookStore) -> None:
    await asyncio.sleep(0)
    entry["validated_data"]["half"] = 10 / (entry["validated_data"]["n"] - 4)


@pytest.mark.parametrize("chunk_size", [None, 1, 7])
def test_a_pipe_writes_the_same_bytes_as_on_sync(tmp_path: Path, chunk_size: int | None) -> None:
    source = tmp_path / "in.csv"
    source.write_text("n\n" + "".join(f"{n if n % 13 else 'x'}\n" for n in range(1, 500)))
    written = {}
    for executor in ("sync", ThreadExecutor(max_workers=4)):
        good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
        report = Pipe(
            source,
            good,
            schema=Reading,
            errors=bad,
            pre_validation_hooks=[square],
            post_validation_hooks=[halve],
            executor=executor,
            chunk_size=chunk_size,
            mode="overwrite",
        ).run()
        counts = report.read, report.valid, report.failed
        written[report.executor] = good.read_bytes(), bad.read_bytes(), counts
    assert written["threads"] == written["sync"]
    assert written["sync"][2] == (499, 460, 39)
