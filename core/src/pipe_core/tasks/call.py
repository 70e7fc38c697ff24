"""A call that was submitted to a `TaskExecutor`, and its future."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

from pipe_core.kernel.contracts import Outcome
from pipe_core.kernel.errors import DeadlockError
from pipe_core.runtime.call_future import CallFuture
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.runtime.permits import CircuitBreaker
from pipe_core.runtime.task import Task, no_function
from pipe_core.tasks import in_line

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

    People who get one from `TaskExecutor.tasks` read it, and change nothing.

    Attributes:
        id: Its number, for `TaskExecutor.history`.
        name: What its function is called.
        status: Where it is.
        attempt: Which attempt it is, or was, from 1 on.
        fn: The function.
        args: Its arguments.
        kwargs: Its keyword arguments.
        tags: What the call is about. The first is its `tag`, by which ``fair`` goes round.
        since: When it was submitted, by the monotonic clock; `started` and `ended` alike.
        timeout: How many seconds an attempt may take.
        deadline: Until when it must have ended.
        band: See `TaskPriority`: higher ones go first.
        number: Orders calls in a band, lower first.
        executor: Whose it is; None when it has ended, so that the future that a caller keeps holds nothing else.
    """

    __slots__ = ("__dict__", "_ended", "_started", "executor", "name", "since")

    _ended: float  # not set before: every statement more of the constructor is a part of what a call costs
    _started: float
    tags: tuple[Hashable, ...] = ()
    timeout: float | None = None
    deadline: float | None = None

    def __init__(
        self,
        executor: TaskExecutor,
        id: int,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> None:
        # All that the constructors above would do, in one: it is a tenth of what a call costs.
        self.status: TaskStatus | None = None
        self.attempt = 1
        self._before = self._after = None
        self.id = id
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self.slot = -1
        self.given_up: BaseException | None = None
        self.context = copy_context()
        self.executor: TaskExecutor | None = executor
        if type(fn) is FunctionType:
            self.name = fn.__qualname__
        elif callable(fn):
            self.name = name_of(fn)
        else:
            raise no_function(fn)
        self.future: TaskFuture = TaskFuture(self)

    @property
    def tag(self) -> Hashable:  # type: ignore[override]  # read only
        """By which schedulers go round."""
        return self.tags[0] if self.tags else None

    @property
    def breaker(self) -> CircuitBreaker | None:
        """Hears how the call ends."""
        return self.permit if isinstance(self.permit, CircuitBreaker) else None

    @property
    def started(self) -> float | None:
        """When its last attempt began; None when none has."""
        return getattr(self, "_started", None)

    @property
    def ended(self) -> float | None:
        """When its last attempt ended, or it was cancelled or refused; None when neither has happened."""
        return getattr(self, "_ended", None)

    @property
    def error(self) -> BaseException | None:
        """Why the call has failed for good, or was refused; None of all others."""
        future = self.future
        return future.exception() if future.done() and not future.cancelled() else None

    def claim(self) -> bool:
        """As `Task.claim`. Who cancels holds the lock of the executor, as who claims does: no other one is needed."""
        self.future._state = "RUNNING"
        return True

    def run(self) -> Outcome:
        """As `Task.run`; what it submits and waits for itself knows where it is."""
        inside = INSIDE
        before, inside.executor = inside.executor, self.executor
        try:
            return Task.run(self)
        finally:
            inside.executor = before

    def let_go(self) -> None:
        """The call has ended: neither it nor its future keeps what its caller did not keep."""
        self.executor = None
        self.future._waiters.task = None  # or a circle would keep both until the garbage collector comes


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
        self._waiters: _Waiters = (waiters := _Waiters())
        waiters.task = task

    @property
    def task(self) -> TaskCall | None:
        """The call, until it has ended."""
        return self._waiters.task

    def cancel(self) -> bool:
        """Cancel the call unless it runs. The queue has room for another one at once."""
        task = self._waiters.task
        executor = task.executor if task is not None else None
        if task is None or executor is None:
            return super().cancel()
        return executor._cancel(task)

    def result(self, timeout: float | None = None) -> Any:
        """As in the standard library. Inside a task of the same executor, without *timeout*, it runs the call here."""
        if timeout is None and self._waiters.task is not None:
            self.help()
        return Future.result(self, timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As `result`."""
        if timeout is None:
            self.help()
        return super().exception(timeout)

    def help(self) -> None:
        """Inside a task of the same executor: run the call here, unless it runs already."""
        task = self._waiters.task
        if task is not None and task.executor is not None and INSIDE.executor is task.executor:
            in_line.run_if_waiting(task.executor, task)


class _Waiters(list[Any]):
    """Those of the standard library's ``wait`` and ``as_completed`` who wait for a future."""

    __slots__ = ("task",)

    task: TaskCall | None
    """The call of the future, until it has ended."""

    def append(self, waiter: Any) -> None:
        task = self.task
        executor = task.executor if task is not None else None
        if task is not None and executor is not None and executor is INSIDE.executor and not task.future.done():
            raise DeadlockError(
                "A task waits for another task of its own executor by concurrent.futures.wait or "
                "as_completed, which keeps its slot and cannot run what it waits for: with few slots it would never "
                "end. Use the executor's own wait() or as_completed(), or future.result()."
            )
        super().append(waiter)
