"""What an event executor keeps of its events: ``footprint_run.py COUNT``.

Prints JSON, in bytes an event as Python allocated them: events that were made, and that were invoked by themselves;
the same when they wait in an executor, and when it has run them.
"""

import asyncio
import gc
import json
import sys
import tracemalloc
from typing import Any

from events_run import classes, config

Sizes = dict[str, float]


def allocated() -> int:
    """Bytes in use by what is still reachable."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def alone(event_type: type[Any], count: int) -> Sizes:
    """Events without an executor."""
    before = allocated()
    events = [event_type() for _ in range(count)]
    made = allocated()
    for event in events:
        await event.invoke()
    return {"made": (made - before) / count, "invoked": (allocated() - before) / count}


async def kept(event_type: type[Any], executor_type: type[Any], count: int) -> Sizes:
    """The same in an executor."""
    before = allocated()
    executor = executor_type(processor_config=config(count))
    events = [event_type() for _ in range(count)]
    for event in events:
        await executor.append(event)
    waiting = allocated()
    await executor.forward()
    ended = allocated()
    if len(executor.completed_events) != count:
        raise SystemExit(f"{executor!r} after {count} events")
    return {"waiting": (waiting - before) / count, "ended": (ended - before) / count}


async def main(count: int) -> Sizes:
    """Both, after a few that are not counted: what is made once is there then."""
    pair = classes("pipe")
    await alone(pair[0], 10)
    await kept(*pair, 10)
    return {**await alone(pair[0], count), **await kept(*pair, count)}


if __name__ == "__main__":
    tracemalloc.start()
    print(json.dumps(asyncio.run(main(int(sys.argv[1])))))
