"""What a person may say of calls and their executor, checked and put into the form that the machine works with."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Final, TypeVar

from pipe_core.kernel.access import get_scheduler
from pipe_core.kernel.contracts import Backend, Scheduler
from pipe_core.kernel.error_text import short_repr
from pipe_core.kernel.errors import (
    OptionsError,
    PluginBlockedError,
    PluginNotFoundError,
    UnsupportedCapabilityError,
)
from pipe_core.kernel.priority import TaskPriority
from pipe_core.runtime.executor import Executor
from pipe_core.runtime.ledger import TaskStatus, Tracked
from pipe_core.runtime.permits import CircuitBreaker
from pipe_core.runtime.resources import needed
from pipe_core.runtime.retries import Retry
from pipe_core.runtime.select import executor_parts
from pipe_core.tasks.reasons import has_parameter

T = TypeVar("T", bound=Tracked)
_DEFAULT: Final = "threads"


@dataclass(frozen=True, slots=True)
class Retention:
    """Which tasks that have ended are still known.

    Attributes:
        count: So many, the last ones. None for any number.
        age: Those that ended at most so many seconds ago. None for any time.
        keep_failed: Whether failed ones stay whatever the others say.
    """

    count: int | None = 1_000
    age: float | None = None
    keep_failed: bool = False

    def expired(self, kept: deque[tuple[float, T]], now: float) -> list[T]:
        """Take from the front of *kept*, which is in order of time, the tasks that need not be known any more.

        Args:
            kept: When each task ended, by the same clock as *now*, and the task.
            now: The time.
        """
        gone = []
        while kept and (self._crowds(len(kept)) or self._is_old(kept[0][0], now)):
            task = kept.popleft()[1]
            if not (self.keep_failed and task.status is TaskStatus.FAILED):
                gone.append(task)
        return gone

    def _crowds(self, count: int) -> bool:
        return self.count is not None and count > self.count

    def _is_old(self, ended: float, now: float) -> bool:
        return self.age is not None and ended < now - self.age


def start_parts(
    executor: Any, max_workers: int | tuple[int, int] | None, stack_size: int | None
) -> tuple[Backend, dict[str, Any]]:
    """The backend of a task executor, and what its `Executor` takes beside it."""
    options: dict[str, Any] = {}
    if max_workers is not None:
        options["max_workers"] = max_workers[1] if isinstance(max_workers, tuple) else max_workers
    if stack_size is not None:
        options["thread_stack_size"] = stack_size
    try:
        return executor_parts(executor, options, default=_DEFAULT)
    except PluginNotFoundError as error:
        if executor is not None or error.name != _DEFAULT or isinstance(error, PluginBlockedError):
            raise
        raise PluginNotFoundError(
            "TaskExecutor() runs calls in threads, for which pipe-threads is not installed: pip install pipe-threads. "
            "Or say TaskExecutor('sync').",
            family=error.family,
            name=error.name,
            installed=error.installed,
        ) from error


def waiting_order(scheduler: Any) -> Scheduler:
    """A scheduler: one that was given, or one by its name. Default: ``priority``."""
    return get_scheduler("priority" if scheduler is None else scheduler)


def needs_priorities(scheduler: Scheduler) -> bool:
    """Whether *scheduler* looks at priorities."""
    return bool(getattr(scheduler, "priorities", False))


def makes_priority(fn: Callable[..., Any], value: Any) -> bool:
    """Whether the keyword ``priority`` with that value is the executor's, and not the function's own.

    Ours is a value that is a priority, unless *fn* has a parameter of that name; ``**kwargs`` does not count as one.
    """
    if not isinstance(value, TaskPriority | int | float) or isinstance(value, bool):
        return False
    if type(fn) is FunctionType and not fn.__dict__:  # neither wrapped nor with a signature of its own: most are
        code = fn.__code__
        return "priority" not in code.co_varnames[code.co_posonlyargcount : code.co_argcount + code.co_kwonlyargcount]
    return not has_parameter(fn, "priority")


def check_count(name: str, value: Any) -> None:
    """Raises `OptionsError` unless *value* is a whole number from 1 on."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionsError(f"{name} wants a whole number from 1 on, not {value!r}.", problems={name: "is not one"})


def check_retention(value: Any) -> None:
    """Raises `OptionsError` unless *value* is a `Retention`, or None."""
    if not (value is None or isinstance(value, Retention)):
        raise OptionsError(f"retention is a Retention, such as Retention(count=1_000), not {value!r}.")


def check_seconds(name: str, value: Any) -> None:
    """Raises `OptionsError` unless *value* is a positive number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise OptionsError(f"{name} wants positive seconds, not {value!r}.", problems={name: "is not positive"})


def call_options(
    executor: Executor,
    *,
    timeout: float | None,
    deadline: float | None,
    retries: int | Retry | None,
    breaker: CircuitBreaker | None,
    tags: Hashable | Iterable[Hashable],
    resources: Mapping[str, float] | None,
) -> dict[str, Any]:
    """The options of a call as attributes of its task; those that were not given are left out."""
    options: dict[str, Any] = {}
    for name, seconds in (("timeout", timeout), ("deadline", deadline)):
        if seconds is None or seconds == math.inf:
            continue
        check_seconds(name, seconds)
        _check_endings(executor, name)
        options[name] = float(seconds)
    if retries is not None:
        options["retry"] = retries if isinstance(retries, Retry) else Retry(retries)
    if breaker is not None:
        if not isinstance(breaker, CircuitBreaker):
            raise OptionsError(f"breaker wants a CircuitBreaker, not {breaker!r}.")
        options["permit"] = breaker
    if resources is not None:
        options["resources"] = needed(resources, executor)
    if isinstance(tags, str | bytes) or not isinstance(tags, Iterable):
        tags = (tags,)
    if tags := tuple(tags):
        _check_tags(tags)
        options["tags"] = tags
    return options


def _check_tags(tags: tuple[Any, ...]) -> None:
    for tag in tags:
        try:
            hash(tag)
        except TypeError as error:
            raise OptionsError(
                f"A tag wants to be hashable, as text and numbers are, not {short_repr(tag)}.",
                problems={"tags": "are not all hashable"},
            ) from error


def _check_endings(executor: Executor, option: str) -> None:
    if not executor.can_give_up:
        raise UnsupportedCapabilityError(
            f"'{executor.name}' cannot end a call that runs, so {option}= would be a promise that nobody keeps. "
            f"Choose 'threads', 'asyncio' or a process executor with hard timeouts, or wait with result(timeout).",
            capability="hard_timeout",
            executor=executor.name,
        )
