from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel

from pipe_core import OptionsError, Pipe, get_hook
from pipe_core.hooks import TimestampHook


class Stamped(BaseModel):
    name: str
    processed_at: datetime | None = None


def run(hook: Any, schema: Any = None, *, side: str = "post") -> list[Any]:
    sink: list[Any] = []
    hooks = {f"{side}_validation_hooks": [hook]}
    report = Pipe([{"name": "Ada"}], sink, schema=schema, executor="sync", **hooks).run()
    assert report.conserved
    return sink


@pytest.mark.parametrize("side", ["pre", "post"])
@pytest.mark.parametrize("schema", [None, Stamped])
def test_the_time_is_written_into_the_record_on_either_side(schema: Any, side: str) -> None:
    before = datetime.now(UTC)
    (record,) = run("timestamp", schema, side=side)
    assert before <= record["processed_at"] <= datetime.now(UTC)
    assert record["processed_at"].utcoffset() == timedelta(0)


def test_a_zone_and_a_name_may_be_chosen() -> None:
    (record,) = run(("timestamp", {"field_name": "at", "timezone": "Europe/Berlin"}))
    assert record["at"].tzinfo == ZoneInfo("Europe/Berlin")


def test_text_has_microseconds_and_an_offset() -> None:
    (record,) = run(TimestampHook(as_text=True))
    assert len(record["processed_at"]) == len("2024-01-01T00:00:00.000000+00:00")
    assert datetime.fromisoformat(record["processed_at"]).tzinfo is not None


def test_metadata_is_for_other_hooks_only() -> None:
    (entry,) = Pipe([{"name": "Ada"}], post_validation_hooks=[TimestampHook(target="metadata")], executor="sync")
    assert entry["metadata"]["processed_at"]
    assert entry["validated_data"] == {"name": "Ada"}


def test_a_record_without_fields_fails_with_a_reason() -> None:
    errors: list[Any] = []
    Pipe([5], errors=errors, pre_validation_hooks=["timestamp"], executor="sync").run()
    message = "TimestampHook: the record is of type int, which has no fields"
    assert errors[0]["errors"] == [{"type": "HookError", "message": message}]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timezone": "Mars/Phobos"}, "no time zone 'Mars/Phobos'"),
        ({"timezone": "../etc/passwd"}, "no time zone"),
        ({"target": "raw"}, "target"),
        ({"zone": "UTC"}, "Did you mean 'timezone'"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionsError, match=words):
        get_hook("timestamp", **options)


def test_the_class_checks_its_words_too() -> None:
    with pytest.raises(OptionsError, match=r"target cannot be 'metdata'\. Did you mean 'metadata'"):
        TimestampHook(target="metdata")  # type: ignore[arg-type]  # the mistake of a user without a type checker
