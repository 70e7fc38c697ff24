"""Classes travel by their place in the program's table of types, and are made again without running their code."""

from __future__ import annotations

import importlib
import pickle
import sys
from collections import namedtuple
from dataclasses import dataclass, field
from enum import Enum, Flag, IntFlag
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import pytest
from pydantic import BaseModel, PrivateAttr, RootModel, field_validator
from pydantic.dataclasses import dataclass as checked_dataclass

from pipe_core.codecs import MsgpackCodec, MsgpackOptions, can_travel, tags
from pipe_core.codecs.samples import SAMPLE_TYPES, TYPED_SAMPLES, Color, Customer, Kind, Money, Point, difference
from pipe_core.kernel.errors import CodecError

CODEC = MsgpackCodec()
CALLS: list[str] = []
PartT = TypeVar("PartT")


class Strict(BaseModel):
    value: int

    @field_validator("value")
    @classmethod
    def note(cls, value: int) -> int:
        CALLS.append("validated")
        return value

    @cached_property
    def double(self) -> int:
        return 2 * self.value


class Box(BaseModel, Generic[PartT]):
    part: PartT


class Numbers(RootModel[list[int]]):
    pass


class Guarded(BaseModel):
    _lock: Any = PrivateAttr(default_factory=object)


@dataclass
class Slow:
    value: int
    note: str = ""

    def __post_init__(self) -> None:
        CALLS.append("made")

    @cached_property
    def double(self) -> int:
        return 2 * self.value


@dataclass(slots=True)
class Slotted:
    value: int
    __hidden: int = 5
    late: int = field(init=False)


@checked_dataclass
class Checked:
    value: int


@dataclass
class DictLike(dict[str, int]):
    value: int = 1


@dataclass
class Failure(Exception):
    code: int


class Permission(IntFlag):
    READ = 1
    WRITE = 2


class Mask(Flag):
    A = 1
    B = 2


class PlainClass:
    pass


class PairWithDict(NamedTuple("PairWithDict", [("left", int)])):
    pass


Old = namedtuple("Old", "left right")


def copy(value: Any, *types: type) -> Any:
    codec = CODEC.with_types(types)
    return codec.decode(codec.encode(value))


@pytest.mark.parametrize("name", TYPED_SAMPLES)
def test_instances_come_back(name: str) -> None:
    value = TYPED_SAMPLES[name]
    for form in (value, [value] * 3, {"a": (value,)}):
        found = difference(form, copy(form, *SAMPLE_TYPES))
        assert found is None, found


def test_members_are_the_same_objects_afterwards() -> None:
    assert copy([Color.RED, Color.GREEN, Color.RED], Color)[0] is Color.RED
    assert copy(Kind.OPEN, Kind) is Kind.OPEN
    assert copy({Kind.OPEN: {Color.RED}}, Kind, Color) == {Kind.OPEN: {Color.RED}}


@pytest.mark.parametrize(
    "value", [Permission.READ | Permission.WRITE, Permission(8), Mask(0), Mask.A | Mask.B], ids=repr
)
def test_flags_come_back_with_every_combination(value: Flag) -> None:
    result = copy([value, value], type(value))
    assert result == [value, value]
    assert type(result[0]) is type(value)


def test_names_of_classes_are_never_written() -> None:
    frame = CODEC.with_types(SAMPLE_TYPES).encode(list(TYPED_SAMPLES.values()))
    for kind in SAMPLE_TYPES:
        assert kind.__name__.encode() not in frame
        assert kind.__module__.encode() not in frame


def test_no_validator_and_no_init_runs_again() -> None:
    model, record = Strict(value=1), Slow(2)
    CALLS.clear()
    assert copy([model, record, [model, model]], Strict, Slow) == [model, record, [model, model]]
    assert CALLS == []


def test_cached_properties_are_left_behind() -> None:
    for value in (Strict(value=1), Slow(1)):
        assert value.double == 2
        result = copy(value, type(value))
        assert "double" not in vars(result)
        assert (result, result.double) == (value, 2)


def test_the_fields_that_were_set_are_remembered() -> None:
    for value in (Customer(name="Ada"), Customer(name="Ada", level=1)):
        result = copy([value, value], *SAMPLE_TYPES)[1]
        assert result.model_fields_set == value.model_fields_set
        assert result.model_dump(exclude_unset=True) == value.model_dump(exclude_unset=True)


def test_models_of_all_sorts_come_back() -> None:
    int_box = Box[int]
    values = [int_box(part=1), Numbers([1, 2]), Box[Money](part=Money.__new__(Money))]
    assert copy(values[:2], int_box, Numbers) == values[:2]
    assert type(copy(values[0], int_box)) is int_box


def test_a_private_attribute_that_cannot_travel_is_named() -> None:
    with pytest.raises(CodecError, match="object"):
        copy(Guarded(), Guarded)


def test_dataclasses_of_all_sorts_come_back() -> None:
    slotted, checked = Slotted(1), Checked(2)
    result = copy(slotted, Slotted)
    assert (result.value, result._Slotted__hidden, hasattr(result, "late")) == (1, 5, False)
    slotted.late = 7
    assert copy([slotted, Slotted(2)], Slotted)[0] == slotted
    assert copy(checked, Checked) == checked
    more = Slow(1)
    more.extra = (1, 2)  # type: ignore[attr-defined]  # what any code may do
    assert vars(copy(more, Slow)) == {"value": 1, "note": "", "extra": (1, 2)}


def test_named_tuples_come_back() -> None:
    assert copy([Point(1), Point(2, "b")], Point) == [Point(1), Point(2, "b")]
    assert type(copy(Old(1, 2), Old)) is Old


@pytest.mark.parametrize("kind", [PlainClass, DictLike, Failure, PairWithDict, int, dict, str])
def test_a_class_whose_content_would_be_lost_is_refused(kind: type) -> None:
    assert not can_travel(kind)
    with pytest.raises(CodecError, match=f"{kind.__qualname__} cannot be in the table of types"):
        CODEC.with_types([kind])


@pytest.mark.parametrize("kind", SAMPLE_TYPES)
def test_classes_that_can_travel(kind: type) -> None:
    assert can_travel(kind)


def test_another_table_is_noticed() -> None:
    frame = CODEC.with_types([Color, Money, Point]).encode([Color.RED, Point(1)])
    with pytest.raises(CodecError, match="with_types"):
        CODEC.with_types([Color]).decode(frame)
    with pytest.raises(CodecError, match="with_types"):
        CODEC.with_types([Kind, Money, Point]).decode(frame)
    with pytest.raises(CodecError, match="with_types"):
        CODEC.with_types([Color, Money, Old]).decode(frame)


@pytest.mark.parametrize(
    ("code", "cells"),
    [
        (tags.MEMBER, [0, "NO SUCH"]),
        (tags.MEMBER, [0, 1]),
        (tags.MEMBER, [2, "RED"]),
        (tags.MEMBERS, [0, 1, "RED", -1]),
        (tags.MEMBERS, [0, 1, "RED", 1]),
        (tags.MEMBERS, [0, 1, "RED"]),
        (tags.FLAG, [1, 2**60]),
        (tags.FLAG, [1, "A"]),
        (tags.OBJECT, [2, 5, None]),
        (tags.OBJECT, [2, None, None]),
        (tags.OBJECT, [-1, None, None]),
        (tags.OBJECTS, [2, 5, None]),
        (tags.OBJECT, []),
    ],
)
def test_hostile_instances_are_refused(code: int, cells: list[Any], forger: Any) -> None:
    with pytest.raises(CodecError):
        CODEC.with_types([Color, Mask, Strict]).decode(forger.of_extension(code, *cells))


def test_fields_that_a_model_does_not_have_are_refused() -> None:
    frame = CODEC.with_types([Checked, Slow]).encode(Slow(1))
    assert CODEC.with_types([Checked, Slow]).decode(frame) == Slow(1)
    with pytest.raises(CodecError, match=r"fields that Strict does not have"):
        CODEC.with_types([Checked, Strict]).decode(frame)


def test_a_codec_with_types_is_another_codec() -> None:
    codec = MsgpackCodec(MsgpackOptions(compression="lz4"))
    typed = codec.with_types([Color])
    assert (codec.types, typed.types, typed.options) == ((), (Color,), codec.options)
    copied = pickle.loads(pickle.dumps(typed))
    assert (copied.types, copied.options) == (typed.types, typed.options)


def test_decoding_needs_no_import_of_the_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "colors_of_a_test.py").write_text("import enum\nclass Shade(enum.Enum):\n    DARK = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    shade: type[Enum] = importlib.import_module("colors_of_a_test").Shade
    codec = CODEC.with_types([shade])
    frame = codec.encode(list(shade))
    monkeypatch.delitem(sys.modules, "colors_of_a_test")
    assert codec.decode(frame) == list(shade)
    assert "colors_of_a_test" not in sys.modules
