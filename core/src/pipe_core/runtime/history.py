"""The transition log: who went from where to where, when and why."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from pipe_core.runtime.ledger import Ledger, TaskStatus, Tracked

_EPOCH: Final = time.time() - time.monotonic()
"""What the monotonic clock has to be added to for the time of day."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One move of one task.

    Attributes:
        id: Of the task: a number, or the UUID of an event, which is text in plain data.
        before: Its status before; None when it was submitted.
        to: Its status from now on.
        at: When, in seconds since 1970, UTC.
        attempt: Of the task, from 1 on.
        reason: Why, where there is more to say than the status does.
    """

    id: Any
    before: TaskStatus | None
    to: TaskStatus
    at: float
    attempt: int
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        id = self.id if isinstance(self.id, int) else str(self.id)
        before = None if self.before is None else self.before.value
        return {**asdict(self), "id": id, "before": before, "to": self.to.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Transition:
        """From what `to_dict` gave."""
        before = None if data["before"] is None else TaskStatus(data["before"])
        return cls(data["id"], before, TaskStatus(data["to"]), data["at"], data["attempt"], data.get("reason", ""))


class TransitionSink(Protocol):
    """Keeps transitions for good. Called by one thread at a time."""

    def write(self, transitions: list[Transition], /) -> None:
        """Keep them, in order."""

    def close(self) -> None:
        """Everything that was written is safe."""


class History:
    """The last transitions of all tasks. Not safe under threads: its owner holds a lock.

    Args:
        keep: How many of them.
    """

    def __init__(self, keep: int = 10_000) -> None:
        self._moves: deque[tuple[Any, TaskStatus | None, TaskStatus, float, int, str]] = deque(maxlen=keep)

    def add(self, id: Any, before: TaskStatus | None, to: TaskStatus, now: float, attempt: int, reason: str) -> None:
        """*now* is by the monotonic clock."""
        self._moves.append((id, before, to, now, attempt, reason))

    def of(self, id: Any) -> list[Transition]:
        """Those of one task, in order, as far as they are kept."""
        return [_transition(move) for move in self._moves if move[0] == id]

    def __iter__(self) -> Iterator[Transition]:
        return map(_transition, tuple(self._moves))

    def __len__(self) -> int:
        return len(self._moves)


def _transition(move: tuple[Any, TaskStatus | None, TaskStatus, float, int, str]) -> Transition:
    id, before, to, now, attempt, reason = move
    return Transition(id, before, to, now + _EPOCH, attempt, reason)


def replay(transitions: Iterable[Transition]) -> tuple[Ledger, dict[Any, Tracked]]:
    """The ledger that a complete log leads to, and its tasks by id.

    Raises:
        IllegalTransitionError: The log has a move that the table of transitions has not, or lacks one.
    """
    from pipe_core.kernel.errors import IllegalTransitionError

    ledger, tasks = Ledger(), dict[Any, Tracked]()
    for move in transitions:
        if move.before is None:
            task = tasks[move.id] = Tracked()
            ledger.add(task)
            continue
        known = tasks.get(move.id)
        if known is None or known.status is not move.before:
            status = "unknown" if known is None or known.status is None else known.status.value
            raise IllegalTransitionError(
                f"The log says that the task {move.id!r} went from {move.before.value} to {move.to.value}, but it was "
                f"{status}: a line is missing or doubled."
            )
        ledger.move(known, move.to)
    return ledger, tasks
