from __future__ import annotations

import datetime
from typing import Any

import pytest
from pydantic import BaseModel

from pipe_core import Entry, HookStore, OptionsError, Pipe, get_hook
from pipe_core.hooks import FilterHook


class Person(BaseModel):
    name: str
    age: int | None = None
    born: datetime.date | None = None


PEOPLE = [{"name": "Ada", "age": "36"}, {"name": "Alan", "age": "41"}, {"name": "Bob", "age": "17"}, {"name": "Carol"}]


def run(hook: Any, schema: Any = Person, side: str = "post", records: Any = PEOPLE) -> tuple[list[str], list[str]]:
    sink: list[Any] = []
    errors: list[Any] = []
    hooks = {f"{side}_validation_hooks": [hook]}
    report = Pipe(records, sink, errors=errors, schema=schema, executor="sync", **hooks).run()
    assert report.conserved
    assert report.dropped == len(records) - len(sink) - len(errors)
    names = [getattr(one, "name", None) or one["name"] for one in sink]
    return names, [row["errors"][0]["message"] for row in errors]


@pytest.mark.parametrize(
    ("field", "op", "value", "kept"),
    [
        ("name", "eq", "Ada", ["Ada"]),
        ("name", "ne", "Ada", ["Alan", "Bob", "Carol"]),
        ("name", "lt", "B", ["Ada", "Alan"]),
        ("name", "le", "Bob", ["Ada", "Alan", "Bob"]),
        ("name", "gt", "Bob", ["Carol"]),
        ("name", "ge", "Bob", ["Bob", "Carol"]),
        ("name", "in", ["Ada", "Bob", "Eve"], ["Ada", "Bob"]),
        ("name", "not_in", ["Ada", "Bob"], ["Alan", "Carol"]),
        ("name", "contains", "a", ["Ada", "Alan", "Carol"]),
        ("name", "matches", "^A.*n$", ["Alan"]),
        ("age", "eq", None, ["Carol"]),
        ("age", "in", [17, None], ["Bob", "Carol"]),
        ("age", "exists", True, ["Ada", "Alan", "Bob", "Carol"]),
    ],
)
def test_records_are_kept_by_a_field(field: str, op: str, value: Any, kept: list[str]) -> None:
    assert run(("filter", {"field": field, "op": op, "value": value})) == (kept, [])


def test_exists_is_about_the_field_and_may_be_turned_round() -> None:
    assert run(FilterHook(field="age", op="exists"), None, "pre")[0] == ["Ada", "Alan", "Bob"]
    assert run(("filter", {"field": "age", "op": "exists", "value": False}), None, "pre")[0] == ["Carol"]


def is_old(entry: Entry, store: HookStore) -> bool:
    return len(entry.raw_data["name"]) > 3


@pytest.mark.parametrize("hook", [FilterHook(is_old), ("filter", {"condition": is_old})])
def test_records_are_kept_by_a_function(hook: Any) -> None:
    assert run(hook) == (["Alan", "Carol"], [])


def test_what_cannot_be_compared_fails_and_is_not_dropped() -> None:
    kept, messages = run({"filter": {"field": "age", "op": "ge", "value": 18}})
    assert kept == ["Ada", "Alan"]
    expected = "FilterHook: the field 'age' is of type NoneType, and 'ge' cannot compare it with a value of type int"
    assert messages == [expected]


@pytest.mark.parametrize(("op", "value"), [("eq", 36), ("ne", 36), ("in", [36, 41]), ("not_in", [36]), ("lt", 50)])
def test_text_is_never_quietly_compared_with_a_number(op: str, value: Any) -> None:
    kept, messages = run(("filter", {"field": "age", "op": op, "value": value}), None, "pre", PEOPLE[:3])
    assert kept == []
    assert len(messages) == 3
    assert all("is of type str" in message and "type int" in message for message in messages)


def test_messages_hold_no_values() -> None:
    _, messages = run(FilterHook(field="age", op="gt", value=1), None, "pre", [{"name": "x", "age": "secret"}])
    assert "secret" not in messages[0]


def test_a_missing_field_is_named() -> None:
    _, messages = run(FilterHook(field="agee", op="gt", value=1), None, "pre", [{f"f{i}": 1 for i in range(20)}])
    assert messages == [
        "FilterHook: the record has no field 'agee'; its fields: f0, f1, f2, f3, f4, f5, f6, f7, …",
    ]


def test_a_failing_condition_fails_its_record_only() -> None:
    kept, messages = run(FilterHook(lambda entry, store: entry.raw_data["age"]), records=PEOPLE)
    assert kept == ["Ada", "Alan", "Bob"]
    assert messages == ["FilterHook: the condition failed: KeyError: 'age'"]


async def later(entry: Entry, store: HookStore) -> bool:
    return True


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "either a condition"),
        ({"condition": is_old, "field": "x", "value": 1}, "either a condition"),
        ({"condition": is_old, "value": 1}, "either a condition"),
        ({"condition": later}, "coroutine function"),
        ({"condition": 5}, "condition"),
        ({"field": "x"}, "op 'eq' needs a value"),
        ({"field": "x", "op": "equals", "value": 1}, "op"),
        ({"field": "x", "op": "in", "value": "abc"}, "takes a list"),
        ({"field": "x", "op": "in", "value": 5}, "takes a list"),
        ({"field": "x", "op": "matches", "value": "("}, "regular expression"),
        ({"field": "x", "op": "exists", "value": "yes"}, "true or false"),
        ({"fields": "x"}, "Did you mean 'field'"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionsError, match=words):
        get_hook("filter", **options)
