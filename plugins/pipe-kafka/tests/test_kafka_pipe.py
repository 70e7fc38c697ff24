"""Topics in pipes and in catalogs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pipe_core import Pipe, SinkError
from pipe_core.project.catalog import Catalog


class Order(BaseModel):
    id: int
    amount: float = 1.0


def test_from_a_topic_and_into_one(cluster: Any, url: str, topic: str, tmp_path: Path) -> None:
    cluster.send(topic, [b'{"id":1}', b"bad", b'{"id":"x"}', b'{"id":2,"amount":3}'], 1)
    good, bad = f"{url}-good", f"{url}-bad"
    report = Pipe(url, good, schema=Order, errors=bad, mode="append").run()
    assert (report.read, report.valid, report.failed, report.delivery) == (4, 2, 2, "at-least-once")
    assert sorted(cluster.values(f"{topic}-good")) == [b'{"id":1,"amount":1.0}', b'{"id":2,"amount":3.0}']
    told = sorted((json.loads(value) for value in cluster.values(f"{topic}-bad")), key=lambda one: one["position"])
    assert [(one["position"], one["phase"]) for one in told] == [(1, "source"), (2, "validation")]
    assert "partition 1, offset 1" in told[0]["errors"][0]["message"]

    report = Pipe(good, tmp_path / "out.jsonl", schema=Order).run()
    assert (report.valid, report.delivery) == (2, "exactly-once")
    with pytest.raises(SinkError, match="source"):
        Pipe(url, url, mode="append").run()
    with pytest.raises(SinkError, match="mode='append'"):
        Pipe(good, bad).run()


def test_records_that_no_message_can_be_made_of_fail_by_themselves(cluster: Any, url: str, topic: str) -> None:
    bad: list[Any] = []
    report = Pipe([{"id": 1}, {"ID": 2}], (url, {"key": "id"}), errors=bad, mode="append").run()
    assert (report.valid, report.failed, len(cluster.values(topic))) == (1, 1, 1)
    assert (bad[0]["phase"], bad[0]["errors"][0]["type"]) == ("encode", "UnsendableError")


def test_a_data_set_is_loaded_followed_and_appended_to(cluster: Any, url: str, topic: str) -> None:
    options = {"key": "id", "start": "earliest"}  # one for each direction
    data = Catalog({"orders": {"path": url, "schema": Order, "mode": "append", "options": options}})
    assert not data.exists("orders")
    for start in (0, 5):
        staged = data.stage("orders", [Order(id=i) for i in range(start, start + 5)])
        assert staged.delivery == "at-least-once"
        staged.commit()
    loaded = data.load("orders")
    assert sorted(one.id for one in loaded) == list(range(10))
    first = data.follow("orders", None, 4)
    rest = data.follow("orders", first.position, 100)
    assert sorted(one.id for one in (*first.records, *rest.records)) == list(range(10))
    assert data.follow("orders", None, 1, first.position).records == first.records
    with pytest.raises(SinkError, match="mode='append'"):
        Catalog({"orders": {"path": url}}).save("orders", [])


def test_a_data_set_that_is_staged_is_saved_exactly_once(cluster: Any, url: str, topic: str, tmp_path: Path) -> None:
    options = {"transactional_id": topic, "staging": str(tmp_path)}
    data = Catalog({"orders": {"path": url, "mode": "append", "options": options}})
    staged = data.stage("orders", [{"id": i} for i in range(5)])
    assert (staged.delivery, staged.records) == ("exactly-once", 5)
    assert cluster.values(topic) == []
    staged.close()
    for _ in range(2):
        data.settle("orders", json.loads(json.dumps(staged.state)))
        assert len(cluster.values(topic)) == 5
    other = data.stage("orders", [{"id": 5}])
    other.abort()
    assert len(data.load("orders")) == 5
    data.save("orders", [{"id": 6}])
    assert len(data.load("orders")) == 6
    assert list(tmp_path.iterdir()) == []
