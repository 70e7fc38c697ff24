"""The contract of a data set: where it is loaded, saved and followed, with and without a run."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pipe_core.project.catalog import Catalog
from pipe_core.project.catalog.errors import DatasetValueError
from pipe_core.project.contracts import Applied, ContractError
from pipe_core.project.errors import RunFailedError
from pipe_core.project.project import Project
from pipe_core.project.runs.runner import Runner


class Order(BaseModel):
    id: int
    sku: str = "-"


LINES = [{"id": "1", "sku": "a"}, {"id": "x"}, {"id": 3, "new": True}]
Make = Callable[..., Catalog]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    (tmp_path / "orders.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))

    def made(**said: Any) -> Catalog:
        return Catalog({"orders": {"path": "orders.jsonl", "schema": Order, **said}}, folder=tmp_path)

    return made


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "orders.jsonl").read_text().splitlines()]


def test_loading_leaves_out_what_does_not_fit_and_says_so(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pipe_core.project"):
        assert make(contract="discard_row").load("orders") == [Order(id=1, sku="a")]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "The data set 'orders', by its contract: load 'orders': 2 of 3 records were discarded" in record.getMessage()


def test_whoever_asks_is_told_instead_of_the_log(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    found: list[Applied] = []
    value = make(contract="discard_value").load("orders", found=found)
    assert value == [{"id": 1, "sku": "a"}, {"id": None, "sku": "-"}, {"id": 3, "sku": "-"}]
    (note,) = (one.note for one in found)
    assert note is not None
    assert (note.side, note.name, note.values) == ("load", "orders", {"id": 1, "new": 1})
    assert caplog.records == []


def test_frozen_and_evolving_data_sets(make: Make, tmp_path: Path) -> None:
    with pytest.raises(
        ContractError, match="The data set 'orders': the record at position 1 is not as Order"
    ) as caught:
        make(contract="freeze").load("orders")
    assert (caught.value.node, caught.value.field, caught.value.value, caught.value.further) == ("", "id", "x", 1)
    (tmp_path / "orders.jsonl").write_text('{"id": "1", "new": 2}\n{"id": 2}\n')
    assert make(contract="evolve").load("orders") == [{"id": 1, "sku": "-", "new": 2}, {"id": 2, "sku": "-"}]
    (tmp_path / "orders.jsonl").write_text('{"id": "1"}\n')
    assert make(contract="freeze").load("orders") == [Order(id=1)]


@pytest.mark.parametrize("shape", [list, iter, tuple])
@pytest.mark.parametrize(
    ("policy", "stored"),
    [
        ("discard_row", [{"id": 1, "sku": "a"}]),
        ("discard_value", [{"id": 1, "sku": "a"}, {"id": None, "sku": "-"}, {"id": 3, "sku": "-"}]),
    ],
)
def test_saving(make: Make, tmp_path: Path, policy: str, stored: list[Any], shape: Any) -> None:
    found: list[Applied] = []
    make(contract=policy).save("orders", shape(LINES), found=found)
    assert lines(tmp_path) == stored
    (note,) = (one.note for one in found)
    assert note is not None
    assert (note.side, note.records, note.discarded) == ("save", 3, 2)


@pytest.mark.parametrize("shape", [list, iter])
def test_nothing_is_saved_of_what_is_refused(make: Make, tmp_path: Path, shape: Any) -> None:
    with pytest.raises(ContractError):
        make(contract="freeze").save("orders", shape([{"id": 5}, {"id": "y"}]))
    assert lines(tmp_path) == LINES
    assert sorted(one.name for one in tmp_path.iterdir()) == ["orders.jsonl"]


def test_new_fields_are_saved_where_they_may_evolve(make: Make, tmp_path: Path) -> None:
    make(contract="evolve").save("orders", [{"id": "1", "new": 2}])
    assert lines(tmp_path) == [{"id": 1, "sku": "-", "new": 2}]


def test_a_schema_of_arrow_is_a_contract(make: Make, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    schema = arrow.schema([arrow.field("id", arrow.int64(), nullable=False), ("sku", arrow.string())])
    catalog = make(schema=schema)
    (tmp_path / "orders.jsonl").write_text('{"id": "1", "sku": "a"}\n{"id": "x"}\n')
    with pytest.raises(ContractError):
        catalog.load("orders")
    said = {"path": "orders.jsonl", "schema": schema, "contract": "discard_row", "as": "arrow"}
    catalog = Catalog({"orders": said}, folder=tmp_path)
    table = catalog.load("orders")
    assert table.to_pylist() == [{"id": 1, "sku": "a"}]
    catalog.save("orders", table)
    assert lines(tmp_path) == [{"id": 1, "sku": "a"}]


@pytest.mark.parametrize(
    ("said", "text"),
    [({"schema": None}, "no schema that it could be about"), ({"as": "bytes"}, "is loaded as a whole")],
)
def test_a_contract_about_nothing_is_refused(make: Make, said: dict[str, Any], text: str) -> None:
    with pytest.raises(DatasetValueError, match=text):
        make(contract="freeze", **said).load("orders")


def project(folder: Path, policy: str, **more: Any) -> Project:
    (folder / "raw.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    catalog = {
        "raw": {"path": "raw.jsonl", "schema": Order, "contract": policy},
        "kept": {"path": "kept.jsonl", "schema": Order, "contract": policy},
    }
    nodes = {
        "take": {"function": lambda rows: rows, "input": "raw", "output": "rows"},
        "give": {"function": lambda rows: [{"id": len(rows)}, {"id": "y"}], "input": "rows", "output": "kept"},
        "last": {"function": lambda rows: rows, "input": "kept"},
        "look": {"function": len, "input": "raw"},
    }
    pipelines = {"main": {"nodes": list(nodes)}}
    return Project.load({"nodes": nodes, "catalog": catalog, "pipelines": pipelines, **more}, folder=folder)


def test_a_run_counts_what_data_sets_discard(tmp_path: Path) -> None:
    result = Runner(project(tmp_path, "discard_row")).run("main")
    assert result["last"] == [Order(id=1)]  # as it would be loaded
    assert json.loads((tmp_path / "kept.jsonl").read_text()) == {"id": 1, "sku": "-"}
    assert {name: node.discarded for name, node in result.nodes.items()} == {
        "take": {"raw": 2},
        "give": {"kept": 1},
        "last": {},
        "look": {"raw": 2},
    }
    assert {name: [note.side for note in node.contracts] for name, node in result.nodes.items()} == {
        "take": ["load"],
        "give": ["save"],
        "last": [],
        "look": ["load"],
    }


def test_a_run_fails_at_a_frozen_data_set_and_names_the_node(tmp_path: Path) -> None:
    with pytest.raises(RunFailedError, match="Node 'take' of 'main' has failed: ContractError: The data set 'raw'"):
        Runner(project(tmp_path, "freeze")).run("main")


def test_a_stream_tells_what_was_discarded_in_all_of_its_batches(tmp_path: Path) -> None:
    """Also in a batch of which nothing is left, behind which it goes on."""
    rows = [{"id": "x"}, {"id": "y"}, {"id": 3}, {"id": "z"}, {"id": 5}]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in rows))
    contract = {"outputs": {"out": {"schema": Order, "policy": "discard_row"}}}
    live = {
        "function": lambda orders: [{"id": "odd"}, *orders],
        "input": "events",
        "output": "out",
        "streaming": {"trigger": "available_now", "batch_size": 2},
        "contracts": contract,
    }
    whole = {
        "catalog": {
            "events": {"path": "events.jsonl", "schema": Order, "contract": "discard_row"},
            "out": {"path": "out.jsonl", "mode": "append"},
        },
        "nodes": {"live": live},
        "pipelines": {"main": {"nodes": ["live"], "type": "streaming"}},
    }
    result = Runner(Project.load(whole, folder=tmp_path)).run("main")
    assert [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == [3, 5]
    assert result.nodes["live"].discarded == {"events": 3, "out": 3}
    (journal,) = tmp_path.glob("runs/*/journal.jsonl")
    told = [json.loads(line) for line in journal.read_text().splitlines() if '"contracts"' in line]
    assert sum(note["rows"] for event in told for note in event["contracts"]) == 6
