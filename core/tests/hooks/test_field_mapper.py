from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from pipe_core import Entry, HookStore, OptionsError, Pipe, get_hook
from pipe_core.hooks import FieldMapperHook


class Person(BaseModel):
    name: str
    age: int


def run(hook: Any, records: Sequence[Any], schema: Any = None, *, side: str = "pre") -> tuple[list[Any], list[str]]:
    sink: list[Any] = []
    errors: list[Any] = []
    hooks = {f"{side}_validation_hooks": [hook]}
    report = Pipe(records, sink, errors=errors, schema=schema, executor="sync", **hooks).run()
    assert report.conserved
    return sink, [row["errors"][0]["message"] for row in errors]


def double(entry: Entry, store: HookStore) -> int:
    return int((entry.validated_data or entry.raw_data)["age"]) * 2


def test_fields_are_renamed_in_their_places() -> None:
    sink, _ = run(("field_mapper", {"mapping": {"Name": "name"}}), [{"id": 1, "Name": "Ada", "age": 36}])
    assert [list(record.items()) for record in sink] == [[("id", 1), ("name", "Ada"), ("age", 36)]]


def test_two_fields_may_swap_their_names() -> None:
    assert run(FieldMapperHook({"a": "b", "b": "a"}), [{"a": 1, "b": 2}])[0] == [{"b": 1, "a": 2}]


def test_renaming_makes_records_fit_their_schema() -> None:
    sink, _ = run({"field_mapper": {"mapping": {"who": "name"}}}, [{"who": "Ada", "age": "36"}], Person)
    assert sink == [{"name": "Ada", "age": 36}]


@pytest.mark.parametrize("side", ["pre", "post"])
def test_fields_are_computed_on_either_side(side: str) -> None:
    hook = FieldMapperHook(compute={"double": double, "again": lambda entry, store: double(entry, store) * 2})
    sink, _ = run(hook, [{"name": "Ada", "age": 18}], None if side == "pre" else Person, side=side)
    assert sink == [{"name": "Ada", "age": 18, "double": 36, "again": 72}]


@pytest.mark.parametrize("given", [{"mapping": {"double": double}}, {"field_mapping": {"double": double}}])
def test_functions_are_taken_where_people_know_them(given: dict[str, Any]) -> None:
    assert run(FieldMapperHook(**given), [{"age": 4}])[0] == [{"age": 4, "double": 8}]


def test_a_file_names_a_function_by_text() -> None:
    sink, _ = run(("field_mapper", {"compute": {"kind": "builtins:id"}, "target": "metadata"}), [{"age": 4}])
    assert sink == []  # id() takes one argument: the record fails, and says so
    _, messages = run(("field_mapper", {"compute": {"kind": "builtins:id"}}), [{"age": 4}])
    assert messages == [
        "FieldMapperHook: computing 'kind' failed: TypeError: id() takes exactly one argument (2 given)"
    ]


def test_metadata_is_for_other_hooks_only() -> None:
    hook = FieldMapperHook(compute={"double": double}, target="metadata")
    (entry,) = Pipe([{"age": 4}], pre_validation_hooks=[hook], executor="sync")
    assert entry.metadata == {"double": 8}
    assert entry.raw_data == {"age": 4}


def test_only_the_record_that_cannot_be_mapped_fails() -> None:
    records = [{"a": 1}, {"x": 1, "y": 2}, {"a": 2, "b": 3}, {"a": 4}]
    sink, messages = run(FieldMapperHook({"a": "b"}), records)
    assert sink == [{"b": 1}, {"b": 4}]
    assert messages == [
        "FieldMapperHook: the record has no field 'a'; its fields: x, y",
        "FieldMapperHook: a field is to be renamed to 'b', but the record has a field of that name",
    ]


def test_a_missing_field_may_be_ignored() -> None:
    assert run(FieldMapperHook({"a": "b"}, missing="ignore"), [{"x": 1}, {"a": 1}])[0] == [{"x": 1}, {"b": 1}]


def test_a_field_of_the_schema_keeps_its_name() -> None:
    sink, messages = run(FieldMapperHook({"name": "who"}), [{"name": "Ada", "age": 1}], Person, side="post")
    assert sink == []
    assert messages == [
        "FieldMapperHook: 'name' is a field of the schema; rename it before validation, or give it an alias"
    ]


def test_a_failing_function_is_named_with_its_field() -> None:
    sink, messages = run(FieldMapperHook(compute={"double": double}), [{"age": "x"}, {"age": 1}, {}])
    assert sink == [{"age": 1, "double": 2}]
    assert messages[1] == "FieldMapperHook: computing 'double' failed: KeyError: 'age'"


async def later(entry: Entry, store: HookStore) -> int:
    return 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "nothing to do"),
        ({"mapping": {"a": "c", "b": "c"}}, "two fields cannot both become 'c'"),
        ({"compute": {"a": later}}, "'a' is a coroutine function"),
        ({"compute": {"a": "no.such:function"}}, "compute.a"),
        ({"mapping": {"a": "b"}, "missing": "drop"}, "missing"),
        ({"maping": {"a": "b"}}, "Did you mean 'mapping'"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionsError, match=words):
        get_hook("field_mapper", **options)
