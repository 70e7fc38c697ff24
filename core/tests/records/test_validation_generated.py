"""Whatever schema hypothesis makes up: a pipe gives what pydantic alone gives."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WrapValidator,
    create_model,
)
from validating import HOOKS, Colour, Inner, assert_same


def odd_only(value: Any) -> Any:
    if isinstance(value, int) and value % 2 == 0:
        raise ValueError("is even")
    return value


def squeezed(value: Any) -> Any:
    assert value != "zero", "is zero"
    return value.strip() if isinstance(value, str) else value


def forgiving(value: Any, handler: Callable[[Any], Any]) -> Any:
    try:
        return handler(value)
    except ValidationError:
        if value == "none":
            return None
        raise


LEAVES = st.sampled_from(
    [
        *(int, float, str, bool, bytes, dt.date, dt.datetime, dt.time, dt.timedelta, Decimal, uuid.UUID),
        *(Colour, Inner, Any, Literal["a", 1], None),
        *(Annotated[int, Field(gt=0, lt=100)], Annotated[str, Field(min_length=2, pattern="^[a-z]+$")]),
        *(Annotated[int, AfterValidator(odd_only)], Annotated[Any, BeforeValidator(squeezed)]),
        *(Annotated[int | None, WrapValidator(forgiving)], Annotated[int, Field(strict=True)]),
    ]
)


def _compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        inner.map(lambda one: list[one]),  # type: ignore[valid-type]  # made at run time
        inner.map(lambda one: dict[str, one]),  # type: ignore[valid-type]  # made at run time
        inner.map(lambda one: one | None if one is not None else None),
        st.tuples(inner, inner).map(lambda two: tuple.__class_getitem__(two)),
        st.tuples(inner, inner).map(lambda two: two[0] | two[1] if None not in two else Any),
    )


KINDS = st.recursive(LEAVES, _compound, max_leaves=3)
CONFIGS: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        "strict": st.booleans(),
        "extra": st.sampled_from(["ignore", "forbid", "allow"]),
        "frozen": st.booleans(),
        "str_strip_whitespace": st.booleans(),
        "validate_default": st.booleans(),
        "populate_by_name": st.just(True),
        "defer_build": st.just(True),
        "use_enum_values": st.booleans(),
    },
)
NAMES = ["a", "b", "c"]
VALUES = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(-3, 120), st.integers(), st.floats(), st.binary(max_size=3)),
        st.sampled_from(["", "a", " 7 ", "abc", "zero", "none", "red", "2024-02-30", "2024-02-29", "1e400", "\ud800"]),
        st.sampled_from([dt.date(2024, 1, 1), dt.timedelta(1), Decimal("1.50"), uuid.UUID(int=7), Colour.RED, 10**30]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)),
    max_leaves=5,
)
RECORDS = st.lists(
    st.one_of(st.dictionaries(st.sampled_from([*NAMES, "A", "extra"]), VALUES, max_size=4), VALUES), max_size=12
)


@st.composite
def schemas(draw: st.DrawFn) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True)):
        options: dict[str, Any] = {}
        if draw(st.booleans()):
            options["default"] = draw(VALUES)
        if draw(st.booleans()):
            options["alias"] = name.upper()
        fields[name] = (draw(KINDS), Field(**options))
    return create_model("Generated", __config__=cast(ConfigDict, draw(CONFIGS)), **fields)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of defaults that no validator has seen
@settings(max_examples=50, deadline=None)
@given(schemas(), RECORDS, st.sampled_from([None, 1, 2, 100]), st.sampled_from([*HOOKS]))
def test_results_and_reasons_are_those_of_pydantic_alone(
    schema: type[BaseModel], records: list[Any], chunk_size: int | None, hooks: str
) -> None:
    assert_same(schema, records, [hooks], chunk_size=chunk_size)


@settings(max_examples=20, deadline=None)
@given(KINDS, st.lists(VALUES, max_size=8))
def test_any_type_is_a_schema(kind: Any, values: list[Any]) -> None:
    if kind is None or kind is Any:
        kind = list[Any]
    assert_same(kind, values, ["no hooks", "post"])
