"""How calls are cancelled and executors shut down."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from held_slots import held
from recording import Recording

from pipe_core import Executor
from pipe_core.runtime.ledger import TaskStatus

# --- cancelling ---


def test_a_waiting_call_that_is_cancelled_never_runs(background: Executor, tmp_path: Path) -> None:
    trace = str(tmp_path / "trace")
    with held(background, tmp_path, calls=background.slots):
        future = background.submit(lambda: Path(trace).touch())
        assert future.cancel()
        assert future.cancelled()
        with pytest.raises(concurrent.futures.CancelledError):
            future.result()
    background.submit(abs, -1).result()
    background.shutdown()

    assert not Path(trace).exists()
    assert background.ledger.totals[TaskStatus.CANCELLED] == 1


def test_a_running_call_is_not_cancelled(background: Executor, tmp_path: Path) -> None:
    with held(background, tmp_path) as [running]:
        assert not running.future.cancel()
        assert running.future.running()
    assert running.future.result() == ""


def test_those_who_wait_hear_of_a_cancelled_call(background: Executor, tmp_path: Path) -> None:
    with held(background, tmp_path, calls=background.slots) as running:
        future = background.submit(abs, -1)
        future.cancel()
        for one in running:
            one.release()
        done, pending = concurrent.futures.wait([future], timeout=20)
    assert (done, pending) == ({future}, set())


# --- shutting down ---


def test_shutting_down_twice_is_fine(executor: Executor) -> None:
    future = executor.submit(abs, -1)
    executor.shutdown()
    executor.shutdown(wait=False)
    executor.shutdown(cancel_futures=True)

    assert future.result() == 1


def test_nothing_is_taken_after_the_shutdown(executor: Executor) -> None:
    executor.shutdown()

    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(abs, -1)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.map(abs, [1])
    assert repr(executor).endswith("0 waiting, 0 running, shut down>")


def test_a_block_waits_for_its_calls(background: Executor) -> None:
    with background as executor:
        futures = [executor.submit(abs, -i) for i in range(50)]

    assert all(future.done() for future in futures)
    assert [future.result() for future in futures] == list(range(50))


def test_a_shutdown_that_does_not_wait_lets_calls_end(background: Executor, tmp_path: Path) -> None:
    with held(background, tmp_path, calls=background.slots):
        waiting = background.submit(abs, -1)
        background.shutdown(wait=False)
        assert not waiting.done()
    assert waiting.result() == 1


def test_a_shutdown_may_cancel_what_waits(background: Executor, tmp_path: Path) -> None:
    with held(background, tmp_path, calls=background.slots) as running:
        waiting = [background.submit(abs, -i) for i in range(20)]
        background.shutdown(wait=False, cancel_futures=True)
        assert all(future.cancelled() for future in waiting)
        assert background.ledger.count(TaskStatus.PENDING) == 0
    background.shutdown()

    assert [one.future.result() for one in running] == [""] * background.slots
    assert background.ledger.totals[TaskStatus.CANCELLED] == 20


def test_leaving_a_block_by_an_exception_cancels_what_waits_and_waits_for_the_rest(
    background: Executor, tmp_path: Path
) -> None:
    with held(background, tmp_path, calls=background.slots) as running:
        waiting: list[Future[int]] = []

        def release(_: object) -> None:
            for one in running:
                one.release()

        def block() -> None:
            with background:
                waiting.extend(background.submit(abs, -i) for i in range(10))
                waiting[-1].add_done_callback(release)
                raise LookupError("from the block")

        with pytest.raises(LookupError, match="from the block"):
            block()

    assert all(future.cancelled() for future in waiting)
    assert all(one.future.done() for one in running)


def test_an_asynchronous_block_waits_without_holding_the_loop(background: Executor, tmp_path: Path) -> None:
    async def main() -> list[str]:
        with held(background, tmp_path) as [slow]:
            async with background as executor:
                future = executor.submit(abs, -1)
                asyncio.get_running_loop().call_later(0.01, slow.release)  # would never come if the loop were held
            assert future.done()
            return [slow.future.result()]

    assert asyncio.run(main()) == [""]


def test_an_asynchronous_block_left_by_an_exception_cancels_what_waits(background: Executor, tmp_path: Path) -> None:
    async def main() -> Future[int]:
        with held(background, tmp_path, calls=background.slots) as running:
            try:
                async with background:
                    future = background.submit(abs, -1)
                    future.add_done_callback(lambda _: [one.release() for one in running])
                    raise LookupError
            except LookupError:
                return future

    assert asyncio.run(main()).cancelled()


def test_callbacks_have_run_when_the_shutdown_returns(threads: Executor, tmp_path: Path) -> None:
    begun, gate = threading.Event(), threading.Event()
    with held(threads, tmp_path) as [slow]:
        slow.future.add_done_callback(lambda _: (begun.set(), gate.wait(20)))
    assert begun.wait(20)
    closing = threading.Thread(target=threads.shutdown)
    closing.start()
    closing.join(0.05)
    still_open = closing.is_alive()
    gate.set()
    closing.join(20)

    assert still_open, "the shutdown returned while a callback was running"
    assert not closing.is_alive()


def test_a_backend_is_stopped_when_the_last_call_has_ended() -> None:
    backend = Recording()
    executor = Executor(backend)
    executor.submit(abs, -1)
    executor.submit(abs, -2)
    executor.shutdown(wait=False)
    assert backend.stops == []
    backend.run()
    assert backend.stops == []
    backend.run()
    assert backend.stops == [False]
    executor.shutdown()  # and once more for whoever waits: the first stop may have come from the backend's own thread

    assert backend.stops == [False, False]


def test_a_backend_is_stopped_when_the_last_call_was_cancelled() -> None:
    backend = Recording()
    executor = Executor(backend)
    future = executor.submit(abs, -1)
    executor.shutdown(wait=False)
    future.cancel()
    backend.run()

    assert backend.stops == [False]


def test_cancelling_at_the_shutdown_stops_an_idle_backend() -> None:
    backend = Recording()
    executor = Executor(backend)
    future = executor.submit(abs, -1)
    executor.shutdown(wait=True, cancel_futures=True)

    assert future.cancelled()
    assert set(backend.stops) == {False}


def test_callbacks_of_cancelled_calls_do_not_hold_the_executor() -> None:
    """A callback may wait for another thread that looks at the executor."""
    executor = Executor(Recording())
    future = executor.submit(abs, -1)
    seen: list[str] = []

    def look(_: Future[int]) -> None:
        with ThreadPoolExecutor(1) as other:
            try:
                other.submit(executor.submit, abs, -1).result(timeout=10)
            except BaseException as error:
                seen.append(str(error))

    future.add_done_callback(look)
    executor.shutdown(cancel_futures=True)

    assert [text.partition(":")[0] for text in seen] == ["cannot schedule new futures after shutdown"]
