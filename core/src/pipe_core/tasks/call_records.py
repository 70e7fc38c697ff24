"""What an executor knows of its calls: their transitions, how long they took, and the ended ones that are kept."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from pipe_core.kernel.errors import IllegalTransitionError
from pipe_core.runtime.history import History, Transition
from pipe_core.runtime.ledger import Ledger, TaskStatus
from pipe_core.runtime.task import Task
from pipe_core.tasks.admission import Admission
from pipe_core.tasks.call import TaskCall
from pipe_core.tasks.policies import Retention
from pipe_core.tasks.statistics import Times
from pipe_core.tasks.time_limits import TimeLimits

PENDING, PROCESSING = TaskStatus.PENDING, TaskStatus.PROCESSING
_DEAD: Final = (TaskStatus.FAILED, TaskStatus.ABORTED, TaskStatus.CANCELLED)


class CallRecords:
    """Hears of every move of a call, from the dispatcher. Its owner holds a lock.

    Args:
        history: Remembers the moves.
        retention: Which ended calls stay in the ledger; None for none.
        limits: Gets the timeouts of those that start.
        admission: Hears when a call waits no more.

    Attributes:
        ledger: Where the calls are: that of the dispatcher.
    """

    ledger: Ledger

    def __init__(self, history: History, retention: Retention | None, limits: TimeLimits, admission: Admission) -> None:
        self._history = history
        self._remember = history.add
        self._retention = retention
        self._kept: deque[tuple[float, TaskCall]] = deque()
        self._limits = limits
        self._admission = admission
        self._times = Times()
        self._began = monotonic()

    def moved(self, task: Any, to: TaskStatus, now: float, reason: str) -> None:
        """See `Listener`."""
        if type(task) is Task:
            return  # of `everywhere`: nobody submitted it
        before = task.status
        slot, name = -1, ""
        attempt = task.attempt
        if to is PROCESSING:
            slot, name = task.slot, task.name
            task._started = now
            self._times.waits.append(now - task.since)
            if task.timeout is not None:
                self._limits.add(now + task.timeout, task, attempt)
        elif before is PROCESSING:
            slot = task.slot
            task._ended = now
            times = self._times
            times.runs.append(ran := now - task._started)
            times.total += ran
        elif before is None:
            name = task.name
            task.since = now
        elif to is PENDING:
            attempt += 1
            self._times.retries += 1
        else:
            task._ended = now
        if before is PENDING and self._admission.blocked:
            self._admission.made_room()
        self._remember((task.id, before, to, now, attempt, reason, slot, name))

    # --- calls that have ended ---

    def retain(self, task: Any) -> None:
        """*task* has ended. For the dispatcher, where there is a retention."""
        assert self._retention is not None
        if type(task) is Task:
            self.ledger.forget(task)
            return
        self._kept.append((task._ended, task))
        for old in self._retention.expired(self._kept, task._ended):
            self.ledger.forget(old)

    def forget(self, task: TaskCall) -> None:
        """Keep a dead letter no longer.

        Raises:
            IllegalTransitionError: It is none, or not kept here.
        """
        status = task.status
        if status not in _DEAD or not any(task is known for known in self.ledger.tasks(status)):
            raise IllegalTransitionError(
                f"Call {task.id} ({task.name}, {'new' if status is None else status.value}) cannot be submitted again: "
                f"only one that has ended without a result and that this executor keeps, and once."
            )
        self.ledger.forget(task)
        with suppress(ValueError):  # its time is over, and it stays because it failed
            self._kept.remove((task._ended, task))

    def of(self, *statuses: TaskStatus) -> list[TaskCall]:
        """The calls with these statuses that are known, in the order in which they came to each."""
        return [task for status in statuses for task in self.ledger.tasks(status) if type(task) is not Task]

    # --- what is asked ---

    def history(self, number: Any = None) -> list[Transition]:
        """The transitions of one call, or of all."""
        return list(self._history) if number is None else self._history.of(number)

    def numbers(self) -> tuple[dict[str, Any], list[float], list[float]]:
        """Of `ExecutorStats`, all that is counted here, and how long the last calls waited and ran."""
        count, totals, times = self.ledger.count, self.ledger.totals, self._times
        failed = totals[TaskStatus.FAILED] - times.retries
        uptime = monotonic() - self._began
        numbers = {
            "active_threads": count(PROCESSING),
            "queued_tasks": count(PENDING),
            "completed_tasks": totals[TaskStatus.COMPLETED],
            "failed_tasks": failed,
            "cancelled_tasks": totals[TaskStatus.CANCELLED],
            "aborted_tasks": totals[TaskStatus.ABORTED],
            "submitted_tasks": self.ledger.added,
            "rejected_tasks": self._admission.rejected,
            "retries": times.retries,
            "total_execution_time": times.total,
            "throughput": (totals[TaskStatus.COMPLETED] + failed) / uptime if uptime > 0 else 0.0,
            "uptime": uptime,
        }
        return numbers, list(times.waits), list(times.runs)
