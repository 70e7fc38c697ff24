"""Events that do nothing: ``events_run.py pipe|lionpride COUNT TIMES``.

Appends so many events to an executor and lets it process them, so many times, each with an executor of its own; fifty
events went ahead. Prints JSON: the seconds of appending and of processing. Events are made and let go outside of both.
"""

import asyncio
import json
import sys
import time
from importlib import import_module
from typing import Any

AHEAD = 50
MODULES = {"pipe": ("pipe_core", "EventExecutor"), "lionpride": ("lionpride.core", "Executor")}


def classes(whose: str) -> tuple[type[Any], type[Any]]:
    """An event that does nothing and an executor for it: written alike for both."""
    name, executor_name = MODULES[whose]
    module = import_module(name)

    class Nothing(module.Event):  # type: ignore[name-defined,misc]  # one of two modules
        """An event that does nothing."""

        async def _invoke(self) -> None:
            return None

    class Processor(module.Processor):  # type: ignore[name-defined,misc]  # as above
        """Takes such events."""

        event_type = Nothing

    executor = type("Executor", (getattr(module, executor_name),), {"processor_type": Processor})
    return Nothing, executor


def config(count: int) -> dict[str, Any]:
    """Of the processor: as little in the way as both allow."""
    return {"queue_capacity": 10_000, "capacity_refresh_time": 0.01, "max_queue_size": count}


async def timed(event_type: type[Any], executor_type: type[Any], count: int) -> tuple[float, float]:
    """Seconds of appending and of processing."""
    events = [event_type() for _ in range(count)]
    executor = executor_type(processor_config=config(count))
    await executor.start()
    started = time.perf_counter()
    for event in events:
        await executor.append(event)
    appended = time.perf_counter()
    await executor.forward()
    await executor.processor.join()
    ended = time.perf_counter()
    await executor.stop()
    if len(executor.completed_events) != count:
        raise SystemExit(f"{executor!r} after {count} events")
    return appended - started, ended - appended


async def main(whose: str, count: int, times: int) -> None:
    """Measure and tell."""
    pair = classes(whose)
    await timed(*pair, AHEAD)
    found = [await timed(*pair, count) for _ in range(times)]
    print(json.dumps({"append": sum(one for one, _ in found), "process": sum(one for _, one in found)}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
