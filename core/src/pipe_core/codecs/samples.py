"""The documented set, as values: at least one of every type that travels, with the corners of each.

The conformance kit, the tests and the manual's table use them. `difference` tells whether two values are equal with
equal types, which ``==`` does not: ``1 == True``, ``0.0 == -0.0``, and NaN is unequal to itself.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final, NamedTuple
from uuid import UUID, SafeUUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, PrivateAttr

_INDIA: Final = timezone(timedelta(hours=5, minutes=30))
_BERLIN: Final = ZoneInfo("Europe/Berlin")
_ID: Final = UUID("12345678-1234-5678-1234-567812345678")
_DAY: Final = date(2024, 2, 29)
_MOMENT: Final = datetime(2024, 10, 27, 2, 30, 0, 1)

SAMPLES: Final[Mapping[str, Any]] = {
    "None": None,
    "bool": [True, False],
    "int": [0, 1, -1, 127, 128, -32, -33, 2**31, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)],
    "big int": [2**64, -(2**63) - 1, 2**1000, -(2**1000), 10**400],
    "float": [0.0, -0.0, 1.5, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"), float("nan")],
    "NaN with payload": struct.unpack(">d", b"\xff\xf8\x00\x00\x00\x00\x12\x34")[0],
    "complex": [1 + 2j, complex(-0.0, float("nan"))],
    "str": ["", "text", "ünïcödé", "\0", "😀" * 40, "x" * 70_000],
    "surrogates": ["\ud800", "\udc80 after", "\ud83d\ude00"],
    "bytes": [b"", b"\x00\xff", b"x" * 300],
    "bytearray": [bytearray(), bytearray(b"\x00\xff")],
    "list": [[], [[]], [1, "two", 3.0, None], list(range(1000)), [[1, 2], [3]]],
    "tuple": [(), (1,), (1, (2, [3, (4,)]), "five"), ((), ())],
    "dict": [{}, {"b": 1, "a": {"c": [1]}}],
    "keys": {"a": 1, 1: 2, None: 3, (1, "x"): 4, b"b": 5, 1.5: 6, False: 7, frozenset({1}): 8, _DAY: 9},
    "surrogate key": {"\udcff": 1},
    "set": [set(), {1, "a", None, (1, 2)}, set(range(100))],
    "frozenset": [frozenset(), frozenset({frozenset({1}), 2})],
    "date": [date.min, _DAY, date.max],
    "mixed dates": [_DAY, None, _DAY],
    "datetime": [datetime.min, _MOMENT, datetime.max],
    "datetime with offset": [_MOMENT.replace(tzinfo=_INDIA), _MOMENT.replace(tzinfo=_INDIA)],
    "datetime in UTC": [_MOMENT.replace(tzinfo=UTC), _MOMENT.replace(tzinfo=UTC)],
    "datetime in a zone": [_MOMENT.replace(tzinfo=_BERLIN), _MOMENT.replace(tzinfo=_BERLIN, fold=1)],
    "datetimes of many zones": [_MOMENT, _MOMENT.replace(tzinfo=_INDIA), _MOMENT.replace(fold=1)],
    "datetime at the border": [datetime.max.replace(tzinfo=_INDIA), datetime.min.replace(tzinfo=_INDIA)],
    "time": [time.min, time.max, time(1, 2, 3, 4, _INDIA, fold=1), time(1, tzinfo=_BERLIN)],
    "timedelta": [timedelta.min, timedelta(0), timedelta(-1, 2, 3), timedelta.max],
    "time zone": [UTC, _INDIA, timezone(timedelta(hours=-3), "BRT"), _BERLIN],
    "Decimal": [
        Decimal("1.10"),
        Decimal("-0"),
        Decimal("1E+9"),
        Decimal("NaN"),
        Decimal("sNaN7"),
        Decimal("-Infinity"),
    ],
    "Decimal alone": Decimal("0E-27"),
    "UUID": [_ID, UUID(int=0)],
    "UUID with safety": [UUID(int=1, is_safe=SafeUUID.safe), UUID(int=2, is_safe=SafeUUID.unsafe)],
    "Fraction": [Fraction(1, 3), Fraction(-(10**40), 7)],
    "range": [range(0), range(5), range(10, 0, -3), range(10**30)],
    "slice": [slice(None), slice(1, None, -1), slice("a", (1, 2))],
    "path": [Path("a/b"), Path(), PurePosixPath("/x"), PureWindowsPath("C:\\x")],
    "address": [ip_address("127.0.0.1"), ip_address("fe80::1%eth0"), ip_network("10.0.0.0/8")],
    "network": [ip_interface("10.1.2.3/8"), ip_interface("::1/64"), ip_network("2001:db8::/32")],
    "rows": [{"a": 1, "b": [1]}, {"a": (1,), "b": None}, {"a": _DAY, "b": {"c": 1}}],
    "rows of rows": [{"a": [{"b": i, "c": {"d": str(i)}} for i in range(3)]} for _ in range(3)],
    "rows with odd keys": [{1: 1, None: 2, (1, 2): 3}, {1: 1, None: 2, (1, 2): 3}],
    "rows with keys that are almost equal": [{1: "a"}, {True: "b"}, {1.0: "c"}],
    "rows without keys": [{}, {}, {}],
}
"""Values that a lossless codec brings back without a table of types."""


class Color(enum.Enum):
    """Members with values of any type, and an alias."""

    RED = "r"
    GREEN = (0, 1)
    CRIMSON = "r"  # noqa: PIE796  # an alias on purpose


class Level(enum.IntEnum):
    """Members that equal integers."""

    LOW = 1
    HIGH = 2


class Kind(enum.StrEnum):
    """Members that equal strings."""

    PAID = "paid"
    OPEN = "open"


class Right(enum.Flag):
    """Members that combine."""

    READ = 1
    WRITE = 2


class Point(NamedTuple):
    """A tuple with names."""

    x: int
    y: Any = None


@dataclass(frozen=True, slots=True)
class Money:
    """A dataclass without ``__dict__``."""

    amount: Decimal
    currency: str


@dataclass
class Basket:
    """A dataclass that computes an attribute, and whose ``__init__`` must not run again."""

    items: list[Money]
    count: int = field(init=False)

    def __post_init__(self) -> None:
        self.count = len(self.items) + 1
        self.items = [*self.items, Money(Decimal(0), "EUR")]


class Customer(BaseModel):
    """A model with a private attribute, and a default that may or may not have been set."""

    name: str
    level: Level = Level.LOW
    _seen: int = PrivateAttr(default=0)


class Order(BaseModel):
    """A model that keeps what it does not know."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: int
    customer: Customer
    when: datetime = _MOMENT


SAMPLE_TYPES: Final[list[type]] = [Color, Level, Kind, Right, Point, Money, Basket, Customer, Order]
"""The table of types that `TYPED_SAMPLES` need."""

_CUSTOMER: Final = Customer(name="Ada", level=Level.HIGH)
_CUSTOMER._seen = 7

TYPED_SAMPLES: Final[Mapping[str, Any]] = {
    "Enum": Color.GREEN,
    "alias": Color.CRIMSON,
    "IntEnum": Level.HIGH,
    "StrEnum": Kind.OPEN,
    "Flag": Right.READ | Right.WRITE,
    "no flag": Right(0),
    "NamedTuple": Point(1, (2,)),
    "slotted dataclass": Money(Decimal("1.10"), "EUR"),
    "dataclass": Basket([Money(Decimal(1), "EUR")]),
    "model": _CUSTOMER,
    "model with defaults": Customer(name="Bob"),
    "model with extras": Order.model_validate({"id": 1, "customer": _CUSTOMER, "note": (1, 2)}),
    "invalid model": Order.model_validate({"id": 1, "customer": _CUSTOMER}).model_copy(update={"id": "no number"}),
}
"""Instances of classes, each of which needs its class in the table of types."""


def orders(count: int) -> list[dict[str, Any]]:
    """An ordinary chunk of records."""
    return [
        {
            "id": 1000 + i,
            "customer": f"customer-{i * 7919 % 100_000}",
            "country": ("DE", "FR", "US")[i % 3],
            "quantity": i % 100,
            "price": i * 1.37,
            "day": date(2024, 1, 1) + timedelta(days=i % 366),
            "status": ("paid", "open", "shipped")[i % 3],
            "gift": i % 5 == 0,
        }
        for i in range(count)
    ]


def difference(left: Any, right: Any, path: str = "$") -> str | None:
    """Where and how *right* is another value than *left*, or None when both are equal with equal types."""
    if type(left) is not type(right):
        return f"{path}: {left!r} became {right!r}"
    if isinstance(left, (list, tuple)):
        return _of_members(list(left), list(right), path)
    if isinstance(left, dict):
        return _of_members([*left, *left.values()], [*right, *right.values()], path)
    if isinstance(left, (set, frozenset)):
        return _of_members(sorted(left, key=_order), sorted(right, key=_order), path)
    if isinstance(left, (BaseModel, Basket, slice)):
        return _of_members(_content(left), _content(right), path)
    return None if _identity(left) == _identity(right) else f"{path}: {left!r} became {right!r}"


def _of_members(left: list[Any], right: list[Any], path: str) -> str | None:
    if len(left) != len(right):
        return f"{path}: {len(left)} members became {len(right)}"
    found = (difference(a, b, f"{path}[{i}]") for i, (a, b) in enumerate(zip(left, right, strict=True)))
    return next((text for text in found if text is not None), None)


def _order(member: Any) -> str:
    """A text by which the members of equal sets sort alike, at whatever depth a set without an order hides in them."""
    kind = type(member).__qualname__
    if isinstance(member, (set, frozenset)):
        return f"{kind}{sorted(map(_order, member))}"
    return f"{kind}{list(map(_order, member))}" if isinstance(member, tuple) else f"{kind}{member!r}"


def _content(value: Any) -> list[Any]:
    if isinstance(value, slice):
        return [value.start, value.stop, value.step]
    names = ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
    return [getattr(value, name, None) for name in names]


def _identity(value: Any) -> Any:
    """Something to compare by ``==`` that tells apart all that *value* is."""
    if isinstance(value, float):
        return struct.pack(">d", value)
    if isinstance(value, complex):
        return struct.pack(">dd", value.real, value.imag)
    if isinstance(value, Decimal):
        return value.as_tuple()
    if isinstance(value, (datetime, time)):
        return value.replace(tzinfo=None), value.fold, type(value.tzinfo), repr(value.tzinfo)
    if isinstance(value, timezone):
        return repr(value)
    if isinstance(value, UUID):
        return value.int, value.is_safe
    return value
