"""The report of a run as one HTML page that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pipe_core.looks.charts import bar, safe, section, stack, table
from pipe_core.looks.frame import page
from pipe_core.looks.wording import duration, number, percent, rate, several
from pipe_core.records.page.errors import errors_by_kind, first_failures

NOTES: Final = 20
"""Notes shown."""

_Report = Mapping[str, Any]

_BADGES: Final = {
    "completed": ("valid", "✓ Completed"),
    "failed": ("failed", "✕ Failed"),
    "cancelled": ("dropped", "■ Cancelled"),
    "paused": ("warn", "❚❚ Paused"),
    "running": ("read", "▶ Running"),
    "pending": ("dropped", "Not started"),
}

_PHASES: Final = {
    "source": "reading from the source",
    "pre": "hooks before validation",
    "validation": "validation",
    "post": "hooks after validation",
    "encode": "making rows for the sink",
    "sink": "writing to the sink",
    "worker": "the worker",
    "read": "reading",
    "write": "writing and counting",
}

_DELIVERY: Final = {
    "exactly-once": "exactly once: every record is in the output one time",
    "at-least-once": "at least once: a record may be in the output again after a restart",
}


def render(report: Mapping[str, Any]) -> str:
    """A page with counts and charts.

    Args:
        report: What `FlowReport.to_dict` gives, or the same read from JSON.

    Returns:
        HTML with its style inside, without scripts; nothing is loaded from elsewhere. Whatever comes from the report
        is shortened and escaped.
    """
    parts = (_top, _exception, _tiles, _balance, errors_by_kind, first_failures, _phases, _facts, _notes)
    body = "\n".join(text for part in parts if (text := part(report)))
    return page(f"{safe(report['run'], 80)}: {safe(report['status'])}", body)


# --- what happened ---


def _top(report: _Report) -> str:
    tone, words = _BADGES.get(report["status"], ("dropped", safe(report["status"])))
    if report["status"] == "completed" and report["failed"]:
        tone, words = "warn", "✓ Completed, with failed records"
    started = _moment(report["started"])
    over = f"Run report, started {started}" if started else "Run report"
    return (
        f'<header><p class="over">{over}</p><div class="title"><h1>{safe(report["run"], 120)}</h1>'
        f'<span class="badge {tone}">{words}</span></div><p class="lead">{_sentence(report)}</p></header>'
    )


def _moment(text: str | None) -> str:
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return safe(text, 60)
    shown = f"{moment:%Y-%m-%d %H:%M:%S} {moment.tzname() or ''}".strip()
    return f'<time datetime="{moment.isoformat()}">{shown}</time>'


def _sentence(report: _Report) -> str:
    """What happened, in plain words."""
    spent, read = duration(report["duration"]), report["read"]
    seen = f"<b>{several(read, 'record')}</b> from {safe(report['source'] or 'the source', 120)}"
    match report["status"]:
        case "pending":
            return "The run has not started."
        case "completed":
            start = f"Read {seen} in {spent}." if read else f"The run completed in {spent} and read no records."
        case "failed":
            start = f"The run failed after {spent}. By then it had read {seen}."
        case "cancelled":
            start = f"The run was stopped after {spent}. By then it had read {seen}."
        case _:
            start = f"The run goes on. In {spent} it has read {seen}."
    outcomes = "; ".join(_outcomes(report))
    return f"{start} {outcomes[:1].upper()}{outcomes[1:]}." if outcomes else start


def _outcomes(report: _Report) -> Iterator[str]:
    """What became of the records. Where they are is said only of a run that completed: others may take it back."""
    done = report["status"] == "completed"
    if report["expanded"]:
        yield f"hooks added <b>{number(report['expanded'])}</b>"
    if report["read"] or report["valid"]:
        place = f" and went to {safe(report['sink'], 120)}" if report["sink"] and report["valid"] and done else ""
        yield f"<b>{number(report['valid'])}</b> {'was' if report['valid'] == 1 else 'were'} valid{place}"
    if report["failed"]:
        place = f", with reasons in {safe(report['errors'], 120)}" if report["errors"] and done else ""
        yield f"<b>{number(report['failed'])}</b> failed{place}"
    if report["dropped"]:
        yield f"hooks dropped <b>{number(report['dropped'])}</b>"


def _exception(report: _Report) -> str:
    problem = report["exception"]
    if not problem:
        return ""
    words = f"<pre><strong>{safe(problem['type'], 100)}</strong>: {safe(problem['message'], 2000)}</pre>"
    return section("Why it ended early", words, kind="alarm")


def _tiles(report: _Report) -> str:
    out = report["valid"] + report["failed"] + report["dropped"]
    tiles = (
        ("Records read", number(report["read"]), f"in {several(report['chunks'], 'chunk')}"),
        ("Records a second", rate(report["records_per_second"]).removesuffix("/s"), "over the whole run"),
        ("Duration", duration(report["duration"]), "from start to end"),
        ("Valid", percent(report["valid"], out) if out else "none", f"{number(report['failed'])} failed"),
    )
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}<small>{more}</small></dd></div>" for name, value, more in tiles)
    return f'<dl class="tiles">{cells}</dl>'


# --- the balance ---

_CAME: Final = ("read", "expanded")
_WENT: Final = ("valid", "failed", "dropped")


def _balance(report: _Report) -> str:
    came, went = (sum(report[name] for name in side) for side in (_CAME, _WENT))
    sides = (" + ".join(f"{number(report[name])} {name}" for name in side) for side in (_CAME, _WENT))
    sign = " = " if came == went else " ≠ "
    equation = f'<p class="equation">{sign.join(sides)}. {_verdict(report, came - went)}</p>'
    most = max(came, went)
    bars = "".join(
        f'<p class="over">{label}: {several(total, "record")}</p>'
        + stack(((report[name], name) for name in side), most - total)
        for label, side, total in (("Came in", _CAME, came), ("Went out", _WENT, went))
    )
    return section(
        "Where every record went", equation, bars, _legend(report, {"read": came, "valid": went}), kind="whole"
    )


def _verdict(report: _Report, gap: int) -> str:
    if not gap:
        return '<strong class="good">✓ It balances.</strong>'
    if report["status"] in ("running", "paused"):
        return "The counts are still moving."
    return f'<strong class="bad">✕ {several(abs(gap), "record")} not accounted for.</strong>'


def _legend(report: _Report, totals: Mapping[str, int]) -> str:
    meanings = {
        "read": "records taken from the source",
        "expanded": "records that hooks added",
        "valid": f"records for {safe(report['sink'], 120)}" if report["sink"] else "records that passed every check",
        "failed": f"records rejected, with reasons for {safe(report['errors'], 120)}"
        if report["errors"]
        else "records rejected",
        "dropped": "records that hooks left out on purpose",
    }
    rows = []
    for name, meaning in meanings.items():
        total = totals["read" if name in _CAME else "valid"]
        key = f'<span class="key {name}" aria-hidden="true"></span>{name.capitalize()}'
        rows.append((key, meaning, number(report[name]), percent(report[name], total)))
    heads = (("Colour and name", "name"), ("Meaning", ""), ("Records", "number"), ("Share", "number"))
    return table("What the colours mean. Each share is that of its own bar.", heads, rows)


# --- circumstances ---


def _phases(report: _Report) -> str:
    phases: Mapping[str, float] = report["phases"]
    if not phases:
        return ""
    total, most = sum(phases.values()), max(phases.values())
    rows = [
        (_phase(name), bar(seconds, most, "read"), duration(seconds), percent(seconds, total))
        for name, seconds in sorted(phases.items(), key=lambda item: -item[1])
    ]
    heads = (("Phase", "name"), ("", "draw"), ("Time", "number"), ("Share", "number"))
    return section("Time by phase", table("Time spent, added up over all workers, the longest first.", heads, rows))


def _phase(name: str) -> str:
    return _PHASES.get(name, safe(name, 60)).capitalize()


def _facts(report: _Report) -> str:
    delivery = report["delivery"]
    facts = (
        ("Source", report["source"] or "not known"),
        ("Sink", report["sink"] or "none: records were only counted"),
        ("Error sink", report["errors"] or "none: failed records are counted, the first ones shown here"),
        ("Executor", report["executor"] or "not started"),
        ("Workers", number(report["workers"])),
        ("Codec", report["codec"] or "none: nothing had to travel"),
        ("Delivery", _DELIVERY.get(delivery, delivery)),
        ("Run", report["run"]),
    )
    cells = "".join(f"<div><dt>{name}</dt><dd>{safe(value)}</dd></div>" for name, value in facts)
    return section("How it ran", f'<dl class="facts">{cells}</dl>', kind="whole")


def _notes(report: _Report) -> str:
    notes: Sequence[str] = report["notes"]
    if not notes:
        return ""
    shown: Iterable[str] = (safe(note, 500) for note in notes[:NOTES])
    more = [f"and {several(len(notes) - NOTES, 'more note')}"] if len(notes) > NOTES else []
    return section("Notes", f"<ul>{''.join(f'<li>{note}</li>' for note in (*shown, *more))}</ul>")
