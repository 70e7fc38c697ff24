"""The transition log: who went from where to where, when and why."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

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
        slot: Where it runs, or ran until now; None while it waits, and for what no slot runs.
        name: What it is called, when it is submitted and when it starts; else empty.
    """

    id: Any
    before: TaskStatus | None
    to: TaskStatus
    at: float
    attempt: int
    reason: str = ""
    slot: int | None = None
    name: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "id": self.id if isinstance(self.id, int) else str(self.id),
            "before": None if self.before is None else self.before.value,
            "to": self.to.value,
            "at": self.at,
            "attempt": self.attempt,
            "reason": self.reason,
            "slot": self.slot,
            "name": self.name,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Transition:
        """From what `to_dict` gave."""
        id, before = data["id"], data["before"]
        return cls(
            UUID(id) if isinstance(id, str) else id,
            None if before is None else TaskStatus(before),
            TaskStatus(data["to"]),
            data["at"],
            data["attempt"],
            data.get("reason", ""),
            data.get("slot"),
            data.get("name", ""),
        )


Move = tuple[Any, TaskStatus | None, TaskStatus, float, int, str, int, str]
"""A transition as it is remembered: its fields, with the time by the monotonic clock, and -1 where it has no slot."""


def as_transition(move: Move) -> Transition:
    """*move* with the time of day."""
    id, before, to, now, attempt, reason, slot, name = move
    return Transition(id, before, to, now + _EPOCH, attempt, reason, slot if slot >= 0 else None, name)


class TransitionSink(Protocol):
    """Keeps transitions for good. Called by one thread at a time."""

    def write(self, transitions: list[Transition], /) -> None:
        """Keep them, in order."""

    def close(self) -> None:
        """Everything that was written is safe."""


class Keeper(Protocol):
    """Carries moves to a sink, so that nobody who moves a task waits for it."""

    @property
    def error(self) -> Exception | None:
        """Why none are kept any more."""

    def keep(self, move: Move, /) -> None:
        """Keep *move*, soon. One caller at a time."""

    def flush(self) -> None:
        """Everything that has come until now is with the sink."""

    def close(self) -> None:
        """Everything is safe, and nothing else comes."""

    def stop(self) -> None:
        """As `close`, without waiting for it."""


class History:
    """The last transitions of all tasks. Not safe under threads: its owner holds a lock.

    Args:
        keep: How many of them.
        keeper: Gets every one of them.
    """

    def __init__(self, keep: int = 10_000, keeper: Keeper | None = None) -> None:
        self._moves: deque[Move] = deque(maxlen=keep)
        self.keeper = keeper
        self.add: Callable[[Move], None] = self._moves.append if keeper is None else self._keep
        """Remember a move. Called three times for every task, and so no more than it must be."""

    def _keep(self, move: Move) -> None:
        assert self.keeper is not None
        self._moves.append(move)
        self.keeper.keep(move)

    def of(self, id: Any) -> list[Transition]:
        """Those of one task, in order, as far as they are kept."""
        return [as_transition(move) for move in self._moves if move[0] == id]

    def __iter__(self) -> Iterator[Transition]:
        return map(as_transition, tuple(self._moves))

    def __len__(self) -> int:
        return len(self._moves)


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
