"""Records against contracts: what passes, what is converted, what is discarded and what fails, for each policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any, NotRequired

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, RootModel, field_validator, model_validator
from typing_extensions import TypedDict

from pipe_core.kernel.errors import SchemaError
from pipe_core.project.contracts import Contract, ContractError, summed
from pipe_core.project.contracts.tally import ContractNote

POLICIES = ("evolve", "freeze", "discard_row", "discard_value")


class Item(BaseModel):
    sku: str


class Order(BaseModel):
    id: int
    day: date | None = None
    items: list[Item] = []


@dataclass
class Point:
    x: int
    y: int = 0


class Row(TypedDict):
    x: int
    y: NotRequired[int]


def contract(schema: Any, policy: Any, **more: Any) -> Contract:
    return Contract(schema, policy, "input", "orders", "Node 'take', its input 'orders'", "take", **more)


def through(schema: Any, policy: Any, value: Any) -> Any:
    return contract(schema, policy).applied(value).value


# --- what fits ---


@pytest.mark.parametrize("policy", POLICIES)
def test_values_become_what_the_schema_says_and_records_stay_what_they_are(policy: str) -> None:
    given = [{"items": [{"sku": "a"}], "id": "7", "day": "2025-01-31"}, {"id": 8}]
    first, second = through(Order, policy, given)
    assert first == {"items": [{"sku": "a"}], "id": 7, "day": date(2025, 1, 31)}
    assert list(first) == ["items", "id", "day"]  # as they stood
    assert second == {"id": 8, "day": None, "items": []}
    assert given[0]["id"] == "7"  # what was given is not changed
    assert through(Order, policy, [{"id": 1}]) == [{"id": 1, "day": None, "items": []}]
    assert through(Row, policy, [{"x": "1"}, {"x": 2, "y": "3"}]) == [{"x": 1}, {"x": 2, "y": 3}]
    same = {"y": 3, "x": 2}
    assert through(Row, policy, [same])[0] is same
    assert through(Point, policy, [{"x": "1"}]) == [{"x": 1, "y": 0}]


@pytest.mark.parametrize("policy", POLICIES)
def test_instances_and_other_shapes(policy: str) -> None:
    order, point = Order(id=1), Point(1)
    assert through(Order, policy, [order])[0] is order
    assert through(Point, policy, (point,)) == (point,)
    assert through(Point, policy, iter([{"x": 1}])) == [{"x": 1, "y": 0}]
    assert through(Order, policy, {"id": "1"}) == {"id": 1, "day": None, "items": []}
    assert through(Order, policy, order) is order
    assert through(Row, policy, [Point(1, 2)]) == [{"x": 1, "y": 2}]  # of another class: as a dictionary
    assert through(Row, policy, [MappingProxyType({"x": 1})]) == [{"x": 1}]
    assert through(int, policy, ["1", 2]) == [1, 2]
    assert through(RootModel[int], policy, [RootModel[int](3)]) == [RootModel[int](3)]
    assert contract(Order, policy).applied([]).note is None


@pytest.mark.parametrize("value", [None, 3, "text", b"bytes"])
def test_what_is_no_records_is_refused(value: Any) -> None:
    with pytest.raises(ContractError, match="a contract is about records, and this is"):
        through(Order, "evolve", value)


def test_what_is_no_schema_is_refused() -> None:
    with pytest.raises(SchemaError, match="Plain"):
        through(type("Plain", (), {}), "freeze", [{}])


# --- what does not fit ---

WRONG: list[tuple[Any, Any, str | None, Any]] = [
    (Order, {"id": "x"}, "id", "x"),
    (Order, {"id": None}, "id", None),
    (Order, {}, "id", None),
    (Order, {"id": 1, "items": [{"sku": "a"}, {"sku": 2}]}, "items.1.sku", 2),
    (Point, {"x": 1, "y": "z"}, "y", "z"),
    (Row, {"x": []}, "x", []),
    (Order, 5, None, 5),
    (Order, {"id": 1, "more": 2}, "more", 2),
]


@pytest.mark.parametrize(("schema", "record", "field", "value"), WRONG)
def test_a_frozen_contract_tells_the_record_the_field_and_the_value(
    schema: Any, record: Any, field: str | None, value: Any
) -> None:
    good = {"id": 1} if schema is Order else {"x": 1}
    with pytest.raises(ContractError) as caught:
        through(schema, "freeze", [good] * 1500 + [record, good, record])
    error = caught.value
    assert (error.node, error.position, error.field, error.value, error.further) == ("take", 1500, field, value, 1)
    assert error.title == "Node 'take', its input 'orders'"
    text = str(error)
    assert text.startswith(f"{error.title}: the record at position 1,500 is not as {schema.__name__} says: ")
    assert f"is {value!r}:" in text
    assert "1 more of the 1,503 records do not fit." in text
    assert error.reasons[0] in text


def test_all_that_is_wrong_with_a_record_is_there() -> None:
    with pytest.raises(ContractError, match=r"\(and 2 more\)") as caught:
        through(Order, "freeze", [{"id": "x", "day": "y", "new": 1}])
    assert [one.partition(" is ")[0] for one in caught.value.reasons] == [
        "the field 'id'",
        "the field 'day'",
        "the field 'new'",
    ]


@pytest.mark.parametrize(("schema", "record", "field", "value"), WRONG)
def test_rows_are_discarded(schema: Any, record: Any, field: str | None, value: Any) -> None:
    good = {"id": 1, "day": None, "items": []} if schema is Order else {"x": 1, "y": 2}
    applied = contract(schema, "discard_row").applied([good, record, good, record])
    assert applied.value == [good, good]
    note = applied.note
    assert note is not None
    assert (note.records, note.rows, note.discarded, note.values, note.new_fields) == (4, 2, 2, {}, ())
    assert note.example.startswith("record 1, ")
    assert repr(value) in note.example


@pytest.mark.parametrize(
    ("schema", "record", "left", "values"),
    [
        (Order, {"id": "x", "day": "2025-01-31"}, {"id": None, "day": date(2025, 1, 31), "items": []}, {"id": 1}),
        (Order, {"id": "1", "day": "never"}, {"id": 1, "day": None, "items": []}, {"day": 1}),
        (Order, {"id": 1, "items": [{"sku": 2}]}, {"id": 1, "items": [], "day": None}, {"items": 1}),
        (Order, {}, {"id": None, "day": None, "items": []}, {"id": 1}),
        (Order, {"id": 1, "new": 2, "old": None}, {"id": 1, "day": None, "items": []}, {"new": 1}),
        (Order, {"id": "x", "new": 2}, {"id": None, "day": None, "items": []}, {"id": 1, "new": 1}),
        (Point, {"x": "a", "y": "b"}, {"x": None, "y": 0}, {"x": 1, "y": 1}),
        (Row, {"x": 1, "y": "b"}, {"x": 1}, {"y": 1}),
        (Row, {"x": "b", "y": "4"}, {"x": None, "y": 4}, {"x": 1}),
    ],
)
def test_values_are_discarded(
    schema: Any, record: dict[str, Any], left: dict[str, Any], values: dict[str, int]
) -> None:
    applied = contract(schema, "discard_value").applied([record])
    assert applied.value == [left]
    assert applied.note is not None
    assert (applied.note.values, applied.note.rows, applied.note.records) == (values, 0, 1)


def test_new_fields_pass_and_the_others_must_still_fit() -> None:
    applied = contract(Row, "evolve").applied([{"x": "1", "b": 1}, {"a": None, "x": 2, "b": 2}])
    assert applied.value == [{"x": 1, "b": 1}, {"x": 2, "a": None, "b": 2}]
    assert applied.note is not None
    assert (applied.note.new_fields, applied.note.discarded) == (("b", "a"), 0)
    with pytest.raises(ContractError, match="the field 'x' is 'a'"):
        through(Row, "evolve", [{"x": "a", "b": 1}])


def test_null_in_a_new_field_is_no_value_that_a_row_is_discarded_for() -> None:
    applied = contract(Row, "discard_row").applied([{"x": 1, "new": None}, {"x": 2, "new": 0}])
    assert applied.value == [{"x": 1}]
    assert applied.note is not None
    assert applied.note.rows == 1


def test_one_record_alone_cannot_be_left_out() -> None:
    with pytest.raises(ContractError, match="the field 'id' is 'x'"):
        through(Order, "discard_row", {"id": "x"})
    assert through(Order, "discard_value", {"id": "x"}) == {"id": None, "day": None, "items": []}


class Even(BaseModel):
    a: int
    b: int = 0

    @field_validator("a")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("odd")
        return value

    @model_validator(mode="after")
    def _sum(self) -> Even:
        if self.a + self.b > 100:
            raise ValueError("too much")
        return self


def test_a_record_that_is_wrong_as_a_whole_has_no_value_to_discard() -> None:
    with pytest.raises(ContractError, match=r"too much.* No single value is to blame") as caught:
        through(Even, "discard_value", [{"a": 2}, {"a": 60, "b": 60}])
    assert (caught.value.position, caught.value.field) == (1, None)
    assert through(Even, "discard_row", [{"a": 2}, {"a": 60, "b": 60}]) == [{"a": 2, "b": 0}]
    assert through(Even, "discard_value", [{"a": 3, "b": 1}]) == [{"a": None, "b": 1}]


class Named(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int = Field(alias="No")
    kind: str = Field("-", validation_alias=AliasChoices("kind", "type"))


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    id: int


def test_aliases_keep_their_keys() -> None:
    assert through(Named, "freeze", [{"No": "1", "type": "t"}]) == [{"No": 1, "type": "t"}]
    assert through(Named, "evolve", [{"No": 1, "new": 2}]) == [{"No": 1, "kind": "-", "new": 2}]  # forbid is no policy
    assert through(Named, "discard_value", [{"No": "x", "type": "t"}]) == [{"No": None, "type": "t"}]
    with pytest.raises(ContractError, match="the field 'number' is 1"):  # it is read by its alias alone
        through(Named, "freeze", [{"No": 1, "number": 1}])


class Swapped(BaseModel):
    a: int = Field(alias="b")
    b: str = Field(alias="a")


class OpenNamed(BaseModel):
    model_config = ConfigDict(extra="allow")
    number: int = Field(alias="No")


def test_aliases_that_are_names_of_other_fields() -> None:
    given = {"b": "1", "a": "x"}
    assert through(Swapped, "freeze", [given]) == [{"b": 1, "a": "x"}]
    assert through(OpenNamed, "freeze", [{"No": "1", "new": "2"}]) == [{"No": 1, "new": "2"}]


def test_a_model_that_allows_more_has_no_new_fields() -> None:
    for policy in POLICIES:
        applied = contract(Open, policy).applied([{"id": "1", "new": 2}])
        assert (applied.value, applied.note) == ([{"id": 1, "new": 2}], None)
    assert through(Open, "discard_value", [{"id": "x", "new": 2}]) == [{"id": None, "new": 2}]


@pytest.mark.parametrize("policy", ["freeze", "discard_row"])
def test_instances_where_they_are_asked_for(policy: str) -> None:
    made = contract(Order, policy, typed=True).applied([{"id": "1"}]).value
    assert made == [Order(id=1)]


def test_an_iterator_is_held_against_its_contract_as_it_is_taken() -> None:
    taken = []

    def rows() -> Iterator[Mapping[str, Any]]:
        for number in range(10_000):
            taken.append(number)
            yield {"x": number if number % 3 else "x"}

    applied = contract(Row, "discard_row").applied(rows(), lazily=True)
    assert (applied.note, taken) == (None, [])
    assert next(applied.value) == {"x": 1}
    assert len(taken) == 1000
    assert sum(1 for _ in applied.value) == 6665
    assert applied.note is not None
    assert (applied.note.records, applied.note.rows) == (10_000, 3334)


def test_what_several_batches_have_discarded_adds_up() -> None:
    def note(**more: Any) -> ContractNote:
        return ContractNote("input", "orders", 10, **more)

    first = note(rows=1, values={"a": 1}, new_fields=("n",), example="the first")
    other = ContractNote("output", "paid", 3, rows=3)
    second = note(rows=2, values={"a": 1, "b": 2}, new_fields=("n", "m"), example="the second")
    assert summed([first, other, second]) == (
        ContractNote("input", "orders", 20, 3, {"a": 2, "b": 2}, ("n", "m"), "the first"),
        other,
    )
    assert str(summed([first, second])[0]) == (
        "input 'orders': 3 of 20 records were discarded; values were discarded: 2 of 'a', 2 of 'b'; new fields passed: "
        "n, m (the first: the first)"
    )
