"""What the kit of codecs tries: random values, values that no codec can give back, and bytes that are no frame."""

from __future__ import annotations

import pickle
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping
from datetime import timedelta, timezone
from typing import Any, Final

from hypothesis import strategies as st

_DAY: Final = timedelta(hours=23, minutes=59)


class Stranger:
    """A class that no codec knows."""


class Text(str):
    """A string that is more than a string."""

    __slots__ = ()


class Number(int):
    """A number that is more than a number."""


Pair = namedtuple("Pair", "left right")

UNSUPPORTED: Final[Mapping[str, Any]] = {
    "object": Stranger(),
    "class": Stranger,
    "function": len,
    "generator": (i for i in range(3)),
    "str subclass": Text("text"),
    "int subclass": Number(1),
    "dict subclass": OrderedDict(a=1),
    "namedtuple": Pair(1, 2),
    "memoryview": memoryview(b"bytes"),
    "exception": ValueError("text"),
}
"""Values that no codec can give back with their type when it knows no class: each must be refused."""

FOREIGN: Final[Mapping[str, bytes]] = {
    "empty": b"",
    "zero": b"\0" * 64,
    "text": b"id,name\n1,Ada\n",
    "json": b'{"id": 1, "name": "Ada"}',
    "gzip": b"\x1f\x8b\x08\x00" + b"\0" * 30,
    "lz4": b"\x04\x22\x4d\x18" + b"\x64\x40\xa7" + b"\0" * 30,
    "zip": b"PK\x03\x04" + b"\0" * 30,
    "msgpack": b"\x93\x01\x02\x03",
    "pickle": pickle.dumps([1, 2, 3], protocol=5),
}
"""Bytes that other programs made."""


def values() -> st.SearchStrategy[Any]:
    """Values of every type that travels without a table of types, nested and in chunks of records."""
    zones = st.none() | st.timezones() | st.builds(timezone, st.timedeltas(-_DAY, _DAY))
    moments = st.datetimes(timezones=zones) | st.times(timezones=zones) | st.dates() | st.timedeltas()
    numbers = st.integers() | st.floats() | st.booleans() | st.complex_numbers() | st.decimals() | st.fractions()
    texts = st.text() | st.text(st.characters()) | st.binary() | st.uuids() | st.ip_addresses()
    scalars = st.none() | numbers | texts | moments
    # A signalling NaN has no hash, and a moment in a zone may have none either.
    keys = st.none() | st.text() | st.integers() | st.booleans() | st.binary() | st.dates() | st.uuids()
    hashable = st.recursive(
        keys, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5
    )
    rows = st.lists(st.text(), max_size=4, unique=True).flatmap(
        lambda names: st.lists(st.fixed_dictionaries(dict.fromkeys(names, scalars)), max_size=5)
    )
    alike = (
        st.lists(st.dates()) | st.lists(st.datetimes(timezones=zones)) | st.lists(st.decimals()) | st.lists(st.uuids())
    )
    return st.recursive(
        scalars | rows | alike | st.sets(hashable, max_size=5),
        lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(hashable, inner, max_size=5),
        max_leaves=20,
    )


def call_canary() -> None:
    """What a decoder calls that opens pickles."""
    CANARY.append("called")


CANARY: Final[list[str]] = []


class Trap:
    """Its pickle calls `call_canary` when it is opened."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        """Ask the unpickler for a call."""
        return call_canary, ()
