"""Results as lists by position, their failures and undecided entries by columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any, Final

import msgpack

from pipe_core.kernel.contracts import Extent
from pipe_core.records.legible import legible
from pipe_core.records.result import Failure, Pending, Result
from pipe_core.records.transport.packed_entries import entries_of, plain_entries
from pipe_core.runtime.wire import open_error, pack_error

_SHOWN: Final = 1000
"""Characters that an error row shows of what is too long to travel."""


def plain_result(result: Result) -> list[Any]:
    """*result* as plain data, apart from what its rows, verdicts and entries hold."""
    extent = result.extent
    return [
        [result.read, result.valid, result.dropped, result.expanded],
        result.payload,
        _plain_failures(result.failures) if result.failures else None,
        None if result.pending is None else _plain_pending(result.pending),
        None if result.entries is None else plain_entries(result.entries),
        [list(result.seconds), list(result.seconds.values())],
        None if extent is None else [extent.begin, extent.end, extent.of],
        None if result.fatal is None else pack_error(result.fatal),
    ]


def result_of(plain: Sequence[Any]) -> Result:
    """The result that `plain_result` took apart."""
    (read, valid, dropped, expanded), payload, failures, pending, entries, seconds, extent, fatal = plain
    return Result(
        read,
        valid,
        dropped,
        expanded,
        payload,
        [] if failures is None else _failures_of(failures),
        None if pending is None else _pending_of(pending),
        None if entries is None else entries_of(entries),
        dict(zip(*seconds, strict=True)),
        None if extent is None else Extent(*extent),
        None if fatal is None else open_error(fatal),
    )


def _plain_failures(failures: Sequence[Failure]) -> list[Any]:
    return [
        [one.index for one in failures],
        [one.phase for one in failures],
        _packed([one.errors for one in failures]),
        [one.row for one in failures],
        [one.hook for one in failures],
        [one.part for one in failures],
    ]


def _failures_of(plain: Sequence[Any]) -> list[Failure]:
    indexes, phases, errors, rows, hooks, parts = plain
    columns = zip(indexes, phases, _unpacked(errors), rows, hooks, parts, strict=True)
    return [Failure(*row) for row in columns]


def _packed(reasons: list[list[dict[str, Any]]]) -> Any:
    """Reasons as bytes in one go: text, numbers, lists and dicts, which the codec would look at one by one."""
    try:
        packed = msgpack.packb(reasons, strict_types=True)
        return packed if msgpack.unpackb(packed) == reasons else reasons
    except (TypeError, ValueError, OverflowError, UnicodeError):  # a hook put something else into them
        return reasons


def _unpacked(packed: Any) -> list[list[dict[str, Any]]]:
    reasons: list[list[dict[str, Any]]] = msgpack.unpackb(packed) if isinstance(packed, bytes) else packed
    return reasons


def _plain_pending(pending: Sequence[Pending]) -> list[Any]:
    verdicts = [verdict for one in pending for verdict in one.verdicts]
    failures = [one.failure for one in pending if one.failure is not None]
    entries = [one.entry for one in pending if one.entry is not None]
    return [
        [one.index for one in pending],
        [one.part for one in pending],
        [len(one.verdicts) for one in pending],
        [value for value, _ in verdicts],
        [row for _, row in verdicts],
        [one.row for one in pending],
        [one.failure is not None for one in pending],
        _plain_failures(failures),
        [one.entry is not None for one in pending],
        plain_entries(entries),
    ]


def _pending_of(plain: Sequence[Any]) -> list[Pending]:
    indexes, parts, counts, values, refusals, rows, failed, failures, shown, entries = plain
    verdicts = _cut(list(zip(values, refusals, strict=True)), counts)
    failure, entry = iter(_failures_of(failures)), iter(entries_of(entries))
    columns = zip(indexes, parts, verdicts, rows, failed, shown, strict=True)
    pending = [
        Pending(index, part, tuple(own), row, next(failure) if has_failed else None, next(entry) if is_shown else None)
        for index, part, own, row, has_failed, is_shown in columns
    ]
    if next(chain(failure, entry), None) is not None:
        raise ValueError("there are failures or entries that belong to nobody")
    return pending


def _cut(values: Sequence[Any], counts: Sequence[int]) -> list[list[Any]]:
    """*values* in lists of *counts*."""
    if sum(counts) != len(values):
        raise ValueError(f"{len(values)} values do not make lists of {sum(counts)}")
    left = iter(values)
    return [list(islice(left, count)) for count in counts]


# --- what is made legible so that it can travel ---


def legible_failures(result: Result, can_travel: Callable[[Any], bool]) -> Result:
    """*result* with the legible form of whatever the reasons and error rows of failed records hold that cannot travel.

    A record that failed already fails no second time because of what it holds.
    """

    def travelling(value: Any) -> Any:
        if can_travel(value):
            return value
        if type(value) is not dict:
            return shown(value)
        plain = {str(key): item if can_travel(item) else shown(item) for key, item in value.items()}
        return plain if can_travel(plain) else {key: _brief(item) for key, item in plain.items()}

    def shown(value: Any) -> Any:
        return plain if can_travel(plain := legible(value)) else _brief(plain)

    def of_failure(failure: Failure) -> Failure:
        return replace(failure, errors=list(map(travelling, failure.errors)), row=travelling(failure.row))

    def of_pending(one: Pending) -> Pending:
        verdicts = [(value, travelling(row)) for value, row in one.verdicts]
        return replace(one, verdicts=verdicts, failure=None if one.failure is None else of_failure(one.failure))

    pending = None if result.pending is None else list(map(of_pending, result.pending))
    return replace(result, failures=list(map(of_failure, result.failures)), pending=pending)


def _brief(value: Any) -> Any:
    """The beginning of the text of *value*, unless it is short."""
    text = str(legible(value))
    return value if len(text) <= _SHOWN else text[:_SHOWN]
