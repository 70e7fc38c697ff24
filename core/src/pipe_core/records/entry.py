"""An entry: a record on its way, as hooks see it."""

from __future__ import annotations

import enum
import operator
from collections.abc import Mapping
from typing import Any, Final

from pipe_core.kernel.copies import detached
from pipe_core.kernel.errors import HookContractError
from pipe_core.records.views import SlotView, is_view_of, view_of


class EntryStatus(enum.Enum):
    """Where an entry is on its way."""

    PENDING = "pending"
    VALIDATED = "validated"
    FAILED = "failed"


KEYS: Final = frozenset({"id", "position", "status", "raw_data", "validated_data", "errors", "metadata"})


_DEFAULTS: Final[Mapping[str, Any]] = {
    "validated_data": None,
    "status": EntryStatus.PENDING,
    "part": 0,
    "_position": None,
    "_run": "",
    "_value": None,
    "_errors": None,
    "_metadata": None,
    "_verdicts": None,
}


_READ: Final = {key: operator.attrgetter(key) for key in KEYS}
"""How a hook's ``entry["raw_data"]`` is answered: one look-up and one call that runs no Python."""


class Entry:
    """A record on its way. Answers item and attribute access: ``entry["raw_data"]`` is ``entry.raw_data``.

    Attributes:
        raw_data: The record as read, changed by the hooks before validation.
        validated_data: A mapping over the validated value, None before validation. Reads and writes go to the value,
            which the sink serialises as its schema says; keys that a hook adds are written after the schema's fields.
        status: `EntryStatus.PENDING` before validation.
        part: 0, or 1, 2, … for entries that a hook made out of one.
    """

    # On the way of every record of a pipe with hooks: slots make an entry at half the cost, and those that most entries
    # never need are left empty; `__getattr__` knows what they stand for then.
    __slots__ = (
        "_errors",
        "_index",
        "_metadata",
        "_position",
        "_run",
        "_value",
        "_verdicts",
        "part",
        "raw_data",
        "status",
        "validated_data",
    )

    raw_data: Any
    validated_data: Any
    status: EntryStatus
    part: int
    _position: int | None
    _run: str
    _value: Any
    _errors: list[dict[str, Any]] | None
    _metadata: dict[str, Any] | None
    _verdicts: tuple[tuple[Any, Any], ...] | None

    def __init__(self, raw_data: Any, index: int = -1) -> None:
        self.raw_data = raw_data
        self._index = index

    def __getattr__(self, name: str) -> Any:
        if name in _DEFAULTS:
            return _DEFAULTS[name]
        raise AttributeError(f"an entry has no '{name}'; it has {', '.join(sorted(KEYS))}")

    @property
    def position(self) -> int:
        """The entry's number in its source, from 0. Only known to hooks that say ``needs_position = True``."""
        if self._position is None:
            raise HookContractError(
                "it read an entry's position or id, which a worker that reads a piece of the source does not know. "
                "Set needs_position = True on the hook.",
                hook="",
            )
        return self._position

    @property
    def id(self) -> str:
        """``run:position`` or ``run:position:part``: the same whenever and wherever the run is repeated."""
        own = f"{self._run}:{self.position}"
        return f"{own}:{self.part}" if self.part else own

    @property
    def errors(self) -> list[dict[str, Any]]:
        """Why the entry failed; empty while it has not."""
        if self._errors is None:
            self._errors = []
        return self._errors

    @property
    def metadata(self) -> dict[str, Any]:
        """Room for hooks to tell each other things. Written nowhere."""
        if self._metadata is None:
            self._metadata = {}
        return self._metadata

    def copy(self, **changes: Any) -> Entry:
        """Another entry that a hook can return beside or in place of this one, with *changes* of its attributes."""
        twin = Entry(detached(self.raw_data), self._index)
        twin.status, twin.part, twin._position, twin._run = self.status, self.part, self._position, self._run
        if self._value is not None:
            twin._set_value(detached(self._value))
            if not is_view_of(self._value, self.validated_data):
                twin.validated_data = detached(self.validated_data)
            elif isinstance(self.validated_data, SlotView):
                twin.validated_data.added.update(detached(self.validated_data.added))
        twin._metadata = dict(self._metadata) if self._metadata else None
        twin._verdicts = self._verdicts
        for name, value in changes.items():
            setattr(twin, name, value)
        return twin

    def _set_value(self, value: Any) -> None:
        self._value = value
        self.validated_data = view_of(value)

    def __getitem__(self, key: str) -> Any:
        return _READ[key](self)

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in ("raw_data", "validated_data"):
            raise KeyError(f"{key}: hooks may set raw_data and validated_data")
        setattr(self, key, value)

    def get(self, key: str, default: Any = None) -> Any:
        """``entry[key]``, or *default* where there is no such key."""
        return self[key] if key in KEYS else default

    def __contains__(self, key: object) -> bool:
        return key in KEYS

    def __repr__(self) -> str:
        where = "?" if self._position is None else self._position
        return f"<Entry {where} {self.status.value}>"
