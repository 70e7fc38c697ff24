"""The ledger: which task has which status, moved in O(1).

The status stands on the task itself; every status has an intrusive doubly linked list, so that a move touches the
task, its two neighbours and two counters, however many tasks there are. One table says which moves are legal.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from pipe_core.kernel.errors import IllegalTransitionError


class TaskStatus(enum.Enum):
    """Where a task is. The last five are final."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    ABORTED = "aborted"

    __hash__ = object.__hash__  # there is one of each; Enum's own hash is a Python function, called at every move

    @property
    def final(self) -> bool:
        """Whether a task stays there, unless it is tried again."""
        return self not in (TaskStatus.PENDING, TaskStatus.PROCESSING)


_S = TaskStatus
TRANSITIONS: Final[Mapping[TaskStatus, frozenset[TaskStatus]]] = MappingProxyType(
    {
        _S.PENDING: frozenset({_S.PROCESSING, _S.CANCELLED, _S.SKIPPED, _S.ABORTED}),
        _S.PROCESSING: frozenset({_S.COMPLETED, _S.FAILED, _S.CANCELLED}),
        _S.FAILED: frozenset({_S.PENDING}),  # tried again, with one attempt more
        _S.COMPLETED: frozenset(),
        _S.CANCELLED: frozenset(),
        _S.SKIPPED: frozenset(),
        _S.ABORTED: frozenset(),
    }
)

_FINAL: Final = frozenset(status for status in TaskStatus if status.final)


class Tracked:
    """What a ledger keeps on a task. `Task` and everything else that is tracked inherits it."""

    __slots__ = ("_after", "_before", "attempt", "status")

    def __init__(self) -> None:
        self.status: TaskStatus | None = None
        self.attempt = 1
        # Empty while in no list: a link to itself would keep a task, and all that it holds, for the garbage collector.
        self._before: Tracked | None = None
        self._after: Tracked | None = None


class Ledger:
    """Counts and lists of tasks by status. Not safe under threads: its owner holds a lock.

    Invariant: for every status, the circle that starts at its head links exactly the tasks with that status, in the
    order in which they came to it, and its counter is their number. Tasks that were forgotten are in no circle, but
    stay counted in `totals`.
    """

    def __init__(self) -> None:
        self._heads = {status: _head() for status in TaskStatus}
        self._counts = dict.fromkeys(TaskStatus, 0)
        self.totals: dict[TaskStatus, int] = dict.fromkeys(TaskStatus, 0)
        self.added = 0

    def add(self, task: Tracked) -> None:
        """Track *task* from now on, as pending."""
        if task.status is not None:
            raise IllegalTransitionError(f"The task is tracked already, as {task.status.value}.")
        self.added += 1
        self._link(task, TaskStatus.PENDING)

    def move(self, task: Tracked, to: TaskStatus) -> None:
        """Give *task* another status.

        Raises:
            IllegalTransitionError: The table of transitions has no such move.
        """
        status, before, after = task.status, task._before, task._after
        if status is None or before is None or after is None or to not in TRANSITIONS[status]:
            raise _illegal(task, to)
        if status is TaskStatus.FAILED:
            task.attempt += 1
        counts = self._counts
        before._after, after._before = after, before
        counts[status] -= 1
        head = self._heads[to]
        last = head._before
        assert last is not None  # a head is always in its own circle
        task._before, task._after = last, head
        last._after = head._before = task
        task.status = to
        counts[to] += 1
        self.totals[to] += 1

    def end(self, task: Tracked, to: TaskStatus) -> None:
        """Give *task* a final status and keep no more of it than its count: as `move` and then `forget`.

        Raises:
            IllegalTransitionError: The status is not final, or the table of transitions has no such move.
        """
        if to not in _FINAL:
            raise IllegalTransitionError(f"A task does not end as {to.value}.")
        status, before, after = task.status, task._before, task._after
        if status is None or before is None or after is None or to not in TRANSITIONS[status]:
            raise _illegal(task, to)
        before._after, after._before = after, before
        task._before = task._after = None
        self._counts[status] -= 1
        task.status = to
        self.totals[to] += 1

    def forget(self, task: Tracked) -> None:
        """Keep no more of *task* than its count. Only tasks with a final status can be forgotten."""
        if task.status is None or not task.status.final or task._after is None:
            raise IllegalTransitionError("Only a task that has ended can be forgotten, and only once.")
        self._unlink(task)

    def count(self, status: TaskStatus) -> int:
        """How many tasks have *status* now, those forgotten not among them."""
        return self._counts[status]

    def tasks(self, status: TaskStatus) -> Iterator[Any]:
        """The tasks with *status*, in the order in which they came to it."""
        head = self._heads[status]
        task = head._after
        while task is not None and task is not head:
            following = task._after
            yield task
            task = following

    def _link(self, task: Tracked, status: TaskStatus) -> None:
        head = self._heads[status]
        last = head._before
        assert last is not None  # a head is always in its own circle
        task._before, task._after = last, head
        last._after = head._before = task
        task.status = status
        self._counts[status] += 1
        self.totals[status] += 1

    def _unlink(self, task: Tracked) -> None:
        before, after = task._before, task._after
        assert before is not None  # a tracked task is in the circle of its status
        assert after is not None
        assert task.status is not None
        before._after, after._before = after, before
        task._before = task._after = None
        self._counts[task.status] -= 1


def _head() -> Tracked:
    head = Tracked()
    head._before = head._after = head
    return head


def _illegal(task: Tracked, to: TaskStatus) -> IllegalTransitionError:
    status = task.status
    old = "not tracked" if status is None else f"{status.value}, forgotten," if task._after is None else status.value
    return IllegalTransitionError(f"A task cannot go from {old} to {to.value}.")
