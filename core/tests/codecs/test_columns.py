"""Chunks of records: small, fast, and exactly what they were."""

from __future__ import annotations

import pickle
import timeit
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest

from pipe_core.codecs import tags
from pipe_core.codecs.codec import MsgpackCodec
from pipe_core.codecs.samples import difference, orders

CODEC = MsgpackCodec()
ROWS = orders(200)


class Key(StrEnum):
    A = "a"


def is_by_columns(frame: bytes, forger: Any) -> bool:
    return tags.COLUMNS in forger.payload(frame)[:6]


def test_keys_are_written_once(forger: Any) -> None:
    frame = CODEC.encode(ROWS)
    assert is_by_columns(frame, forger)
    assert frame.count(b"quantity") == 1


def test_a_chunk_is_smaller_than_a_pickle() -> None:
    assert len(CODEC.encode(ROWS)) < 0.7 * len(pickle.dumps(ROWS, protocol=5))


def test_a_chunk_takes_no_more_than_four_times_as_long_as_a_pickle() -> None:
    """The goal is twice, measured by the benchmarks; this one only notices when the fast way is not taken any more."""
    frame, pickled = CODEC.encode(ROWS), pickle.dumps(ROWS, protocol=5)
    ours = min(timeit.repeat(lambda: CODEC.decode(CODEC.encode(ROWS)), number=5, repeat=20))
    theirs = min(timeit.repeat(lambda: (pickle.dumps(ROWS, protocol=5), pickle.loads(pickled)), number=5, repeat=20))
    assert CODEC.decode(frame) == ROWS
    assert ours < 4 * theirs


@pytest.mark.parametrize(
    "column",
    [
        [1, None, 2.5],
        [True, 1, 1.0],
        ["a", b"a", None],
        [2**64, 1, -(2**70)],
        ["\ud800", "ok", ""],
        [date(2024, 1, 1), date(2024, 1, 2), None],
        [date(2024, 1, 1), datetime(2024, 1, 1), date(2024, 1, 1)],
        [datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, fold=1)],
        [datetime(2024, 1, 1, fold=1)] * 3,
        [Decimal("1.0"), Decimal("1.00"), Decimal("-0")],
        [UUID(int=1), UUID(int=2), UUID(int=3)],
        [(1, 2), (3,), ()],
        [[1], [], [[2]]],
        [{"b": 1}, {"b": 2}, {"b": 3}],
        [{"b": 1}, {"c": 2}, {}],
        [{1}, set(), frozenset()],
        [(), [], {}],
    ],
    ids=repr,
)
def test_columns_of_any_types_come_back(column: list[Any], forger: Any) -> None:
    rows = [{"a": value, "b": i} for i, value in enumerate(column)]
    frame = CODEC.encode(rows)
    assert is_by_columns(frame, forger)
    found = difference(rows, CODEC.decode(frame))
    assert found is None, found


@pytest.mark.parametrize(
    "rows",
    [
        [{"a": 1}],
        [{"a": 1}, {"b": 1}],
        [{"a": 1}, {"a": 1, "b": 2}],
        [{"a": 1, "b": 2}, {"b": 2, "a": 1}],
        [{}, {}],
        [{1: "x"}, {True: "x"}],
        [{0.0: "x"}, {-0.0: "x"}],
        [{(1,): "x"}, {(True,): "x"}],
        [{"a": 1}, None],
        [{"a": 1}, [("a", 1)]],
    ],
    ids=repr,
)
def test_rows_that_differ_in_keys_stay_rows(rows: list[Any], forger: Any) -> None:
    frame = CODEC.encode(rows)
    assert not is_by_columns(frame, forger)
    found = difference(rows, CODEC.decode(frame))
    assert found is None, found


def test_a_key_that_equals_a_string_keeps_its_class() -> None:
    codec = CODEC.with_types([Key])
    for rows in ([{"a": 1}, {Key.A: 1}], [{Key.A: 1}, {"a": 1}], [{Key.A: 1}, {Key.A: 2}]):
        found = difference(rows, codec.decode(codec.encode(rows)))
        assert found is None, found


def test_rows_are_separate_dicts_afterwards() -> None:
    first, second = CODEC.decode(CODEC.encode([{"a": [1]}] * 2))
    first["a"].append(2)
    assert second == {"a": [1]}
