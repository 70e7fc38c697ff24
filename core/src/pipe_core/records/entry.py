"""An entry: a record on its way, as hooks see it."""

from __future__ import annotations

import copy
import enum
from collections.abc import Iterator, MutableMapping
from typing import Any, Final

from pipe_core.kernel.errors import HookContractError


class EntryStatus(enum.Enum):
    """Where an entry is on its way."""

    PENDING = "pending"
    VALIDATED = "validated"
    FAILED = "failed"


KEYS: Final = ("id", "position", "status", "raw_data", "validated_data", "errors", "metadata")


class Entry:
    """A record on its way. Answers item and attribute access: ``entry["raw_data"]`` is ``entry.raw_data``.

    Attributes:
        raw_data: The record as read, changed by the hooks before validation.
        status: `EntryStatus.PENDING` before validation.
        part: 0, or 1, 2, … for entries that a hook made out of one.
    """

    # Defaults stand on the class, so that making an entry sets two attributes: this is on the way of every record
    # of a pipe with hooks.
    status = EntryStatus.PENDING
    part = 0
    _position: int | None = None
    _run = ""
    _value: Any = None
    _view: ValidatedData | None = None
    _errors: list[dict[str, Any]] | None = None
    _metadata: dict[str, Any] | None = None

    def __init__(self, raw_data: Any, index: int = -1) -> None:
        self.raw_data = raw_data
        self._index = index

    @property
    def position(self) -> int:
        """The entry's number in its source, from 0. Only known to hooks that say ``needs_position = True``."""
        if self._position is None:
            raise HookContractError(
                "A hook read an entry's position or id, which a worker that reads a piece of the source does not know. "
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
    def validated_data(self) -> Any:
        """A mapping over the validated value, None before validation. What is written into it goes to the sink."""
        value = self._value
        if value is None or isinstance(value, dict) or not hasattr(value, "__dict__"):
            return value
        if self._view is None:
            self._view = ValidatedData(value)
        return self._view

    @validated_data.setter
    def validated_data(self, value: Any) -> None:
        self._view = value if isinstance(value, ValidatedData) else None
        self._value = value._instance if isinstance(value, ValidatedData) else value

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
        twin = Entry(_detached(self.raw_data), self._index)
        twin.status, twin._position, twin._run = self.status, self._position, self._run
        twin._value = _detached(self._value)
        if self._view is not None:
            twin._view = ValidatedData(twin._value, dict(self._view.added))
        twin._metadata = dict(self._metadata) if self._metadata else None
        for name, value in changes.items():
            setattr(twin, name, value)
        return twin

    def __getitem__(self, key: str) -> Any:
        if key in KEYS:
            return getattr(self, key)
        raise KeyError(key)

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


class ValidatedData(MutableMapping[str, Any]):
    """The fields of a validated instance as a mapping.

    Reading and writing a field go to the instance, which the sink serialises as its schema says. Other keys are kept
    beside it and are written after the schema's fields.
    """

    __slots__ = ("_instance", "added")

    def __init__(self, instance: Any, added: dict[str, Any] | None = None) -> None:
        self._instance = instance
        self.added: dict[str, Any] = {} if added is None else added

    def __getitem__(self, key: str) -> Any:
        fields = self._instance.__dict__
        return fields[key] if key in fields else self.added[key]

    def __setitem__(self, key: str, value: Any) -> None:
        fields = self._instance.__dict__
        if key not in fields:
            self.added[key] = value
            return
        fields[key] = value
        if (known := getattr(self._instance, "__pydantic_fields_set__", None)) is not None:
            known.add(key)

    def __delitem__(self, key: str) -> None:
        if key in self._instance.__dict__:
            raise TypeError(f"'{key}' is a field of {type(self._instance).__name__} and cannot be removed.")
        del self.added[key]

    def __iter__(self) -> Iterator[str]:
        yield from self._instance.__dict__
        yield from self.added

    def __len__(self) -> int:
        return len(self._instance.__dict__) + len(self.added)

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(self._instance, name)
        except AttributeError:
            if name in self.added:
                return self.added[name]
            raise

    def __repr__(self) -> str:
        return f"{dict(self)!r}"


_ATOMS: Final = frozenset({str, int, float, bool, bytes, type(None)})


def _detached(value: Any) -> Any:
    """A copy that shares nothing that can be changed. Flat dictionaries, the ordinary records, are copied quickly."""
    if type(value) is dict and _ATOMS.issuperset(map(type, value.values())):
        return dict(value)
    return copy.deepcopy(value)
