"""Pipelines of batch nodes and streams: the report on them, in the two ways in which a stream is said."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipe_core.project.config.models import DatasetConfig, NodeConfig, PipelineConfig
from pipe_core.project.validation import FormatPolicy, validate_hybrid_pipeline

KEYS = {
    "is_valid",
    "errors",
    "warnings",
    "batch_nodes",
    "streaming_nodes",
    "cross_dependencies",
    "format_compatibility",
    "resource_conflicts",
}


def stream(kind: str = "file_stream", path: str = "lake/events", **more: Any) -> dict[str, Any]:
    """A stream as the seed says one: its input is a mapping with a format of streams."""
    options = {"path": path, "checkpoint_location": "checkpoints/one"}
    return {
        "function": "shop.live.follow",
        "input": {"format": kind, "options": options},
        "output": {"format": "console", "path": "out"},
        "dependencies": ["extract"],
        **more,
    }


def batch(kind: str = "parquet", path: str | None = "lake/events", **more: Any) -> dict[str, Any]:
    output = {"format": kind} if path is None else {"format": kind, "path": path}
    return {"function": "shop.etl.extract", "output": output, **more}


def report_of(nodes: dict[str, Any], policy: Any = None, catalog: Any = None) -> dict[str, Any]:
    report = validate_hybrid_pipeline({"nodes": list(nodes), "type": "hybrid"}, nodes, policy, catalog=catalog)
    assert set(report) == KEYS
    assert report["is_valid"] is not bool(report["errors"])
    return report


def test_a_stream_that_goes_on_from_a_batch() -> None:
    report = report_of({"extract": batch(), "live": stream()})
    assert report == {
        "is_valid": True,
        "errors": [],
        "warnings": [],
        "batch_nodes": ["extract"],
        "streaming_nodes": ["live"],
        "cross_dependencies": {"live": ["extract"]},
        "format_compatibility": [
            {
                "batch_node": "extract",
                "streaming_node": "live",
                "batch_format": "parquet",
                "streaming_format": "file_stream",
                "compatible": True,
            }
        ],
        "resource_conflicts": [],
    }


def test_outputs_may_be_lists_names_and_models() -> None:
    listed = {**batch(), "output": [{"format": "parquet", "path": "lake/events"}, "totals"]}
    assert report_of({"extract": listed, "live": stream()})["is_valid"]
    catalog = {
        "events": DatasetConfig(path="lake/events.jsonl"),
        "alerts": {"format": "sql", "path": "sqlite:///a.db?table=alerts"},
    }
    nodes = {
        "extract": NodeConfig(name="extract", function="a.b", output="events"),
        "live": NodeConfig(name="live", function="a.c", input="events", output="alerts", streaming=True),
    }
    pipeline = PipelineConfig(name="live", nodes=("extract", "live"), type="hybrid")
    report = validate_hybrid_pipeline(pipeline, nodes, catalog=catalog)
    assert report["errors"] == []
    assert report["cross_dependencies"] == {"live": ["extract"]}
    (pair,) = report["format_compatibility"]
    assert (pair["batch_format"], pair["streaming_format"], pair["compatible"]) == ("jsonl", "jsonl", True)


def _without(config: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name != key}


@pytest.mark.parametrize(
    ("nodes", "text"),
    [
        ({"extract": batch("delta"), "live": stream()}, "batch node 'extract' writes delta, and .* reads file_stream"),
        ({"extract": _without(batch(), "output"), "live": stream()}, "which stores nothing"),
        ({"extract": batch(path=None), "live": stream()}, "which stores nothing"),
        ({"extract": batch(), "live": _without(stream(), "output")}, "'live' has no output"),
        ({"extract": batch(), "live": {**stream(streaming=True), "input": {"path": "x"}}}, "input without a format"),
        (
            {"live": {**stream("kafka"), "input": {"format": "kafka", "options": {}}, "dependencies": []}},
            "reads kafka and does not say where it keeps how far it is",
        ),
        (
            {"extract": {**batch(), "dependencies": ["live"]}, "live": {**stream(), "dependencies": []}},
            "Batch node 'extract' depends on the streaming node 'live'",
        ),
        ({"extract": batch("xlsx"), "live": stream()}, "of the format 'xlsx', which is none"),
        ({"extract": batch(), "live": {**stream(), "output": {"format": "orcish", "path": "x"}}}, "format 'orcish'"),
        ({"extract": batch(dependencies=["live"]), "live": stream()}, "circle"),
        ({"extract": batch(), "live": stream(dependencies=["extrakt"])}, "depends on 'extrakt'"),
        ({"extract": None}, "Missing node configurations: extract"),
    ],
)
def test_what_cannot_run_is_an_error(nodes: dict[str, Any], text: str) -> None:
    report = report_of(nodes)
    assert not report["is_valid"]
    assert any(re.search(text, one) for one in report["errors"]), report["errors"]


@pytest.mark.parametrize(
    ("where", "needed"),
    [
        ({"input": {"format": "kafka", "checkpoint_location": "c"}}, False),
        ({"input": {"format": "kafka", "options": {"checkpointLocation": "c"}}}, False),
        ({"output": {"format": "console", "options": {"checkpoint_location": "c"}}}, False),
        ({"streaming": {"checkpoint_location": "c"}}, False),
        ({"streaming": True}, False),
        ({}, True),
    ],
)
def test_where_a_stream_says_how_far_it_is(where: dict[str, Any], needed: bool) -> None:
    plain = {"function": "a.b", "input": {"format": "kafka"}, "output": {"format": "console"}}
    report = report_of({"live": {**plain, **where}})
    assert any("how far it is" in one for one in report["errors"]) is needed


def test_two_nodes_that_write_the_same_are_a_conflict() -> None:
    nodes = {
        "one": batch(path="./lake/a/"),
        "two": {"function": "a.b", "output": [{"format": "csv", "path": "lake/a"}]},
        "three": {"function": "a.b", "output": {"format": "kafka", "options": {"topic": "t"}}},
        "four": {"function": "a.b", "output": {"format": "kafka", "topic": "t"}},
        "table": {"function": "a.b", "output": {"format": "sql", "path": "db", "options": {"table": "x"}}},
        "other": {"function": "a.b", "output": {"format": "sql", "path": "db", "options": {"table": "y"}}},
    }
    report = report_of(nodes)
    assert report["is_valid"]
    assert report["resource_conflicts"] == [
        {"kind": "writes", "resource": "path lake/a", "nodes": ["one", "two"]},
        {"kind": "writes", "resource": "topic t", "nodes": ["three", "four"]},
    ]
    assert len(report["warnings"]) == 2


def test_a_node_that_reads_where_another_writes_needs_an_edge_between_them() -> None:
    def nodes(**more: Any) -> dict[str, Any]:
        return {
            "write": batch(path="lake/a"),
            "between": {"function": "a.b", "dependencies": ["write"]},
            "read": {"function": "a.b", "input": [{"format": "parquet", "path": "lake/a"}], **more},
        }

    (conflict,) = report_of(nodes())["resource_conflicts"]
    assert conflict == {"kind": "order", "resource": "path lake/a", "nodes": ["write", "read"]}
    assert report_of(nodes(dependencies=["write"]))["resource_conflicts"] == []
    assert report_of(nodes(dependencies=["between"]))["resource_conflicts"] == []


def test_a_path_that_a_stream_does_not_read_is_a_warning() -> None:
    report = report_of({"extract": batch(path="lake/other"), "live": stream()})
    assert report["is_valid"]
    assert "writes to 'lake/other'" in report["warnings"][0]
    assert report_of({"extract": batch(path="lake/events/today"), "live": stream()})["warnings"] == []


def test_a_policy_of_formats_can_be_otherwise() -> None:
    nodes = {"extract": batch("delta"), "live": stream()}
    assert not report_of(nodes)["is_valid"]
    assert report_of(nodes, {"compatible": {"delta": ["file_stream"]}})["is_valid"]
    assert report_of(nodes, FormatPolicy(compatible={"delta": frozenset({"file_stream"})}))["is_valid"]
    strict = report_of({"extract": batch(), "live": stream()}, {"batch_outputs": ["delta"]})
    assert "of the format 'parquet', which is none" in strict["errors"][0]
    own = report_of(
        {"live": {**stream("satellite"), "dependencies": []}},
        {"streaming_inputs": ["satellite"], "checkpoint_required": "satellite"},
    )
    assert (own["is_valid"], own["streaming_nodes"]) == (True, ["live"])
    assert report_of({"live": {**stream("satellite"), "dependencies": []}})["streaming_nodes"] == []
    misspelt = report_of(nodes, {"compatibel": {}})
    assert "Did you mean 'compatible'" in misspelt["errors"][0]


WORDS = ("format", "path", "options", "input", "output", "dependencies", "streaming", "nodes", "a", "b", "kafka", "")
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


@given(pipeline=ODD | st.fixed_dictionaries({"nodes": ODD}), nodes=ODD | st.dictionaries(st.sampled_from("ab"), ODD))
def test_whatever_is_given_nothing_is_raised(pipeline: Any, nodes: Any) -> None:
    report = validate_hybrid_pipeline(pipeline, nodes)
    assert set(report) == KEYS
    assert report["is_valid"] is not bool(report["errors"])


@given(name=st.sampled_from(["a", "b"]), config=ODD)
def test_whatever_a_node_says_nothing_is_raised(name: str, config: Any) -> None:
    report = validate_hybrid_pipeline({"nodes": ["a", "b"]}, {"a": batch(), "b": stream(), name: config})
    assert set(report) == KEYS
