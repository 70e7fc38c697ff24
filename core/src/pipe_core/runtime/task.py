"""A task: one call on its way through an executor."""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable, Mapping
from types import CoroutineType
from typing import Any

from pipe_core.kernel.contracts import Outcome
from pipe_core.runtime import wire
from pipe_core.runtime.call_future import CallFuture
from pipe_core.runtime.ledger import Tracked


class Task(Tracked):
    """One unit handed to an executor. Fulfils the `Call` and `Schedulable` contracts."""

    __slots__ = ("args", "context", "fn", "future", "given_up", "id", "kwargs", "slot")

    def __init__(self, id: int, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        super().__init__()
        self.id = id
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self.slot = 0
        self.given_up: BaseException | None = None
        self.future = CallFuture()
        self.context = contextvars.copy_context()

    def claim(self) -> bool:
        """The call starts now. False when its future was cancelled before."""
        return self.future.set_running_or_notify_cancel()

    @property
    def sequence(self) -> int:
        """Grows with every submit."""
        return self.id

    def run(self) -> Outcome:
        """Call the function here and now, in the context of its submit. Whatever happens is in the outcome."""
        try:
            value = self.context.run(self.fn, *self.args, **self.kwargs)
            if type(value) is CoroutineType:
                from pipe_core.runtime import loops  # and with it asyncio, which most calls never need

                value = self.context.run(loops.shared_loop().run, value)
        except BaseException as error:  # also SystemExit: user code must not end a worker
            return Outcome(error=error)
        return Outcome(value)

    @property
    def is_async(self) -> bool:
        """Whether the function is a coroutine function."""
        return inspect.iscoroutinefunction(self.fn)

    async def arun(self) -> Outcome:
        """Call the function on the running loop. For a task made in `context`: ``create_task(..., context=...)``."""
        import asyncio

        from pipe_core.runtime.loops import cancelled_from_outside

        try:
            value = self.fn(*self.args, **self.kwargs)
            return Outcome(await value if inspect.isawaitable(value) else value)
        except asyncio.CancelledError as error:
            if cancelled_from_outside():
                raise
            return Outcome(error=error)
        except BaseException as error:  # also SystemExit, which would end the loop
            return Outcome(error=error)

    def frame(self) -> bytes:
        """The call as bytes, for `wire.run_frame` in another process."""
        return wire.pack_call(self.fn, self.args, self.kwargs, context=self.context)
