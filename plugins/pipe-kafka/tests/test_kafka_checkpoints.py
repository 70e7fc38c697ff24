"""Runs of records with checkpoints, into topics and from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipe_core import OptionsError, Pipe
from pipe_core.testing.faults import SINK_FAULTS, resumed_behind

RECORDS = [{"id": n} for n in range(4_000)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def pipe(source: Any, sink: Any, **options: Any) -> Pipe:
    return Pipe(source, sink, **{"checkpoint": "runs", "checkpoint_seconds": 1e-9, "chunk_size": 1_000, **options})


def ids(cluster: Any, topic: str) -> list[int]:
    return sorted(json.loads(value)["id"] for value in cluster.values(topic))


@pytest.mark.parametrize("point", SINK_FAULTS)
def test_staged_messages_are_sent_once(cluster: Any, url: str, topic: str, point: str, tmp_path: Path) -> None:
    cluster.make(topic)
    (tmp_path / "staging").mkdir()
    target = url, {"transactional_id": topic, "staging": str(tmp_path / "staging")}
    report = resumed_behind(lambda: pipe(RECORDS, target, mode="append"), point)
    assert (report.read, report.delivery, report.notes[:-1]) == (len(RECORDS), "exactly-once", [])
    assert (report.resumed_at or 0) >= 1_000
    assert ids(cluster, topic) == list(range(4_000))
    assert list((tmp_path / "staging").iterdir()) == []


@pytest.mark.parametrize("point", SINK_FAULTS)
def test_messages_that_are_sent_as_they_come_are_told_apart_by_their_keys(
    cluster: Any, url: str, topic: str, point: str
) -> None:
    """Some come twice, none is lost, also for a consumer that leaves out what it has seen."""
    cluster.make(topic)
    report = resumed_behind(lambda: pipe(RECORDS, (url, {"run": "r"}), mode="append"), point)
    assert (report.read, report.delivery) == (len(RECORDS), "at-least-once")
    assert (report.resumed_at or 0) >= 1_000
    assert sorted(set(ids(cluster, topic))) == list(range(4_000))
    keys = {
        dict(message.headers())["pipe-key"]: json.loads(message.value())["id"] for message in cluster.messages(topic)
    }
    assert keys == {f"r:{n}".encode(): n for n in range(4_000)}


def test_a_transaction_is_begun_anew(cluster: Any, url: str, topic: str) -> None:
    cluster.make(topic)
    target = url, {"transactional_id": topic}
    report = resumed_behind(lambda: pipe(RECORDS, target, mode="append"), "commit.after=error@3")
    assert (report.resumed_at, report.delivery) == (None, "at-least-once")
    assert any("resumed from the beginning" in note and topic in note for note in report.notes)
    assert sorted(set(ids(cluster, topic))) == list(range(4_000))


def test_a_topic_is_not_read_by_a_run_that_is_to_be_resumed(cluster: Any, url: str, topic: str, tmp_path: Path) -> None:
    """Messages that come meanwhile are among those that were read: what to leave out, nobody knows."""
    cluster.send(topic, [b'{"id": 1}'], 0)
    with pytest.raises(OptionsError, match=rf"{topic} is read while it comes.*or leave checkpoint= out"):
        pipe(url, "out.jsonl", checkpoint=str(tmp_path / "runs")).run()
    assert Pipe(url, str(tmp_path / "out.jsonl")).run().read == 1
