"""What an event executor shows of its events: all of them, and by status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from pipe_core.runtime.ledger import TaskStatus
from pipe_core.tasks.book import Book
from pipe_core.tasks.event import Event


class States:
    """The events of an executor, as they are now.

    Args:
        name: Of the executor.
        book: Where they are kept.

    Attributes:
        items: All events by id, in the order in which they came.
        progressions: The ids of the events by the name of their status: seven of them.
    """

    def __init__(self, name: str, book: Book) -> None:
        self.name = name
        self._book = book
        self.items: Mapping[UUID, Event] = Items(book)
        self.progressions: Mapping[str, Progression] = {
            status.value: Progression(status, book) for status in TaskStatus
        }

    def get_progression(self, name: str) -> Progression:
        """The ids of the events whose status has that *name*.

        Raises:
            KeyError: There is no such status.
        """
        return self.progressions[name]

    def to_dict(self, mode: Literal["python", "json"] = "python") -> dict[str, Any]:
        """A snapshot as plain data: every event, and which has which status. See `Event.to_dict`."""
        with self._book.lock:
            order = [event for status in TaskStatus for event in self._book.of(status)]
            events = list(self._book.events.values())
        items = {event: event.to_dict(mode) for event in events}
        progressions: dict[str, list[Any]] = {status.value: [] for status in TaskStatus}
        for event in order:  # by the status in its data: events may move while others are written down
            if event in items:
                progressions[items[event]["execution"]["status"]].append(items[event]["id"])
        return {"name": self.name, "items": list(items.values()), "progressions": progressions}


class Items(Mapping[UUID, Event]):
    """All events by id."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def __getitem__(self, id: UUID) -> Event:
        return self._book.events[id]

    def __iter__(self) -> Iterator[UUID]:
        with self._book.lock:
            return iter(list(self._book.events))

    def __len__(self) -> int:
        return len(self._book.events)


class Progression(Sequence[UUID]):
    """The ids of the events with one status, in the order in which they came to it."""

    def __init__(self, status: TaskStatus, book: Book) -> None:
        self.name = status.value
        self._status, self._book = status, book

    def _ids(self) -> list[UUID]:
        return [event.id for event in self._book.of(self._status)]

    def __getitem__(self, index: Any) -> Any:
        return self._ids()[index]

    def __iter__(self) -> Iterator[UUID]:
        return iter(self._ids())

    def __len__(self) -> int:
        return self._book.ledger.count(self._status)

    def __contains__(self, id: object) -> bool:
        event = self._book.events.get(id) if isinstance(id, UUID) else None
        return event is not None and event.status is self._status

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self)} events>"
