"""A call that was submitted to a `TaskExecutor`, and its future."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

from pipe_core.kernel.contracts import Outcome
from pipe_core.kernel.errors import DeadlockError
from pipe_core.runtime.call_future import CallFuture
from pipe_core.runtime.dispatcher import Permit
from pipe_core.runtime.permits import CircuitBreaker
from pipe_core.runtime.retries import Retry
from pipe_core.runtime.task import Task

if TYPE_CHECKING:
    from pipe_core.tasks.task_executor import TaskExecutor

    _CallFuture = Future[Any]
else:
    _CallFuture = CallFuture


class _Inside(threading.local):
    """The executor whose call the thread runs now."""

    executor: TaskExecutor | None = None


INSIDE = _Inside()


class TaskCall(Task):
    """One call of a `TaskExecutor`: what schedulers, permits and statistics ask of it stands on it.

    Attributes:
        executor: Whose it is; None when it has ended, so that the future that a caller keeps holds nothing else.
        band: See `TaskPriority`: higher ones go first.
        number: Orders calls in a band, lower first.
        tags: What the call is about. The first is its `tag`, by which ``fair`` goes round.
        since: When it was submitted, by the monotonic clock; `started` and `ended` alike.
        timeout: How many seconds an attempt may take.
        deadline: Until when it must have ended.
    """

    __slots__ = (
        "band",
        "deadline",
        "ended",
        "error",
        "executor",
        "number",
        "permit",
        "retry",
        "since",
        "started",
        "tags",
        "timeout",
    )

    def __init__(
        self,
        executor: TaskExecutor,
        id: int,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> None:
        Task.__init__(self, id, fn, args, kwargs)
        self.executor: TaskExecutor | None = executor
        self.band, self.number = 1, 0.0
        self.tags: tuple[Hashable, ...] = ()
        self.since = self.started = self.ended = 0.0
        self.timeout: float | None = None
        self.deadline: float | None = None
        self.permit: Permit | None = None
        self.retry: Retry | None = None
        self.error: BaseException | None = None

    @property
    def tag(self) -> Hashable:  # type: ignore[override]  # read only
        """By which schedulers go round."""
        return self.tags[0] if self.tags else None

    @property
    def breaker(self) -> CircuitBreaker | None:
        """Hears how the call ends."""
        return self.permit if isinstance(self.permit, CircuitBreaker) else None

    @property
    def name(self) -> str:
        """What the function is called."""
        fn = self.fn
        return fn.__qualname__ if type(fn) is FunctionType else name_of(fn)

    def make_future(self) -> Future[Any]:
        """A future that knows its call."""
        return TaskFuture(self)

    def run(self) -> Outcome:
        """As `Task.run`; what it submits and waits for itself knows where it is."""
        inside = INSIDE
        before, inside.executor = inside.executor, self.executor
        try:
            return Task.run(self)
        finally:
            inside.executor = before

    def let_go(self) -> None:
        """The call has ended: keep nothing that its caller did not keep."""
        self.executor = None


def name_of(fn: Any) -> str:
    """What *fn* is called, or its class. Never its repr, which may be long, and somebody else's code."""
    while isinstance(fn, partial):
        fn = fn.func
    try:
        name = fn.__qualname__
    except Exception:  # whatever a __getattr__ raises
        name = None
    return name if isinstance(name, str) else type(fn).__qualname__


class TaskFuture(_CallFuture):
    """A `concurrent.futures.Future` whose cancelling makes room at once, and whose waiting inside a task helps.

    Args:
        task: Its call.

    Attributes:
        number: Of the call, for `TaskExecutor.history`.
    """

    def __init__(self, task: TaskCall) -> None:
        _CallFuture.__init__(self)
        self.number = task.id
        self._task: TaskCall | None = task
        self._waiters = waiters = _Waiters()
        waiters.future = self

    def cancel(self) -> bool:
        """Cancel the call unless it runs. The queue has room for another one at once."""
        task = self._task
        executor = task.executor if task is not None else None
        if task is None or executor is None:
            return super().cancel()
        return executor._cancel(task)

    def result(self, timeout: float | None = None) -> Any:
        """As in the standard library. Inside a task of the same executor, without *timeout*, it runs the call here."""
        if timeout is None and self._task is not None:
            self.help()
        return Future.result(self, timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As `result`."""
        if timeout is None:
            self.help()
        return super().exception(timeout)

    def help(self) -> None:
        """Inside a task of the same executor: run the call here, unless it runs already."""
        task = self._task
        if task is not None and task.executor is not None and INSIDE.executor is task.executor:
            task.executor._help(task)

    def let_go(self) -> None:
        """The call has ended."""
        self._task = None
        if type(self._waiters) is _Waiters:
            self._waiters.future = None  # or a circle would keep it until the garbage collector comes


class _Waiters(list[Any]):
    """Those of the standard library's ``wait`` and ``as_completed`` who wait for a future."""

    __slots__ = ("future",)

    future: TaskFuture | None
    """Whose they are, until it has ended."""

    def append(self, waiter: Any) -> None:
        future = self.future
        task = future._task if future is not None else None
        if (
            future is not None
            and task is not None
            and task.executor is not None
            and INSIDE.executor is task.executor
            and not future.done()
        ):
            raise DeadlockError(
                "A task waits for another task of its own executor by concurrent.futures.wait or "
                "as_completed, which keeps its slot and cannot run what it waits for: with few slots it would never "
                "end. Use the executor's own wait() or as_completed(), or future.result()."
            )
        super().append(waiter)
