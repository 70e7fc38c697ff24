"""The built-in hooks keep the promises of the kit that other hooks are held to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel

from pipe_core.records.entry import Entry
from pipe_core.records.store import HookStore
from pipe_core.testing import HookConformance


class Person(BaseModel):
    name: str
    age: int = 0


class TestTimestamp(HookConformance):
    hook = "timestamp"
    sample: ClassVar[Mapping[str, Any]] = {"name": "Ada"}
    volatile = ("processed_at",)


class TestTimestampBeforeValidation(HookConformance):
    hook = "timestamp"
    options: ClassVar[Mapping[str, Any]] = {"field_name": "at", "timezone": "Europe/Berlin", "as_text": True}
    sample: ClassVar[Mapping[str, Any]] = {"name": "Ada"}
    side = "pre"
    volatile = ("at",)


class TestRename(HookConformance):
    hook = "field_mapper"
    options: ClassVar[Mapping[str, Any]] = {"mapping": {"Name": "name", "name": "Name"}}
    samples: ClassVar[Sequence[Mapping[str, Any]]] = [{"Name": f"n{i}", "name": i} for i in range(5)]
    bad: ClassVar[Mapping[str, Any] | None] = {"Name": "Ada"}


def initials(entry: Entry, store: HookStore) -> str:
    return "".join(word[0] for word in entry.validated_data["name"].split())


class TestCompute(HookConformance):
    hook = "field_mapper"
    options: ClassVar[Mapping[str, Any]] = {"compute": {"initials": initials}}
    samples: ClassVar[Sequence[Mapping[str, Any]]] = [{"name": "Ada Lovelace"}, {"name": "Alan Turing"}, {"name": ""}]
    bad: ClassVar[Mapping[str, Any] | None] = {"name": "two  spaces", "age": "x"}
    schema = Person
    side = "post"


class TestFilter(HookConformance):
    hook = "filter"
    options: ClassVar[Mapping[str, Any]] = {"field": "age", "op": "ge", "value": 18}
    samples: ClassVar[Sequence[Mapping[str, Any]]] = [{"name": str(i), "age": i} for i in range(14, 23)]
    schema = Person


class TestFilterBeforeValidation(HookConformance):
    hook = "filter"
    options: ClassVar[Mapping[str, Any]] = {"field": "name", "op": "matches", "value": "^A"}
    samples: ClassVar[Sequence[Mapping[str, Any]]] = [{"name": name} for name in ("Ada", "Bob", "Alan", "", "A")]
    bad: ClassVar[Mapping[str, Any] | None] = {"name": 5}
    side = "pre"


class TestDeduplicate(HookConformance):
    hook = "deduplicate"
    options: ClassVar[Mapping[str, Any]] = {"keys": ["name"]}
    samples: ClassVar[Sequence[Mapping[str, Any]]] = [{"name": name, "age": i} for i, name in enumerate("abcabdae")]
    schema = Person


class TestDeduplicateWholeRecords(HookConformance):
    hook = "deduplicate"
    options: ClassVar[Mapping[str, Any]] = {"on_duplicate": "drop"}
    sample: ClassVar[Mapping[str, Any]] = {"name": "Ada", "tags": ["x", {"y": 1}]}
    bad: ClassVar[Mapping[str, Any] | None] = {"name": object()}
    side = "pre"
