from __future__ import annotations

import datetime
import decimal
import enum
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from pipe_core import OptionsError, Pipe, get_hook
from pipe_core.hooks import DeduplicateHook
from pipe_core.hooks.identity import digest


class Row(BaseModel):
    id: int
    name: str = ""


def run(hook: Any, records: Any, *, schema: Any = None, side: str = "pre", **more: Any) -> tuple[list[Any], Any]:
    sink: list[Any] = []
    hooks = {f"{side}_validation_hooks": [hook]}
    report = Pipe(records, sink, schema=schema, executor="sync", **hooks, **more).run()
    assert report.conserved
    return sink, report


@settings(max_examples=60, deadline=None)
@given(
    keys=st.lists(st.one_of(st.integers(0, 5), st.sampled_from(["0", "1", "a"]), st.none(), st.booleans())),
    size=st.integers(1, 9),
    side=st.sampled_from(["pre", "post"]),
)
def test_exactly_the_first_of_each_key_is_kept_in_order(keys: list[Any], size: int, side: str) -> None:
    records = [{"key": key, "n": n} for n, key in enumerate(keys)]
    first = {(type(key), key): n for n, key in reversed(list(enumerate(keys)))}
    sink, report = run(("deduplicate", {"keys": ["key"]}), records, side=side, chunk_size=size)
    assert [record["n"] for record in sink] == sorted(first.values())
    assert report.dropped == len(keys) - len(first)


@pytest.mark.parametrize("side", ["pre", "post"])
def test_duplicates_may_fail(side: str) -> None:
    errors: list[Any] = []
    hook = DeduplicateHook(keys="id", on_duplicate="fail")
    sink, report = run(hook, [{"id": i // 2} for i in range(6)], schema=Row, side=side, errors=errors)
    assert [row["id"] for row in sink] == [0, 1, 2]
    assert [row["position"] for row in errors] == [1, 3, 5]
    assert all(row["errors"][0]["type"] == "HookError" for row in errors)
    assert report.failed == 3


def test_behind_validation_an_invalid_record_is_not_the_first() -> None:
    records = [{"id": 1, "name": 5}, {"id": 1, "name": "a"}, {"id": 1, "name": "b"}]
    sink, report = run("deduplicate", records, schema=Row, side="post")
    assert [(report.failed, report.dropped), len(sink)] == [(1, 0), 2]
    sink, report = run(DeduplicateHook("id"), records, schema=Row, side="post")
    assert [row["name"] for row in sink] == ["a"]


def test_whole_records_are_compared_whatever_the_order_of_their_fields() -> None:
    records = [{"a": 1, "b": [1, {"c": 2}]}, {"b": [1, {"c": 2}], "a": 1}, {"a": 1, "b": [1, {"c": 3}]}]
    assert run("deduplicate", records)[0] == [records[0], records[2]]


def test_a_pipe_with_the_same_hook_may_run_again() -> None:
    hook = DeduplicateHook("id")
    for _ in range(3):
        assert run(hook, [{"id": 1}, {"id": 1}])[0] == [{"id": 1}]


def test_a_record_without_the_key_fails_alone() -> None:
    errors: list[Any] = []
    sink, _ = run(DeduplicateHook("id"), [{"id": 1}, {"name": "x"}, {"id": 1}, {"id": object()}], errors=errors)
    assert sink == [{"id": 1}]
    assert [row["errors"][0]["message"] for row in errors] == [
        "DeduplicateHook: the record has no field 'id'; its fields: name",
        "DeduplicateHook: values of type object cannot be told apart; choose other keys, or compute one before",
    ]


class Shade(enum.Enum):
    DARK = 1
    LIGHT = 2


NOON = datetime.datetime(2024, 1, 1, 12)
DIFFERENT = [
    1, 1.0, True, "1", b"1", None, "None", "", 0, 0.0, -0.0, False, float("nan"), "nan",
    decimal.Decimal("1"), decimal.Decimal("1.0"), decimal.Decimal("NaN"), 2**200, 2**200 + 1,
    NOON, NOON.isoformat(), NOON.date(), NOON.replace(tzinfo=datetime.UTC), NOON.replace(fold=1), NOON.time(),
    datetime.timedelta(1), datetime.timedelta(1, 0, 1), uuid.UUID(int=1), str(uuid.UUID(int=1)),
    Shade.DARK, Shade.LIGHT, Row(id=1), Row(id=2), (1, 2), [1, 2], [1, [2]], [[1], 2], {1, 2}, frozenset({1, 2}),
    {"a": 1}, {"a": "1"}, {"a": 1, "b": 2}, {1: "a"}, {"1": "a"}, ("a", "b"), ("a', 'b",), "\ud800", "é", "e\u0301",
]  # fmt: skip


def test_different_values_have_different_digests() -> None:
    digests = [digest((value,)) for value in DIFFERENT]
    assert len(set(digests)) == len(DIFFERENT)
    assert {len(one) for one in digests} == {16}
    assert digest(("a", "b")) != digest(("ab",)) != digest(("a",))


def test_digests_are_the_same_in_every_process() -> None:
    code = "from pipe_core.hooks.identity import digest; print(digest(({'b', 'a', 'c'}, {'x': 1.5})).hex())"
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True
        )
        assert done.stdout.strip() == digest(({"c", "a", "b"}, {"x": 1.5})).hex(), done.stderr


def test_what_was_seen_does_not_travel() -> None:
    hook = DeduplicateHook("id")
    before = len(cloudpickle.dumps(hook))
    for i in range(1000):
        hook.decide(i.to_bytes(16, "big"), i)
    assert len(cloudpickle.dumps(hook)) == before


def test_files_are_deduplicated_too(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(f'{{"id": {i % 700}, "n": {i}}}\n' for i in range(5_000)))
    hooks = [("deduplicate", {"keys": ["id"]}), ("timestamp", {"as_text": True})]
    report = Pipe(source, target, post_validation_hooks=hooks, executor="sync").run()
    assert report.conserved
    assert (report.valid, report.dropped) == (700, 4_300)
    assert target.read_text().count("\n") == 700


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"keys": []}, "keys is empty"),
        ({"keys": 5}, "keys"),
        ({"on_duplicate": "keep"}, "on_duplicate"),
        ({"key": "id"}, "Did you mean 'keys'"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionsError, match=words):
        get_hook("deduplicate", **options)


def test_order_must_be_kept() -> None:
    with pytest.raises(OptionsError, match="DeduplicateHook decides in the order of the source"):
        run("deduplicate", [{"id": 1}], ordered=False)
