"""What cannot travel is named, with the way to it."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from datetime import datetime, timedelta, tzinfo
from enum import Enum, IntEnum, StrEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from pipe_core.codecs.codec import MsgpackCodec
from pipe_core.codecs.samples import SAMPLE_TYPES, Customer, Money
from pipe_core.kernel.errors import CodecError

CODEC = MsgpackCodec()


class Kind(Enum):
    ONE = 1


class Number(IntEnum):
    ONE = 1


class Word(StrEnum):
    ONE = "one"


class Pair(NamedTuple):
    left: int


class Zone(tzinfo):
    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, when: datetime | None) -> str:
        return "here"

    dst = utcoffset


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Kind.ONE, "$"),
        ([1, 2, 3, {"customer": {"kind": Kind.ONE}}], "$[3].customer.kind"),
        ([{"a": 1, "b": 2}, {"a": 1, "b": Kind.ONE}], "$[1].b"),
        ([{"a": {"c d": [Kind.ONE]}}, {"a": {"c d": []}}], "$[0].a['c d'][0]"),
        ([{"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}, {"b": Kind.ONE}]}], "$[1].a[1].b"),
        ({1: (2, Kind.ONE)}, "$[1][1]"),
        ({"a": {Kind.ONE}}, "$.a<member>"),
        ({Kind.ONE: 1}, f"$<key {Kind.ONE!r}>"),
        ([{Kind.ONE: 1}, {Kind.ONE: 1}], f"$[0]<key {Kind.ONE!r}>"),
        ([[1], [Kind.ONE]], "$[1][0]"),
        (slice(0, Kind.ONE), "$.stop"),
    ],
)
def test_the_path_leads_to_the_value(value: Any, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        CODEC.encode(value)
    assert caught.value.path == path
    assert f"Cannot encode {path}: " in str(caught.value)
    assert "test_errors.Kind cannot travel: it is not in the table of types" in str(caught.value)


def test_the_path_leads_into_objects() -> None:
    codec = CODEC.with_types(SAMPLE_TYPES)
    with pytest.raises(CodecError) as caught:
        codec.encode({"a": [Customer(name="Ada"), Customer(name="Bob").model_copy(update={"name": Kind.ONE})]})
    assert caught.value.path == "$.a[1].name"
    with pytest.raises(CodecError) as caught:
        codec.encode((Money(Kind.ONE, "EUR"),))  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.path == "$[0].amount"


MOMENT = datetime(2024, 1, 1, tzinfo=Zone())


@pytest.mark.parametrize("value", [Number.ONE, Word.ONE, Pair(1), OrderedDict(a=1), defaultdict(int), MOMENT])
def test_subclasses_are_never_flattened(value: Any) -> None:
    for form in (value, [value], [value, value], {"a": value}, [{"a": value}] * 2, (1, value)):
        with pytest.raises(CodecError, match=type(value).__name__ if not isinstance(value, datetime) else "Zone"):
            CODEC.encode(form)


def test_keys_that_only_equal_strings_are_not_flattened() -> None:
    rows: list[Any] = [{"one": 1}, {Word.ONE: 1}]
    with pytest.raises(CodecError, match="Word"):
        CODEC.encode(rows)
    codec = CODEC.with_types([Word])
    assert [type(key) for row in codec.decode(codec.encode(rows)) for key in row] == [str, Word]


def test_a_zone_without_a_key_is_refused() -> None:
    with open("/usr/share/zoneinfo/UTC", "rb") as file:
        zone = ZoneInfo.from_file(file)
    with pytest.raises(CodecError, match="ZoneInfo with a key"):
        CODEC.encode([datetime(2024, 1, 1, tzinfo=zone)])


def test_what_the_subclass_extends_is_told() -> None:
    with pytest.raises(CodecError, match="OrderedDict, a subclass of dict, cannot travel"):
        CODEC.encode(OrderedDict())


def test_a_value_that_contains_itself_is_told_as_such() -> None:
    endless: dict[str, Any] = {}
    endless["me"] = endless
    with pytest.raises(CodecError, match="or it contains itself") as caught:
        CODEC.encode(endless)
    assert str(caught.value.path).startswith("$.me.me.me")


def test_little_recursion_left_is_an_error_of_the_codec() -> None:
    def descend(depth: int) -> Any:
        return CODEC.encode([[[[[[1]]]]]]) if depth == 0 else descend(depth - 1)

    outcomes = set()
    for depth in range(800, 990):
        try:
            outcomes.add(type(descend(depth)))
        except CodecError:
            outcomes.add(CodecError)
        except RecursionError:
            break  # not even `encode` could be called
    assert outcomes <= {bytes, CodecError}
