"""The event loop of a thread that runs calls in a worker: made for its first coroutine, kept for all later ones.

A process worker runs its calls on one thread, so this is one loop a process, and what a call binds to the loop (a
client, a lock) is good in the next call. Tasks are not kept: what a call leaves running is cancelled before its
answer, as `asyncio.run` does, because nobody would drive it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from typing import Any, Final

logger = logging.getLogger("pipe_core")

_GRACE: Final = 10.0
"""How many seconds the tasks that a call left behind have to end once they are cancelled."""

_here = threading.local()


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of *coroutine*, run on the loop of the calling thread. Raises what it raises."""
    if asyncio._get_running_loop() is not None:  # somebody called from a coroutine, whose loop cannot wait here
        from pipe_core.runtime.loops import shared_loop

        return shared_loop().run(coroutine)
    loop = _loop()
    task = loop.create_task(_contained(coroutine))
    try:
        value, error = loop.run_until_complete(task)
    finally:
        left = asyncio.all_tasks(loop)
        if left:
            _cancel(loop, left)
    if error is not None:
        raise error
    return value


async def _contained(coroutine: Coroutine[Any, Any, Any]) -> tuple[Any, BaseException | None]:
    try:
        return await coroutine, None
    except BaseException as error:  # SystemExit and KeyboardInterrupt would leave the loop in the middle of its work
        return None, error


def _cancel(loop: asyncio.AbstractEventLoop, tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    try:
        _, stubborn = loop.run_until_complete(asyncio.wait(tasks, timeout=_GRACE))
    except BaseException:  # one of them answers with SystemExit; the call's own outcome is what counts
        logger.warning("a task that a call left behind tried to end the worker", exc_info=True)
        return
    if stubborn:
        logger.warning("%d tasks that a call left behind do not let themselves be cancelled", len(stubborn))


class _Held:
    """Closes a loop when its thread is gone."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def __del__(self) -> None:
        if not self.loop.is_running():
            self.loop.close()


def _loop() -> asyncio.AbstractEventLoop:
    held: _Held | None = getattr(_here, "held", None)
    if held is None or held.loop.is_closed():
        held = _here.held = _Held(asyncio.new_event_loop())
    return held.loop
