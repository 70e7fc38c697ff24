"""Runs of records with checkpoints, into tables and from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from pipe_core import Pipe
from pipe_core.runs.errors import ResumeError
from pipe_core.runtime.failpoints import armed
from pipe_core.testing.faults import SINK_FAULTS, resumed_behind

RECORDS = [{"n": n} if n < 2_000 else {"n": n, "text": f"Nr {n}"} for n in range(4_000)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def pipe(source: Any, sink: Any, **options: Any) -> Pipe:
    return Pipe(source, sink, checkpoint="runs", checkpoint_seconds=1e-9, chunk_size=1_000, **options)


def table(target: str) -> tuple[str, dict[str, Any]]:
    return target, {"format": "delta"}


@pytest.mark.parametrize("mode", ["overwrite", "append"])
@pytest.mark.parametrize("point", SINK_FAULTS)
def test_a_table_has_every_record_once(point: str, mode: Any) -> None:
    old = {"n": -1, "text": "old"}
    Pipe([old], table("out")).run()
    report = resumed_behind(lambda: pipe(RECORDS, table("out"), mode=mode), point)
    assert (report.read, report.delivery) == (len(RECORDS), "exactly-once")
    assert (report.resumed_at or 0) >= 1_000
    found: list[Any] = []
    Pipe(table("out"), found).run()
    expected = [*([old] if mode == "append" else []), *({"text": None, **record} for record in RECORDS)]
    assert sorted(found, key=lambda row: row["n"]) == expected
    assert DeltaTable("out").version() == 1, "there is one entry more in its log"
    assert sorted(path.name for path in Path().iterdir()) == ["out", "runs"], "nothing is beside it"


def test_another_version_is_another_input() -> None:
    Pipe(RECORDS, table("in")).run()
    with armed("checkpoint.kept=error"), pytest.raises(OSError, match="Input/output error"):
        pipe(table("in"), "out.jsonl").run()
    Pipe([{"n": -1, "text": ""}], table("in"), mode="append").run()
    with pytest.raises(ResumeError, match=r"in has changed \(version was 0 and is 1\)"):
        pipe(table("in"), "out.jsonl").resume()
    with pytest.raises(ResumeError, match=r"in has changed \(read was"):
        pipe(("in", {"format": "delta", "version": 0, "columns": ["n"]}), "out.jsonl").resume()
    report = pipe(("in", {"format": "delta", "version": 0}), "out.jsonl").resume(force=True)
    assert report.read == len(RECORDS), "the version of before is still there"
    assert report.notes == ["resumed by force: what was said of its source has changed"]
