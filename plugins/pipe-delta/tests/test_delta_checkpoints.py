"""Runs of records with checkpoints, into tables and from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from pipe_core import FlowReport, Pipe
from pipe_core.runs.errors import ResumeError
from pipe_core.runtime import failpoints
from pipe_core.runtime.failpoints import parse

RECORDS = [{"n": n} if n < 2_000 else {"n": n, "text": f"Nr {n}"} for n in range(4_000)]
POINTS = [
    "checkpoint.kept=error@2",
    "checkpoint.sink.after=error@3",
    "checkpoint.sink.after=error@5",
    "sink.commit.before=error",
    "sink.commit.after=error",
]


@pytest.fixture
def armed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(failpoints, "_armed", {})
    return lambda text: monkeypatch.setattr(failpoints, "_armed", parse(text))


def pipe(source: Any, sink: Any, **options: Any) -> Pipe:
    return Pipe(source, sink, checkpoint="runs", checkpoint_seconds=1e-9, chunk_size=1_000, **options)


def resumed(make: Callable[[], Pipe], point: str, armed: Callable[[str], None]) -> FlowReport:
    armed(point)
    with pytest.raises(OSError, match="Input/output error"):
        make().run()
    armed("")
    return make().resume()


def table(target: str) -> tuple[str, dict[str, Any]]:
    return target, {"format": "delta"}


@pytest.mark.parametrize("mode", ["overwrite", "append"])
@pytest.mark.parametrize("point", POINTS)
def test_a_table_has_every_record_once(point: str, mode: Any, armed: Callable[[str], None]) -> None:
    old = {"n": -1, "text": "old"}
    Pipe([old], table("out")).run()
    report = resumed(lambda: pipe(RECORDS, table("out"), mode=mode), point, armed)
    assert (report.read, report.delivery) == (len(RECORDS), "exactly-once")
    assert (report.resumed_at or 0) >= 1_000
    found: list[Any] = []
    Pipe(table("out"), found).run()
    expected = [*([old] if mode == "append" else []), *({"text": None, **record} for record in RECORDS)]
    assert sorted(found, key=lambda row: row["n"]) == expected
    assert DeltaTable("out").version() == 1, "there is one entry more in its log"
    assert sorted(path.name for path in Path().iterdir()) == ["out", "runs"], "nothing is beside it"


def test_another_version_is_another_input(armed: Callable[[str], None]) -> None:
    Pipe(RECORDS, table("in")).run()
    armed("checkpoint.kept=error")
    with pytest.raises(OSError, match="Input/output error"):
        pipe(table("in"), "out.jsonl").run()
    armed("")
    Pipe([{"n": -1, "text": ""}], table("in"), mode="append").run()
    with pytest.raises(ResumeError, match=r"in has changed \(version was 0 and is 1\)"):
        pipe(table("in"), "out.jsonl").resume()
    with pytest.raises(ResumeError, match=r"in has changed \(read was"):
        pipe(("in", {"format": "delta", "version": 0, "columns": ["n"]}), "out.jsonl").resume()
    report = pipe(("in", {"format": "delta", "version": 0}), "out.jsonl").resume()
    assert (report.read, report.notes) == (len(RECORDS), []), "the version of before is still there"
