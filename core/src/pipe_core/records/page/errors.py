"""The two tables of the report's page that say what was wrong with the records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pipe_core.looks.charts import bar, safe, section, table
from pipe_core.looks.wording import number, percent, several

KINDS: Final = 30
"""Kinds of errors shown, the most frequent first."""
FAILURES: Final = 10
"""Failures shown whole, from the first."""
REASONS: Final = 5
"""Reasons shown of one failure."""
EXAMPLES: Final = 3
"""Examples shown of one kind."""

_Plain = Mapping[str, Any]


def errors_by_kind(report: Mapping[str, Any]) -> str:
    """A chart of the kinds of errors, with how often each came up and examples."""
    kinds: Sequence[_Plain] = report["histogram"]
    if not kinds:
        text = "No record failed." if report["read"] else "No record was read, so none failed."
        return section("Errors by kind", f"<p>{text}</p>")
    total, most = sum(kind["count"] for kind in kinds), max(kind["count"] for kind in kinds)
    rows = [_kind(kind, most, total) for kind in kinds[:KINDS]]
    heads = (("Errors", "number"), ("", "draw"), ("Share", "number"), ("Phase", "name"), ("Kind, place, examples", ""))
    caption = f"{several(total, 'error')} of {several(len(kinds), 'kind')}, the most frequent first. "
    caption += "One record can have several errors."
    return section("Errors by kind", table(caption, heads, rows), _more_kinds(kinds[KINDS:]))


def _kind(kind: _Plain, most: int, total: int) -> tuple[str, ...]:
    where = f" at <code>{safe(kind['location'], 120)}</code>" if kind["location"] else ""
    examples = "".join(f"<li>{one}</li>" for one in _examples(kind["examples"][:EXAMPLES]))
    what = f"<b>{safe(kind['type'], 80)}</b>{where}" + (f"<ul>{examples}</ul>" if examples else "")
    drawn = bar(kind["count"], most, "failed")
    return number(kind["count"]), drawn, percent(kind["count"], total), safe(kind["phase"], 30), what


def _examples(examples: Sequence[_Plain]) -> Iterator[str]:
    """One line for each message, with the records that show it."""
    records: dict[str, list[str]] = {}
    for one in examples:
        records.setdefault(safe(one["message"], 160), []).append(safe(one["position"], 30))
    for message, positions in records.items():
        yield f"{'record' if len(positions) == 1 else 'records'} {', '.join(positions)}: {message}"


def _more_kinds(rest: Sequence[_Plain]) -> str:
    if not rest:
        return ""
    errors = several(sum(kind["count"] for kind in rest), "error")
    return f'<p class="over">And {several(len(rest), "more kind")} with {errors}. The report as JSON has them all.</p>'


def first_failures(report: Mapping[str, Any]) -> str:
    """A table of the first failures: which record, where and why."""
    failures: Sequence[_Plain] = report["first_failures"][:FAILURES]
    if not failures:
        return ""
    rows = [row for one in failures for row in _reasons(one)]
    heads = (("Record", "number"), ("Phase", "name"), ("Where", "where"), ("Why", ""))
    shown = several(report["failed"], "failed record")
    caption = shown if len(failures) == report["failed"] else f"The first {len(failures)} of {shown}"
    return section("First failures", table(f"{caption}, a row for each reason. Records count from 0.", heads, rows))


def _reasons(failure: _Plain) -> Iterator[tuple[str, ...]]:
    """A row for each error of one record."""
    errors: Sequence[_Plain] = failure["errors"]
    record, phase = safe(failure["position"], 30), safe(failure["phase"], 30)
    hook = f"hook <code>{safe(failure['hook'], 120)}</code>" if failure["hook"] else ""
    for error in errors[:REASONS]:
        place = ".".join(str(part) for part in error.get("loc") or ())
        where = f"<code>{safe(place, 120)}</code>" if place else hook or "the record"
        why = safe(error.get("msg", error.get("message", "")), 300)
        yield record, phase, where, f"{why} <small>{safe(error.get('type', ''), 80)}</small>"
    if len(errors) > REASONS:
        yield record, phase, "", f"and {several(len(errors) - REASONS, 'more error')}"
