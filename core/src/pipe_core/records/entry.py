"""An entry: a record on its way, as hooks see it."""

from __future__ import annotations

import copy
import enum
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Final

from pipe_core.kernel.errors import HookContractError


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
        twin = Entry(_detached(self.raw_data), self._index)
        twin.status, twin._position, twin._run = self.status, self._position, self._run
        if self._value is not None:
            twin._set_value(_detached(self._value))
            if self.validated_data is not view_of(self._value):
                twin.validated_data = _detached(self.validated_data)
        twin._metadata = dict(self._metadata) if self._metadata else None
        twin._verdicts = self._verdicts
        for name, value in changes.items():
            setattr(twin, name, value)
        return twin

    def _set_value(self, value: Any) -> None:
        self._value = value
        self.validated_data = view_of(value)

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


def view_of(value: Any) -> Any:
    """The mapping over a validated value that hooks see.

    For an instance it is the instance's own dictionary: nothing is copied, and what is written is written to the
    instance. A dictionary, and what has no fields, is its own view.
    """
    if getattr(value, "__pydantic_extra__", None) is not None:
        return OpenView(value)
    return getattr(value, "__dict__", value)


def added_keys(value: Any, view: Any) -> dict[str, Any]:
    """What hooks added to *view* beside the fields of *value*; computed attributes that a class caches are no such."""
    kind = type(value)
    fields = getattr(kind, "__pydantic_fields__", getattr(kind, "__dataclass_fields__", None))
    own: dict[str, Any] | None = getattr(value, "__dict__", None)
    if fields is None or own is None or view is not own:
        return {}
    return {key: item for key, item in own.items() if key not in fields and not hasattr(kind, key)}


class OpenView(MutableMapping[str, Any]):
    """The fields and the extra fields of a model with ``extra="allow"`` as one mapping."""

    __slots__ = ("_extra", "_fields")

    def __init__(self, instance: Any) -> None:
        self._fields: dict[str, Any] = instance.__dict__
        self._extra: dict[str, Any] = instance.__pydantic_extra__

    def __getitem__(self, key: str) -> Any:
        return self._fields[key] if key in self._fields else self._extra[key]

    def __setitem__(self, key: str, value: Any) -> None:
        (self._fields if key in self._fields else self._extra)[key] = value

    def __delitem__(self, key: str) -> None:
        del (self._fields if key in self._fields else self._extra)[key]

    def __iter__(self) -> Iterator[str]:
        yield from self._fields
        yield from self._extra

    def __len__(self) -> int:
        return len(self._fields) + len(self._extra)

    def __repr__(self) -> str:
        return f"{dict(self)!r}"


_ATOMS: Final = frozenset({str, int, float, bool, bytes, type(None)})


def _detached(value: Any) -> Any:
    """A copy that shares nothing that can be changed. Flat dictionaries, the ordinary records, are copied quickly."""
    if type(value) is dict and _ATOMS.issuperset(map(type, value.values())):
        return dict(value)
    return copy.deepcopy(value)
