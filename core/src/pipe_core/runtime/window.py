"""The window: what has been read and not yet committed, bounded in tasks and in bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class _Place:
    bytes: int
    outcome: Any = None
    done: bool = False


class Window:
    """Gives outcomes back in the order in which their tasks came in, or as they come when not *ordered*.

    A task counts from `add` until `ready` has given its outcome back, so results that wait for their turn are bounded
    as well. One task always fits, however large it is: otherwise a large one would wait for ever.

    Args:
        most: How many tasks may be inside.
        most_bytes: How many bytes of input they may stand for.
        ordered: Whether outcomes come back in order.
    """

    def __init__(self, most: int, most_bytes: int, *, ordered: bool = True) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._ordered = ordered
        self._places: dict[int, _Place] = {}
        self._next = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._places)

    @property
    def running(self) -> int:
        """How many tasks inside have not ended."""
        return sum(not place.done for place in self._places.values())

    def fits(self, size: int) -> bool:
        """Whether a task that stands for *size* bytes may come in now."""
        if not self._places:
            return True
        return len(self._places) < self._most and self.bytes + size <= self._most_bytes

    def add(self, size: int) -> int:
        """Let a task in; the result is its number, counted from 0."""
        number = self._next
        self._next += 1
        self._places[number] = _Place(size)
        self.bytes += size
        return number

    def finish(self, number: int, outcome: Any) -> None:
        """The task has ended. An outcome for a task that is not inside is refused: it came too late."""
        place = self._places.get(number)
        if place is not None:
            place.outcome = outcome
            place.done = True

    def reopen(self, number: int) -> None:
        """The task runs again in the same place."""
        place = self._places[number]
        place.outcome, place.done = None, False

    def ready(self) -> Iterator[tuple[int, Any]]:
        """Numbers and outcomes whose turn it is. Each stays inside until the next one is asked for."""
        while (number := self._due()) is not None:
            yield number, self._places[number].outcome
            place = self._places[number]
            if place.done:  # not reopened while it was looked at
                del self._places[number]
                self.bytes -= place.bytes
            else:
                return

    def _due(self) -> int | None:
        if self._ordered:
            first = next(iter(self._places), None)
            return first if first is not None and self._places[first].done else None
        return next((number for number, place in self._places.items() if place.done), None)
