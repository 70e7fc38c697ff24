"""Reasons why records were rejected, and what else is said of them, hold none of their values."""

from __future__ import annotations

import warnings
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, BeforeValidator, Field, ImportString
from pydantic_core import PydanticCustomError

from pipe_core import Entry, HookStore, Pipe

CANARY = "c4nary"


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


@pytest.mark.parametrize(
    ("schema", "value", "reason"),
    [
        (Annotated[Cat | Dog, Field(discriminator="kind")], {"kind": CANARY}, "union_tag_invalid"),
        (ZoneInfo, CANARY, "zoneinfo_str"),
        (ImportString, CANARY, "import_error"),
        (ImportString, f"os.{CANARY}", "import_error"),
    ],
)
def test_a_reason_of_pydantic_does_not_hold_the_value(schema: Any, value: Any, reason: str) -> None:
    bad: list[Any] = []
    report = Pipe([{"x": value}], schema=dict[str, schema], errors=bad, error_payload="hash").run()

    assert [one["type"] for row in bad for one in row["errors"]] == [reason]
    assert all(one["msg"] for row in bad for one in row["errors"])
    assert CANARY not in f"{bad} {report.to_json()}"


def test_a_tag_that_is_wrong_is_told_with_the_right_ones() -> None:
    bad: list[Any] = []
    Pipe([{"kind": CANARY}], schema=Annotated[Cat | Dog, Field(discriminator="kind")], errors=bad).run()

    [reason] = bad[0]["errors"]
    assert reason["msg"] == "Input tag found using 'kind' does not match any of the expected tags: 'cat', 'dog'"


def test_a_validator_may_use_the_name_of_such_a_reason() -> None:
    def refuse(value: Any) -> Any:
        raise PydanticCustomError("union_tag_invalid", "no")

    bad: list[Any] = []
    report = Pipe([1], schema=Annotated[int, BeforeValidator(refuse)], errors=bad).run()
    assert (report.failed, bad[0]["errors"][0]["type"]) == (1, "union_tag_invalid")


class Person(BaseModel):
    name: str
    age: int = 0


def spoil(entry: Entry, store: HookStore) -> None:
    entry.validated_data["age"] = entry.validated_data["name"]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ""])
@pytest.mark.parametrize(("payload", "warned"), [("full", True), ("redacted", False), ("hash", False)])
def test_pydantic_warns_of_values_only_where_they_may_be_seen(
    suffix: str, payload: Any, warned: bool, tmp_path: Any
) -> None:
    sink: Any = tmp_path / f"out{suffix}" if suffix else []
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        report = Pipe(
            [{"name": CANARY}], sink, schema=Person, post_validation_hooks=[spoil], error_payload=payload
        ).run()

    assert report.valid == 1
    assert (CANARY in "".join(str(one.message) for one in seen)) == warned
    written = sink if isinstance(sink, list) else sink.read_text()
    assert str(written).count(CANARY) == 2


@pytest.mark.parametrize("source", [[{"name": CANARY}], ({"name": CANARY},), {CANARY: 1}.keys(), {CANARY}])
def test_a_pipe_shows_what_its_records_are_held_in_and_none_of_them(source: Any) -> None:
    assert repr(Pipe(source, [])) == f"<Pipe <{type(source).__name__}> -> <list>>"
