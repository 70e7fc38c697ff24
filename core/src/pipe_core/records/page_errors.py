"""The two tables of the report's page that say what was wrong with the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipe_core.records.page_charts import bar, safe, section, table
from pipe_core.records.wording import number, percent, several

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
    examples = "".join(
        f"<li>record {safe(one['position'], 30)}: {safe(one['message'], 160)}</li>"
        for one in kind["examples"][:EXAMPLES]
    )
    what = f"<b>{safe(kind['type'], 80)}</b>{where}" + (f"<ul>{examples}</ul>" if examples else "")
    drawn = bar(kind["count"], most, "failed")
    return number(kind["count"]), drawn, percent(kind["count"], total), safe(kind["phase"], 30), what


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
    rows = [(safe(one["position"], 30), safe(one["phase"], 30), _reasons(one)) for one in failures]
    heads = (("Record", "number"), ("Phase", "name"), ("Where and why", ""))
    caption = f"The first {len(failures)} of {several(report['failed'], 'failed record')}. Records are numbered from 0."
    return section("First failures", table(caption, heads, rows))


def _reasons(failure: _Plain) -> str:
    hook = f"<li>hook <code>{safe(failure['hook'], 120)}</code></li>" if failure["hook"] else ""
    errors: Sequence[_Plain] = failure["errors"]
    reasons = "".join(map(_reason, errors[:REASONS]))
    more = f"<li>and {several(len(errors) - REASONS, 'more error')}</li>" if len(errors) > REASONS else ""
    return f"<ul>{hook}{reasons}{more}</ul>"


def _reason(error: _Plain) -> str:
    place = ".".join(str(part) for part in error.get("loc") or ())
    where = f"<code>{safe(place, 120)}</code> " if place else ""
    return f"<li>{where}<b>{safe(error.get('type', ''), 80)}</b>: {safe(_why(error), 300)}</li>"


def _why(error: _Plain) -> Any:
    return error.get("msg", error.get("message", ""))
