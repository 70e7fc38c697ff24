"""Tables of Arrow against contracts: the same as for the records in them, column by column."""

from __future__ import annotations

import sys
from datetime import date
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator

from pipe_core.project.contracts import Contract, ContractError

arrow = pytest.importorskip("pyarrow")

POLICIES = ("evolve", "freeze", "discard_row", "discard_value")


class Order(BaseModel):
    id: int
    count: int | None = None
    name: str = "-"


class Small(BaseModel):
    id: int = Field(lt=1000)


class Checked(BaseModel):
    id: int
    name: str = "-"

    @field_validator("id")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("odd")
        return value


SCHEMA = arrow.schema(
    [
        arrow.field("id", arrow.int64(), nullable=False),
        arrow.field("count", arrow.int64()),
        arrow.field("name", arrow.string()),
    ]
)


def contract(schema: Any, policy: Any) -> Contract:
    return Contract(schema, policy, "input", "orders", "Node 'take', its input 'orders'", "take")


def outcome(schema: Any, policy: str, value: Any) -> tuple[Any, ...]:
    """What comes of it, as what can be compared."""
    try:
        applied = contract(schema, policy).applied(value)
    except ContractError as error:
        return "error", error.position, error.field, error.value, error.further
    note = applied.note
    rows = applied.value if isinstance(applied.value, list) else applied.value.to_pylist()
    told = None if note is None else (note.records, note.rows, note.values, set(note.new_fields))
    return "passed", rows, told


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["1", "2", "300", "x", None]),
            "count": st.sampled_from([1, 2, None]),
            "name": st.sampled_from(["a", "b"]),
        },
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("schema", [Order, Checked, SCHEMA], ids=["model", "validators", "arrow"])
@settings(max_examples=40)
@given(rows=ROWS, new=st.none() | st.lists(st.sampled_from([1, None]), min_size=8, max_size=8))
def test_a_table_and_its_records_come_to_the_same(
    policy: str, schema: Any, rows: list[dict[str, Any]], new: list[Any] | None
) -> None:
    if new is not None:
        rows = [{**row, "new": one} for row, one in zip(rows, new, strict=False)]
    if schema is Checked:
        rows = [{key: value for key, value in row.items() if key != "count"} for row in rows]
    fields = [("id", arrow.string()), ("count", arrow.int64()), ("name", arrow.string()), ("new", arrow.int64())]
    columns = {name: arrow.array([row[name] for row in rows], kind) for name, kind in fields if name in rows[0]}
    table = arrow.table(columns)
    of_rows, of_table = outcome(schema, policy, rows), outcome(schema, policy, table)
    assert of_table == of_rows
    if of_rows[0] == "passed" and of_rows[2] is not None:
        assert len(of_rows[1]) + of_rows[2][1] == of_rows[2][0] == len(rows)  # nothing disappears


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("schema", [Order, SCHEMA], ids=["model", "arrow"])
def test_a_table_that_fits_is_not_copied(policy: str, schema: Any) -> None:
    table = arrow.table({"id": [1, 2], "count": [None, 3], "name": ["a", "b"]})
    applied = contract(schema, policy).applied(table)
    assert applied.value is table
    assert applied.note is None


def test_no_records_are_made_of_a_table_whose_columns_tell_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("records were made")

    from pipe_core.project.contracts import rows

    monkeypatch.setattr(rows.Rows, "check", never)
    table = arrow.table({"id": list(range(5000)), "name": ["a"] * 5000, "new": [1.5] * 5000})
    made = contract(Order, "discard_value").applied(table).value
    assert made.column_names == ["id", "name", "count"]
    assert made.num_rows == 5000
    with pytest.raises(ContractError):
        contract(Small, "freeze").applied(table)


def test_columns_are_converted_where_that_loses_nothing() -> None:
    table = arrow.table({"id": ["1", "2"], "count": [1.0, 2.0], "name": ["a", "b"]})
    for schema in (Order, SCHEMA):
        made = contract(schema, "freeze").applied(table).value
        assert made.schema.field("id").type == arrow.int64()
        assert made.to_pylist()[0] == {"id": 1, "count": 1, "name": "a"}
    lossy = arrow.table({"id": [1, 2], "count": [1.5, 2.0], "name": ["a", "b"]})
    for schema in (Order, SCHEMA):
        with pytest.raises(ContractError, match=r"the field 'count' is 1\.5") as caught:
            contract(schema, "freeze").applied(lossy)
        assert (caught.value.position, caught.value.value) == (0, 1.5)


def test_constraints_of_fields_are_held_column_by_column() -> None:
    table = arrow.table({"id": [1, 1000, 2000, 2]})
    with pytest.raises(ContractError, match="the field 'id' is 1000: Input should be less than 1000") as caught:
        contract(Small, "freeze").applied(table)
    assert (caught.value.position, caught.value.further) == (1, 1)
    assert contract(Small, "discard_row").applied(table).value.to_pylist() == [{"id": 1}, {"id": 2}]
    assert contract(Small, "discard_value").applied(table).value.column("id").to_pylist() == [1, None, None, 2]


def test_what_a_table_lacks_is_put_in_where_it_may_be_missing() -> None:
    table = arrow.table({"id": [1]})
    assert contract(Order, "freeze").applied(table).value.to_pylist() == [{"id": 1, "count": None, "name": "-"}]
    assert (
        contract(SCHEMA, "freeze")
        .applied(table)
        .value.schema.equals(arrow.schema([("id", arrow.int64()), ("count", arrow.int64()), ("name", arrow.string())]))
    )
    for schema in (Order, SCHEMA):
        for value in (table.rename_columns(["other"]), [{"other": 1}]):
            with pytest.raises(ContractError, match="Field required"):
                contract(schema, "evolve").applied(value)


def test_many_that_do_not_fit_are_found() -> None:
    ids = [str(number) if number % 3 else "x" for number in range(3000)]
    applied = contract(SCHEMA, "discard_row").applied(arrow.table({"id": ids}))
    assert applied.value.num_rows == 2000
    assert applied.note is not None
    assert applied.note.rows == 1000
    with pytest.raises(ContractError, match="999 more of the 3,000 records do not fit"):
        contract(SCHEMA, "freeze").applied(arrow.table({"id": ids}))


def test_records_against_a_schema_of_arrow() -> None:
    schema = arrow.schema(
        [
            arrow.field("id", arrow.int32(), nullable=False),
            ("day", arrow.date32()),
            ("tags", arrow.list_(arrow.string())),
            ("at", arrow.struct([("x", arrow.float64()), ("y", arrow.float64())])),
        ]
    )
    row = {"id": "1", "day": "2025-01-31", "tags": ["a"], "at": {"x": 1}}
    assert contract(schema, "freeze").applied([row]).value == [
        {"id": 1, "day": date(2025, 1, 31), "tags": ["a"], "at": {"x": 1.0, "y": None}}
    ]
    bad = [{"id": 2**40}, {"id": 1, "day": "never"}, {"id": 1.5}, {"id": None}, {}, {"id": 1, "at": 3}, 7]
    applied = contract(schema, "discard_row").applied([row, *bad])
    assert (len(applied.value), applied.note and applied.note.rows) == (1, 7)
    for one in bad:
        with pytest.raises(ContractError):
            contract(schema, "freeze").applied([one])


def test_other_frames_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    class Frame:
        """As far as a contract sees one of polars."""

        def __init__(self, table: Any) -> None:
            self.table = table

        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            return self.table.__arrow_c_stream__(requested_schema)

    polars = ModuleType("polars")
    polars.from_arrow = Frame  # type: ignore[attr-defined]  # a module that stands in
    monkeypatch.setitem(sys.modules, "polars", polars)
    monkeypatch.setattr(Frame, "__module__", "polars.dataframe")
    frame = Frame(arrow.table({"id": [1, 2], "count": [1, 2], "name": ["a", "b"]}))
    assert contract(Order, "freeze").applied(frame).value is frame
    changed = contract(Order, "discard_value").applied(Frame(arrow.table({"id": [1], "new": [2]}))).value
    assert isinstance(changed, Frame)
    assert changed.table.column_names == ["id", "count", "name"]
