"""Small things that people otherwise write by themselves, on top of `TaskExecutor`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.priority import TaskPriority
from pipe_core.runtime.cores import cores

if TYPE_CHECKING:
    from pipe_core.tasks.task_executor import TaskExecutor

Kind = Literal["cpu_bound", "io_bound", "mixed"]
_PER_CORE = {"cpu_bound": 1.0, "mixed": 1.5, "io_bound": 2.0}


def recommended_workers(kind: Kind = "cpu_bound") -> int:
    """How many workers suit a kind of work: one a core that this process may use, one and a half, or two.

    Raises:
        OptionsError: There is no such kind.
    """
    if kind not in _PER_CORE:
        raise OptionsError(f"The kind of work is one of {', '.join(map(repr, _PER_CORE))}, not {kind!r}.")
    return max(1, int(cores() * _PER_CORE[kind]))


def create_priority_task(fn: Callable[..., Any], priority: TaskPriority | float) -> tuple[Callable[..., Any], Any]:
    """A function and its priority, for `execute_with_priority`."""
    return fn, priority


def execute(
    tasks: Sequence[Callable[..., Any]],
    args: Sequence[tuple[Any, ...]] | None = None,
    *,
    scheduler: Any = None,
    executor: Any = None,
    max_workers: int | None = None,
) -> list[Any]:
    """Run *tasks* and give their results in the order in which they were given.

    Args:
        tasks: Functions.
        args: The arguments of each. Default: none.
        scheduler: As for `TaskExecutor`.
        executor: Where they run: a `TaskExecutor`, which stays open, or anything that it takes as its own executor.
        max_workers: How many run at once.

    Raises:
        ValueError: There are more or fewer arguments than tasks.
        Exception: What the first task that failed raised, first as they were given. The others have run all the same.
    """
    given = [()] * len(tasks) if args is None else list(args)
    if len(given) != len(tasks):
        raise ValueError(f"There are {len(tasks)} tasks and {len(given)} arguments: each task wants its own.")
    return _run(
        [(fn, arguments, None) for fn, arguments in zip(tasks, given, strict=True)], scheduler, executor, max_workers
    )


def execute_with_priority(
    tasks: Iterable[tuple[Callable[..., Any], TaskPriority | float]],
    *,
    executor: Any = None,
    max_workers: int | None = None,
) -> list[Any]:
    """Run functions, the more urgent ones first, and give their results in the order in which they were given.

    Args:
        tasks: Functions with their priorities.
        executor: As for `execute`.
        max_workers: How many run at once.
    """
    return _run([(fn, (), priority) for fn, priority in tasks], None, executor, max_workers)


def _run(
    calls: list[tuple[Callable[..., Any], tuple[Any, ...], Any]], scheduler: Any, executor: Any, max_workers: int | None
) -> list[Any]:
    from pipe_core.tasks.task_executor import TaskExecutor

    own = not isinstance(executor, TaskExecutor)
    made = TaskExecutor(executor, max_workers, scheduler=scheduler) if own else nullcontext(executor)
    with made as tasks:
        if own:
            tasks.pause()  # nothing starts before the order is known
        futures = [tasks.submit_with(priority=priority)(fn, *args) for fn, args, priority in calls]
        if own:
            tasks.resume()
        tasks.wait(futures)
        return [future.result() for future in futures]


def staged(
    executor: TaskExecutor, items: Iterable[Any], *stages: Callable[[Any], Any], buffersize: int | None = None
) -> Iterator[Any]:
    """Each item through all *stages*, in order, on a worker; results in the order of the items.

    Different items are in different stages at the same time. An item stays on its worker from stage to stage.

    Args:
        executor: Where they run.
        items: What goes in.
        *stages: Functions, each of which gets what the one before gave.
        buffersize: How many items are taken in ahead of the results that were asked for. Default: all.
    """
    return executor.map(partial(_through, stages), items, buffersize=buffersize)


def _through(stages: tuple[Callable[[Any], Any], ...], value: Any) -> Any:
    for stage in stages:
        value = stage(value)
    return value
