"""How an event executor is started, stopped and joined; what events, loops and threads do to it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from event_kinds import HOUR, LIMIT, Work, Works, agree, joined, labels, run, until

from pipe_core import EventStatus, RunningError


def test_events_run_in_the_background() -> None:
    async def main() -> None:
        executor = Works()
        await executor.start()
        event = Work(label=1)
        await executor.append(event)
        assert event.status is EventStatus.PENDING
        await until(lambda: event.status is EventStatus.COMPLETED)
        await joined(executor)
        await executor.shutdown()

    run(main)


def test_what_waits_before_the_start_is_taken_however_much_it_is() -> None:
    async def main() -> None:
        executor = Works({"queue_capacity": 10_000, "max_queue_size": 10})
        for n in range(2_500):
            await executor.append(Work(label=n), -n)
        await executor.start()
        await joined(executor)
        assert labels(executor.completed_events) == list(reversed(range(2_500)))
        await executor.shutdown()

    run(main)


def test_stop_is_prompt_and_what_waits_is_resumed() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        executor = Works({"concurrency_limit": 2, "capacity_refresh_time": 3_600})
        running = [Work(label=n, code=gate.wait) for n in range(2)]
        for event in running:
            await executor.append(event)
        for n in range(2, 10):
            await executor.append(Work(label=n))
        await executor.start()
        await until(lambda: len(executor.processing_events) == 2)
        await executor.stop()
        assert executor.processing_events == running, "it did not wait for them"
        assert executor.processor is not None
        assert not executor.processor.running
        gate.set()
        await executor.processor.settle()
        assert executor.completed_events == running
        assert labels(executor.pending_events) == list(range(2, 10))
        await executor.append(Work(label=10))
        await asyncio.sleep(0.01)
        assert len(executor.pending_events) == 9
        await executor.start()
        await joined(executor)
        assert labels(executor.completed_events) == list(range(11))
        await executor.shutdown()

    run(main)


def test_join_waits_for_what_runs_too() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        executor = Works()
        await executor.start()
        await executor.append(Work(code=gate.wait))
        assert executor.processor is not None
        join = asyncio.create_task(executor.processor.join())
        await until(lambda: executor.processing_events)
        await asyncio.sleep(0.01)
        assert not executor.pending_events
        assert not join.done()
        gate.set()
        await join
        await executor.processor.join()  # nothing is there to wait for
        await executor.shutdown()

    run(main)


def test_join_waits_for_what_a_user_runs_too() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        executor = Works(HOUR)
        await executor.append(event := Work(code=gate.wait))
        await executor.append(Work(label="next"), 5)
        run_by_user = asyncio.create_task(event.invoke())
        await executor.start()
        await until(lambda: executor.completed_events)
        assert executor.processing_events == [event]
        assert executor.processor is not None
        join = asyncio.create_task(executor.processor.join())
        await asyncio.sleep(0.01)
        assert not join.done()
        gate.set()
        await asyncio.gather(join, run_by_user)
        agree(executor)
        await executor.shutdown()

    run(main)


def test_an_event_that_is_invoked_while_it_waits_runs_once() -> None:
    async def main() -> None:
        runs: list[int] = []
        executor = Works()
        events = [Work(label=n, code=lambda n=n: runs.append(n)) for n in range(100)]
        for event in events:
            await executor.append(event)
        await executor.start()
        await asyncio.gather(*(event.invoke() for event in events))
        await joined(executor)
        assert sorted(runs) == list(range(100))
        assert [len(executor.history(event)) for event in events] == [3] * 100
        await executor.shutdown()

    run(main)


# --- what events do to it ---


def test_whatever_an_event_raises_stops_nothing_but_itself() -> None:
    class Rude(BaseException):
        def __str__(self) -> str:
            raise SystemExit

    async def main() -> None:
        errors = [
            ValueError("x"),
            SystemExit(3),
            KeyboardInterrupt(),
            GeneratorExit(),
            Rude(),
            asyncio.CancelledError(),
        ]

        def raising(error: BaseException) -> Any:
            def code() -> None:
                raise error

            return code

        executor = Works({"concurrency_limit": 2})
        await executor.start()
        for n, error in enumerate(errors):
            await executor.append(Work(label=n, code=raising(error)))
            await executor.append(Work(label="good"))
        await joined(executor)
        assert [event.execution.error for event in executor.failed_events] == errors
        assert len(executor.completed_events) == len(errors)
        await executor.shutdown()

    run(main)


def test_an_event_may_append_stop_and_clean_up() -> None:
    async def main() -> None:
        executor = Works({"concurrency_limit": 1})

        async def busy() -> int:
            await executor.append(Work(label="child"))
            await executor.cleanup_events()
            await executor.stop()
            return executor.status_counts()["processing"]

        await executor.start()
        await executor.append(event := Work(label="parent", code=busy))
        await until(lambda: event.status.final)
        assert event.execution.response == 1
        assert labels(executor.pending_events) == ["child"]
        await executor.start()
        await joined(executor)
        await executor.shutdown()

    run(main)


def test_an_event_that_is_cancelled_by_the_loop_is_cancelled() -> None:
    async def main() -> None:
        executor = Works()
        await executor.start()
        await executor.append(event := Work(code=asyncio.Event().wait))
        await until(lambda: event.status is EventStatus.PROCESSING)
        (task,) = [task for task in asyncio.all_tasks() if "run_once" in repr(task.get_coro())]
        task.cancel()
        await joined(executor)
        assert executor.cancelled_events == [event]
        await executor.append(Work(label="next"))
        await joined(executor)
        assert labels(executor.completed_events) == ["next"]
        await executor.shutdown()

    run(main)


# --- loops and threads ---


def test_a_loop_that_ends_loses_nothing() -> None:
    executor = Works({"queue_capacity": 10_000})

    async def begin() -> None:
        await executor.start()
        for n in range(300):
            await executor.append(Work(label=n))
        await executor.append(Work(label="hangs", code=asyncio.Event().wait), -1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # some have a task that has not begun

    asyncio.run(begin())
    agree(executor)
    assert executor.pending_events

    async def resume() -> None:
        await executor.start()
        await joined(executor)
        await executor.shutdown()

    run(resume)
    assert sorted(labels(executor.completed_events)) == list(range(300))
    assert labels(executor.cancelled_events) == ["hangs"]


def test_a_loop_that_is_closed_in_the_middle_loses_nothing() -> None:
    executor = Works({"queue_capacity": 10_000, "concurrency_limit": 10})
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)

    async def begin() -> None:
        await executor.start()
        for n in range(50):
            await executor.append(Work(label=n), n)
        await executor.append(Work(label="hangs", code=asyncio.Event().wait), -1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        loop.stop()
        await executor.append(Work(label=50), 50)  # nobody is told of it any more
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="stopped before"):
        loop.run_until_complete(begin())
    loop.close()

    async def resume() -> None:
        await executor.start()
        await until(lambda: len(executor.completed_events) == 51)
        await executor.append(Work(label=51))
        await joined(executor)
        await executor.shutdown()

    run(resume)
    assert labels(executor.cancelled_events) == ["hangs"]


def test_append_from_other_loops_while_it_runs() -> None:
    async def main() -> None:
        executor = Works({"queue_capacity": 10_000, "max_queue_size": 5})
        await executor.start()
        errors: list[BaseException] = []

        async def bring(number: int) -> None:
            for n in range(100):
                await executor.append(Work(label=(number, n)))

        def elsewhere(number: int) -> None:
            try:
                asyncio.run(bring(number))
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=elsewhere, args=[number]) for number in range(4)]
        for thread in threads:
            thread.start()
        await until(lambda: not any(thread.is_alive() for thread in threads))
        assert errors == []
        await joined(executor)
        assert sorted(labels(executor.completed_events)) == [(number, n) for number in range(4) for n in range(100)]
        await executor.shutdown()

    run(main)


def test_appending_and_joining_wake_it_from_another_loop() -> None:
    executor = Works()
    started, over = threading.Event(), threading.Event()

    async def serve() -> None:
        await executor.start()
        started.set()
        await asyncio.to_thread(over.wait, LIMIT)
        await executor.shutdown()

    server = threading.Thread(target=asyncio.run, args=[serve()])
    server.start()
    assert started.wait(LIMIT)

    async def bring() -> None:
        for n in range(20):
            await executor.append(Work(label=n))
            await joined(executor)
            assert len(executor.completed_events) == n + 1
        for forbidden in (executor.start, executor.stop, executor.forward, executor.shutdown):
            with pytest.raises(RunningError, match="another event loop"):
                await forbidden()

    try:
        run(bring)
    finally:
        over.set()
        server.join(LIMIT)
    assert not server.is_alive()
