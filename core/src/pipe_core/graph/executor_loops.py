"""The event loops of executors, and which executors wait for what runs here."""

from __future__ import annotations

import sys
import weakref
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from pipe_core.runtime.executor import Executor


waiting: ContextVar[tuple[Executor, ...]] = ContextVar("waiting", default=())
"""The executors of which a slot waits for what runs here: also where that is a coroutine, which has other threads."""
_loops: weakref.WeakKeyDictionary[Executor, AbstractEventLoop] = weakref.WeakKeyDictionary()
"""The loops of executors, as far as coroutines of pipelines have run there."""


def loop_of(executor: Executor) -> AbstractEventLoop:
    """The loop on which coroutine functions run on *executor*, which has `native_async`. The first use starts it."""
    loop = _loops.get(executor)
    if loop is None:
        loop = _loops[executor] = executor.coroutine_loop()
    return loop


def in_slot(executor: Executor) -> Token[tuple[Executor, ...]]:
    """Say that a slot of *executor* waits for what runs from here on."""
    return waiting.set((*waiting.get(), executor))


def runs_on(executor: Executor, loop: AbstractEventLoop | None) -> bool:
    """Whether coroutine functions run on *loop* there. No loop is started."""
    return loop is not None and (loop is executor.loop or loop is _loops.get(executor))


def is_around(executor: Executor | None) -> bool:
    """Whether a slot of *executor*, or its loop, waits for the caller."""
    return executor is not None and (executor in waiting.get() or _blocks_loop(executor))


def _blocks_loop(executor: Executor) -> bool:
    """Whether the calling thread is in a coroutine on the loop of *executor*: who waits here, blocks it."""
    return "asyncio" in sys.modules and runs_on(executor, sys.modules["asyncio"]._get_running_loop())
