"""Contracts where nodes run: what enters a node, what leaves it, and what is told of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from pipe_core.kernel.errors import OptionsError
from pipe_core.project.contracts import ContractError
from pipe_core.project.errors import RunFailedError
from pipe_core.project.project import Project
from pipe_core.project.runs.runner import Runner
from pipe_core.runs.errors import ResumeError

Make = Callable[..., Project]


class Order(BaseModel):
    id: int
    sku: str = "-"


class Row(TypedDict):
    id: int


@dataclass
class Point:
    id: int


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(nodes: Mapping[str, Any], catalog: Mapping[str, Any] | None = None) -> Project:
        whole = {"nodes": dict(nodes), "catalog": dict(catalog or {}), "pipelines": {"main": {"nodes": list(nodes)}}}
        return Project.load(whole, folder=tmp_path)

    return made


def orders() -> list[dict[str, Any]]:
    return [{"id": "1", "sku": "a"}, {"id": "x", "sku": "b"}, {"id": 3, "note": "new"}, {"id": 4}]


def same(value: Any) -> Any:
    return value


def of(schema: Any, policy: str) -> dict[str, Any]:
    return {"schema": schema, "policy": policy}


def two(schema: Any, policy: str, side: str) -> dict[str, Any]:
    """A node that gives orders, and one that takes them, with a contract on one of the two sides."""
    contract = {"contracts": {f"{side}s": {"orders": of(schema, policy)}}}
    return {
        "give": {"function": orders, "output": "orders", **(contract if side == "output" else {})},
        "take": {"function": same, "input": "orders", **(contract if side == "input" else {})},
    }


@pytest.mark.parametrize("side", ["input", "output"])
@pytest.mark.parametrize(
    ("policy", "rows", "discarded"),
    [
        ("discard_row", [{"id": 1, "sku": "a"}, {"id": 4, "sku": "-"}], 2),
        (
            "discard_value",
            [{"id": 1, "sku": "a"}, {"id": None, "sku": "b"}, {"id": 3, "sku": "-"}, {"id": 4, "sku": "-"}],
            2,
        ),
    ],
)
def test_what_is_discarded_is_counted_and_told(
    make: Make,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    side: str,
    policy: str,
    rows: list[dict[str, Any]],
    discarded: int,
) -> None:
    with caplog.at_level(logging.INFO, "pipe_core.project"):
        result = Runner(make(two(Order, policy, side))).run("main")
    assert result["take"] == rows
    node = result.nodes["take" if side == "input" else "give"]
    assert node.discarded == {"orders": discarded}
    assert {name: one.discarded for name, one in result.nodes.items() if one.discarded} == {node.name: node.discarded}
    (warning,) = (one for one in caplog.records if one.levelno == logging.WARNING)
    text = warning.getMessage()
    assert f"node '{node.name}', by its contract for the {side} 'orders':" in text
    assert "record 1, the field 'id' is 'x': Input should be a valid integer" in text
    assert (warning.node, warning.pipeline) == (node.name, "main")  # type: ignore[attr-defined]  # what `extra` puts on a record
    (journal,) = tmp_path.glob("runs/*/journal.jsonl")
    (line,) = (one for one in map(json.loads, journal.read_text().splitlines()) if "contracts" in one)
    assert (line["node"], line["contracts"][0]["records"]) == (node.name, 4)
    assert result.to_dict()["nodes"][node.name]["contracts"] == line["contracts"]


def test_fields_that_are_new_pass_and_are_noted(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    nodes = {"give": {"function": lambda: [{"id": 1}, {"id": 2, "note": "n"}], "output": "orders"}}
    nodes["take"] = {"function": same, "input": "orders", "contracts": {"inputs": {"orders": of(Row, "evolve")}}}
    with caplog.at_level(logging.INFO, "pipe_core.project"):
        result = Runner(make(nodes)).run("main")
    assert result["take"] == [{"id": 1}, {"id": 2, "note": "n"}]
    (note,) = result.nodes["take"].contracts
    assert (note.new_fields, note.discarded, result.nodes["take"].discarded) == (("note",), 0, {})
    assert any("new fields passed: note" in one.getMessage() for one in caplog.records)
    assert not any(one.levelno >= logging.WARNING for one in caplog.records)


@pytest.mark.parametrize("side", ["input", "output"])
def test_a_frozen_contract_fails_its_node(make: Make, side: str) -> None:
    with pytest.raises(RunFailedError) as caught:
        Runner(make(two(Order, "freeze", side))).run("main")
    error = caught.value.__cause__
    assert isinstance(error, ContractError)
    node = "take" if side == "input" else "give"
    assert (caught.value.node, error.node, error.position, error.field, error.value) == (node, node, 1, "id", "x")
    assert error.further == 1
    text = str(error)
    assert text.startswith(f"Node '{node}', its {side} 'orders': the record at position 1 is not as Order says: ")
    assert "the field 'id' is 'x': Input should be a valid integer" in text
    assert "1 more of the 4 records do not fit" in text


def test_nothing_is_stored_of_what_a_contract_refuses(make: Make, tmp_path: Path) -> None:
    nodes = two(Order, "freeze", "output")
    with pytest.raises(RunFailedError):
        Runner(make(nodes, {"orders": {"path": "orders.jsonl"}})).run("main")
    assert not (tmp_path / "orders.jsonl").exists()


def test_what_is_stored_is_what_came_through(make: Make, tmp_path: Path) -> None:
    project = make(two(Order, "discard_row", "output"), {"orders": {"path": "orders.jsonl"}})
    result = Runner(project).run("main")
    rows = [{"id": 1, "sku": "a"}, {"id": 4, "sku": "-"}]
    assert [json.loads(line) for line in (tmp_path / "orders.jsonl").read_text().splitlines()] == rows
    assert result["take"] == rows


def test_an_iterator_is_stored_as_it_comes(make: Make, tmp_path: Path) -> None:
    """No list is made of it: what is behind the first record that does not fit is never asked for."""
    asked = []

    def endless() -> Iterator[dict[str, Any]]:
        for number in range(1_000_000):
            asked.append(number)
            yield {"id": "bad" if number == 1500 else number}

    nodes = {"give": {"function": endless, "output": "orders", "contracts": {"outputs": {"orders": Row}}}}
    with pytest.raises(RunFailedError, match="position 1,500") as caught:
        Runner(make(nodes, {"orders": {"path": "orders.jsonl"}})).run("main")
    assert isinstance(caught.value.__cause__, ContractError)
    assert len(asked) < 5000
    assert not (tmp_path / "orders.jsonl").exists()


def test_an_iterator_that_is_stored_tells_what_was_discarded(make: Make, tmp_path: Path) -> None:
    contract = {"contracts": {"outputs": {"orders": of(Row, "discard_row")}}}
    nodes = {"give": {"function": lambda: iter(orders()), "output": "orders", **contract}}
    nodes["take"] = {"function": same, "input": "orders"}
    result = Runner(make(nodes, {"orders": {"path": "orders.jsonl"}})).run("main")
    assert result.nodes["give"].discarded == {"orders": 3}
    assert result["take"] == [{"id": 4}]


def test_each_output_has_its_own_contract_and_the_whole_result_holds_what_came_through(make: Make) -> None:
    contract = {"outputs": {"low": of(Row, "discard_row"), "high": of(Row, "discard_value")}}
    for given in (([{"id": "x"}], [{"id": "y"}]), {"high": [{"id": "y"}], "low": [{"id": "x"}]}):
        nodes = {
            "split": {"function": lambda given=given: given, "output": ["low", "high"], "contracts": contract},
            "take": {"function": same, "dependencies": ["split"]},
            "high": {"function": same, "input": ["high"]},
        }
        result = Runner(make(nodes)).run("main")
        assert result["take"] == (
            ([], [{"id": None}]) if isinstance(given, tuple) else {"low": [], "high": [{"id": None}]}
        )
        assert result["high"] == [{"id": None}]
        assert result.nodes["split"].discarded == {"low": 1, "high": 1}


def test_a_contract_of_an_input_alone_leaves_the_result_alone(make: Make) -> None:
    contract = {"inputs": {"give": of(Row, "discard_row")}}
    nodes = {
        "give": {"function": orders},
        "take": {"function": lambda rows: (len(rows), "text"), "dependencies": ["give"], "contracts": contract},
    }
    assert Runner(make(nodes)).run("main")["take"] == (1, "text")


def test_a_contract_of_nothing_is_refused_before_anything_runs(make: Make) -> None:
    ran = []
    nodes = {
        "give": {"function": lambda: ran.append(1), "output": "orders", "contracts": {"outputs": {"order": Row}}},
    }
    with pytest.raises(OptionsError, match=r"contract of the output 'order'.* Did you mean 'orders'"):
        Runner(make(nodes)).run("main")
    assert not ran


@pytest.mark.parametrize("executor", ["threads", "asyncio", "loky"])
def test_contracts_hold_on_every_executor(make: Make, executor: str) -> None:
    pytest.importorskip(f"pipe_{executor}")
    with Runner(make(two(Order, "discard_row", "input")), executor) as runner:
        result = runner.run("main")
        assert result["take"] == [{"id": 1, "sku": "a"}, {"id": 4, "sku": "-"}]
        assert result.nodes["take"].discarded == {"orders": 2}
    with Runner(make(two(Order, "freeze", "output")), executor) as runner, pytest.raises(RunFailedError) as caught:
        runner.run("main")
    error = caught.value.__cause__
    assert isinstance(error, ContractError)
    assert (error.node, error.position, error.field, error.value, error.further) == ("give", 1, "id", "x", 1)


async def _orders() -> list[dict[str, Any]]:
    return orders()


def test_an_async_node_has_its_contract(make: Make) -> None:
    contract = {"contracts": {"outputs": {"orders": of(Point, "discard_row")}}}
    result = Runner(make({"give": {"function": _orders, "output": "orders", **contract}})).run("main")
    assert result["give"] == [{"id": 4}]
    assert result.nodes["give"].discarded == {"orders": 3}


def test_a_resumed_run_tells_what_its_first_part_has_discarded(make: Make) -> None:
    fails = [True]

    def last(rows: Any) -> int:
        if fails:
            raise RuntimeError("not yet")
        return len(rows)

    nodes = two(Order, "discard_row", "output")
    nodes["take"]["function"] = last
    runner = Runner(make(nodes, {"orders": {"path": "orders.jsonl"}}))
    with pytest.raises(RunFailedError) as caught:
        runner.run("main")
    before = caught.value.result.nodes["give"]
    fails.clear()
    result = runner.resume(caught.value.result.run)
    assert result["take"] == 2
    assert result.nodes["give"].restored
    assert result.nodes["give"].contracts == before.contracts
    assert result.nodes["give"].discarded == {"orders": 2}


MODELS = """
import pyarrow

ORDER = pyarrow.schema([pyarrow.field("id", pyarrow.int64(), nullable=False)])

def give():
    return [{"id": "1"}, {"id": "x"}]

def take(rows):
    return rows
"""


@pytest.mark.parametrize("executor", ["sync", "loky"])
def test_a_schema_of_arrow_is_named_in_a_file_and_given_in_python(tmp_path: Path, executor: str) -> None:
    arrow = pytest.importorskip("pyarrow")
    if executor != "sync":
        pytest.importorskip(f"pipe_{executor}")
    (tmp_path / "contract_steps.py").write_text(MODELS, encoding="utf-8")
    text = """
        nodes:
          give: {function: contract_steps.give, output: rows}
          take:
            function: contract_steps.take
            input: rows
            contracts: {inputs: {rows: {schema: contract_steps.ORDER, policy: discard_row}}}
        pipelines: {main: [give, take]}
    """
    (tmp_path / "pipe.yaml").write_text(text, encoding="utf-8")
    with Runner(Project.load(tmp_path), executor) as runner:
        result = runner.run("main")
    assert (result["take"], result.nodes["take"].discarded) == ([{"id": 1}], {"rows": 1})
    schema = arrow.schema([("id", arrow.int64())])
    take = {"function": same, "contracts": {"inputs": {"give": schema}}, "dependencies": "give"}
    nodes = {"give": {"function": orders}, "take": take}
    project = Project.load({"nodes": nodes, "pipelines": {"main": ["give", "take"]}}, folder=tmp_path)
    with pytest.raises(RunFailedError, match="the field 'sku' is 'a': The schema has no such field"):
        Runner(project).run("main")


def test_what_is_done_under_another_contract_is_not_gone_on_with(make: Make) -> None:
    def last(rows: Any) -> int:
        raise RuntimeError("not yet")

    def runner(policy: str) -> Runner:
        nodes = two(Order, policy, "output")
        nodes["take"]["function"] = last
        return Runner(make(nodes, {"orders": {"path": "orders.jsonl"}}))

    with pytest.raises(RunFailedError) as caught:
        runner("discard_row").run("main")
    run = caught.value.result.run
    with pytest.raises(ResumeError, match="give"):
        runner("discard_value").resume(run)
    with pytest.raises(RunFailedError, match="not yet"):
        runner("discard_row").resume(run)
