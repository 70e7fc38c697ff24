"""Running a call in the thread that asks for it, and not on a slot: inside a task, or because there is no room."""

from __future__ import annotations

from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipe_core.tasks.call import TaskCall
    from pipe_core.tasks.task_executor import TaskExecutor

_LOOK: Final = 0.05
"""Seconds, at most, between two looks whether a call may start that is put off."""


def run_if_waiting(executor: TaskExecutor, task: TaskCall) -> None:
    """Inside a task: run the call that it waits for, whenever it may start, unless somebody else runs it."""
    dispatcher = executor._dispatcher
    while True:
        with executor._lock:
            wait = dispatcher.time_of(task) - monotonic()
            if not dispatcher.withdraw(task):
                return  # it runs, or has ended
            if wait > 0:
                dispatcher.put_off(task, monotonic() + wait)
        if wait > 0:
            sleep(min(wait, _LOOK))
        else:
            run(executor, task)  # and once more round: it may have failed, to be tried again


def run(executor: TaskExecutor, task: TaskCall) -> None:
    """Run a pending call, which waits nowhere, in this thread."""
    dispatcher = executor._dispatcher
    task.slot = -1
    while True:
        with executor._lock:
            now = monotonic()
            wait = dispatcher.permits_wait(now)
            begun = wait <= 0 and dispatcher.begin(task, now)
        if wait <= 0:
            break
        sleep(wait)
    executor._fail_refused()
    if begun:
        outcome = task.run()
        why = "" if outcome.error is None else executor._explain(task, outcome.error)
        with executor._lock:
            final = executor._decide(task, outcome, why)
        executor._fulfil(task, final)
