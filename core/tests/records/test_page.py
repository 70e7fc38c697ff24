from __future__ import annotations

import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pydantic
import pytest

from pipe_core import FlowReport, Pipe
from pipe_core.records.page.document import render

VOID = {"meta", "br", "hr", "img", "link", "input"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;\u202etxt.exe\x00\x1b[31m\ud800é漢字👩‍👩‍👧"


class Page(HTMLParser):
    """Reads a page strictly: every element is closed, in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.text.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.text[tag][-1] += data

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}

    def widths(self, kind: str) -> list[str | None]:
        return [attrs.get("style") for tag, attrs in self.elements if tag == "i" and attrs["class"] == kind]

    @property
    def said(self) -> str:
        return " ".join(self.text["main"][0].split())


def facts(**changes: Any) -> dict[str, Any]:
    report = FlowReport("orders").to_dict()
    report.update(status="completed", source="in.csv", sink="out.jsonl", errors="bad.jsonl", executor="loky", workers=4)
    report.update(read=1000, expanded=20, valid=990, failed=10, dropped=20, duration=2.0, records_per_second=500.0)
    report.update(started=datetime(2024, 5, 1, 12, 30, tzinfo=UTC).isoformat(), codec="msgpack", chunks=3)
    report.update(phases={"validation": 1.5, "read": 0.5}, histogram=[kind(7), kind(3, location="age")])
    report.update(first_failures=[failure(4), failure(9, hook="check", phase="pre")])
    return report | changes


def kind(count: int, **changes: Any) -> dict[str, Any]:
    examples = [{"position": 4, "message": "too short"}, {"position": 9, "message": "too short"}]
    return {"phase": "validation", "type": "short", "location": "name", "count": count, "examples": examples} | changes


def failure(position: int, **changes: Any) -> dict[str, Any]:
    errors = [{"loc": ["items", 0, "name"], "msg": "too short", "type": "short"}]
    return {"position": position, "phase": "validation", "errors": errors, "hook": None} | changes


def everywhere(value: Any, text: str) -> Any:
    """*value* with every string in it, names of phases included, replaced by *text*."""
    if isinstance(value, str):
        return text
    if isinstance(value, dict):
        return {key: everywhere(item, text) for key, item in value.items()}
    return [everywhere(item, text) for item in value] if isinstance(value, list) else value


def test_the_page_needs_nothing_beside_itself() -> None:
    page = Page(render(facts()))

    assert not page.tags() & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert not [
        name for _, attrs in page.elements for name in attrs if name in ("src", "href") or name.startswith("on")
    ]
    assert "url(" not in page.html
    assert "@import" not in page.html
    assert "default-src 'none'" in page.html


def test_the_page_has_headings_captions_and_heads_of_columns() -> None:
    page = Page(render(facts()))

    assert [text.strip() for text in page.text["h1"]] == ["orders"]
    assert page.text["h2"] == [
        "Where every record went",
        "Errors by kind",
        "First failures",
        "Time by phase",
        "How it ran",
    ]
    assert len(page.text["caption"]) == len(page.text["table"]) == 4
    assert all(attrs.get("scope") == "col" for tag, attrs in page.elements if tag == "th")
    assert dict(page.elements)["html"]["lang"] == "en"
    names = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(names) == len(set(names))


def test_one_sentence_says_what_happened() -> None:
    page = Page(render(facts()))

    assert (
        "Read 1,000 records from in.csv in 2 s. Hooks added 20; 990 were valid and went to out.jsonl; "
        "10 failed, with reasons in bad.jsonl; hooks dropped 20."
    ) in page.said


def test_the_balance_is_shown_in_numbers_and_as_bars() -> None:
    page = Page(render(facts()))

    assert "1,000 read + 20 expanded = 990 valid + 10 failed + 20 dropped. ✓ It balances." in page.said
    assert page.widths("valid") == ["flex-grow:990"]
    assert page.widths("dropped") == ["flex-grow:20"]
    assert page.widths("rest") == []
    for name, count in (("Read", "1,000"), ("Expanded", "20"), ("Valid", "990"), ("Failed", "10"), ("Dropped", "20")):
        assert any(row.startswith(name) and count in row for row in page.text["tr"])


def test_a_balance_that_does_not_hold_is_said_and_drawn() -> None:
    page = Page(render(facts(status="failed", valid=987)))

    assert "1,000 read + 20 expanded ≠ 987 valid + 10 failed + 20 dropped. ✕ 3 records not accounted for." in page.said
    assert page.widths("rest") == ["flex-grow:3"]


def test_shares_are_of_the_bar_that_they_are_in() -> None:
    page = Page(render(facts(status="failed", read=300, expanded=100, valid=150, failed=30, dropped=20)))

    rows = [row for row in page.text["tr"] if row.startswith(("Read", "Expanded", "Valid", "Failed", "Dropped"))]
    assert [row[-4:] for row in rows[:5]] == ["75 %", "25 %", "75 %", "15 %", "10 %"]


def test_the_counts_of_a_running_run_may_still_move() -> None:
    page = Page(render(facts(status="running", valid=987)))

    assert "The counts are still moving." in page.said
    assert "The run goes on." in page.said


def test_times_and_circumstances_are_on_the_page() -> None:
    page = Page(render(facts(delivery="at-least-once", notes=["one partial file"])))

    for text in ("2024-05-01 12:30:00 UTC", "500", "loky", "msgpack", "at least once", "one partial file"):
        assert text in page.said
    assert any(row.startswith("Validation") and "1.5 s" in row and "75 %" in row for row in page.text["tr"])
    assert page.widths("read") == ["flex-grow:1000", "width:100.00%", "width:33.33%"]


def test_kinds_of_errors_have_counts_places_and_examples() -> None:
    page = Page(render(facts()))

    (row,) = (row for row in page.text["tr"] if "short at age" in row)
    assert row.startswith("3")
    assert "30 %" in row
    assert "records 4, 9: too short" in row


def test_only_the_most_frequent_kinds_are_shown_and_the_others_counted() -> None:
    kinds = [kind(3000 - i, location=f"field_{i}") for i in range(2500)]
    html = render(facts(histogram=kinds))
    page = Page(html)

    assert "field_29" in page.said
    assert "field_30" not in page.said
    rest = sum(one["count"] for one in kinds[30:])
    assert f"And 2,470 more kinds with {rest:,} errors." in page.said
    assert len(html) < 60_000


def test_failures_show_record_phase_place_and_reason() -> None:
    many = failure(12, errors=failure(12)["errors"] * 8)
    page = Page(render(facts(first_failures=[failure(4), failure(9, hook="check", errors=[HOOK_ERROR]), many])))

    rows = [row for row in page.text["tr"] if "short" in row or "HookError" in row or "more error" in row]
    assert "4validationitems.0.nametoo short short" in rows
    assert "9validationhook checkcheck: no such customer HookError" in rows
    assert "12validationand 3 more errors" in rows
    assert "The first 3 of 10 failed records" in page.said


HOOK_ERROR = {"type": "HookError", "message": "check: no such customer"}


def test_an_exception_is_told_before_the_figures() -> None:
    problem = {"type": "SourceError", "message": "in.csv is cut off"}
    page = Page(render(facts(status="failed", exception=problem)))

    assert "✕ Failed" in page.said
    assert "The run failed after 2 s. By then it had read 1,000 records from in.csv." in page.said
    assert "went to out.jsonl" not in page.said, "the targets of a failed run are as they were"
    assert page.said.index("SourceError: in.csv is cut off") < page.said.index("Records a second")


@pytest.mark.parametrize("status", ["pending", "running", "paused", "cancelled", "completed", "failed"])
def test_every_status_of_an_empty_run_has_a_page(status: str) -> None:
    page = Page(render(FlowReport("empty").to_dict() | {"status": status}))

    assert "0 read + 0 expanded = 0 valid + 0 failed + 0 dropped" in page.said
    assert "No record was read, so none failed." in page.said


def test_text_from_the_run_is_never_markup() -> None:
    report = everywhere(facts(notes=["note"], exception={"type": "E", "message": "m"}), HOSTILE)
    report["phases"] = {HOSTILE: 1.0}
    html = render(report)
    page = Page(html)

    assert "script" not in page.tags()
    assert "img" not in page.tags()
    assert html.count("<script") == 0
    assert page.elements[-1][0] == "footer"
    assert page.said.count("<script>alert(1)</script>\"'>") > 20, "the text itself is shown"
    assert "é漢字👩‍👩‍👧" in page.said


def test_characters_that_deceive_are_spelled_out() -> None:
    html = render(everywhere(facts(), HOSTILE))

    html.encode("utf-8")
    assert not set(html) & set("\u202e\x00\x1b\ud800")
    assert r"\u202etxt.exe\x00\x1b[31m\ud800" in html


def test_long_text_is_shortened_and_says_by_how_much() -> None:
    long = "y" * 10_000
    many = facts(notes=[long] * 500, exception={"type": long, "message": long}, histogram=[kind(1)] * 500)
    many["first_failures"] = [failure(1, errors=failure(1)["errors"] * 500)] * 10
    html = render(everywhere(many, long))

    assert "9,700 more characters" in html
    assert "and 480 more notes" in html
    assert len(html) < 100_000


def test_the_report_of_a_run_makes_a_small_page(tmp_path: Path) -> None:
    class Order(pydantic.BaseModel):
        id: int
        name: str = pydantic.Field(min_length=1)

    rows = [{"id": i if i % 10 else "x", "name": "n" if i % 7 else ""} for i in range(500)]
    report = Pipe(rows, [], schema=Order, errors=[], name="orders").run()
    html = report.save(tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(html)

    assert len(html) < 60_000
    assert f"500 read + 0 expanded = {report.valid} valid + {report.failed} failed + 0 dropped" in page.said
    assert "✓ Completed, with failed records" in page.said
    assert "int_parsing at id" in page.said


def test_a_report_read_from_json_gives_the_same_page() -> None:
    report = facts(first_failures=[failure(4, errors=[{"loc": ("a", 1), "msg": "m", "type": "t"}])])

    assert render(json.loads(json.dumps(report))) == render(report)
