"""A task: one call on its way through an executor."""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from types import CoroutineType
from typing import Any

from pipe_core.kernel.contracts import Outcome
from pipe_core.kernel.error_text import short_repr
from pipe_core.runtime import wire
from pipe_core.runtime.call_future import CallFuture
from pipe_core.runtime.dispatcher import Permit
from pipe_core.runtime.ledger import Tracked
from pipe_core.runtime.retries import Retry


def no_function(fn: object) -> TypeError:
    """Why *fn* is not submitted."""
    return TypeError(
        f"submit() wants something to call, not {short_repr(fn)}. "
        f"Give the function and its arguments apart: submit(fn, x), not submit(fn(x))."
    )


class Task(Tracked):
    """One unit handed to an executor. Fulfils the `Call` and `Schedulable` contracts."""

    __slots__ = ("args", "context", "fn", "future", "given_up", "id", "kwargs", "slot")

    band = 1
    """What schedulers look at: that of `TaskPriority.NORMAL`."""
    number = 0.0
    tag: Hashable = None
    since = 0.0
    resources: Mapping[str, float] | None = None
    permit: Permit | None = None
    """What has to give leave before it starts."""
    retry: Retry | None = None
    """Whether a failed attempt is followed by another one."""

    def __init__(self, id: int, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        super().__init__()
        self.id = id
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self.slot = 0
        self.given_up: BaseException | None = None
        self.future: Future[Any] = CallFuture()
        self.context = contextvars.copy_context()

    def claim(self) -> bool:
        """The call starts now. False when its future was cancelled before."""
        return self.future.set_running_or_notify_cancel()

    def let_go(self) -> None:
        """Everybody knows how the call has ended: it keeps nothing that its caller did not keep."""

    def unclaim(self) -> None:
        """The call has not begun after all, or begins again later: until then its future can be cancelled."""
        with self.future._condition:  # the standard library's futures know no way back
            self.future._state = "PENDING"

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


class Attempt:
    """A later attempt of a task, as its backend sees it: the end of an earlier one that was given up is not its own."""

    __slots__ = ("number", "task")

    def __init__(self, task: Task) -> None:
        self.task = task
        self.number = task.attempt

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)
