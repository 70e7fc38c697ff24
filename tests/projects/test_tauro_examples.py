"""The examples of the document of `tauro.exec`, with our names, on records and on tables of Arrow.

`Context` is `Project`; `InputLoader` and `OutputManager` are its catalog; `NodeExecutor` is `Runner`;
`DependencyResolver` and the utilities are functions of `pipe_core.project.dependencies`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from pipe_core import Catalog, Project, Runner, RunState
from pipe_core.project.dependencies import (
    build_dependency_graph,
    extract_pipeline_nodes,
    get_node_dependencies,
    topological_sort,
)
from pipe_core.project.errors import NodeNotFoundError, RunFailedError
from pipe_core.project.state import NodeStatus
from pipe_core.project.validation import validate_node_configs, validate_pipeline_config, validate_required_params

NODES = """
nodes:
  extract:
    function: "my_pkg.etl.extract"
    input: ["src_raw"]
    output: ["bronze.events"]

  transform:
    function: "my_pkg.etl.transform"
    dependencies: ["extract"]
    output: ["silver.events"]

  train_model:
    function: "my_pkg.ml.train"
    dependencies:
      - transform
    hyperparams:
      learning_rate: 0.01
      max_depth: 6
"""
"""The nodes as the document has them, under the key of a project's file."""

PROJECT = """
project: {{name: seed, start_date: 2025-01-01, end_date: 2025-01-31}}
include: [conf/nodes_config.yml]
catalog:
  src_raw: raw/events.csv
  bronze.events: {{path: lake/bronze/events.{suffix}}}
  silver.events: {{path: lake/silver/events.{suffix}}}
pipelines:
  daily_pipeline: {{nodes: [train_model, transform, extract]}}
"""

OF_ARROW = """
import pyarrow as pa
import pyarrow.compute as pc

def extract(raw):
    return pa.Table.from_pylist(raw)

def transform(df_events, *, start_date: str, end_date: str, ml_context=None):
    # df_events is first input
    out = df_events.filter((pc.field("date") >= start_date) & (pc.field("date") <= end_date))
    if ml_context:
        # optional: leverage hyperparams or metadata
        hp = ml_context.get("hyperparams", {})
        out = out.append_column("hp_max_depth", pa.array([hp.get("max_depth", None)] * len(out), pa.int64()))
    return out
"""

OF_RECORDS = """
def extract(raw):
    return raw

def transform(df_events, *, start_date: str, end_date: str, ml_context=None):
    # df_events is first input
    out = [row for row in df_events if start_date <= row["date"] <= end_date]
    if ml_context:
        # optional: leverage hyperparams or metadata
        hp = ml_context.get("hyperparams", {})
        out = [{**row, "hp_max_depth": hp.get("max_depth", None)} for row in out]
    return out
"""

ML = """
def train(*dfs, start_date: str, end_date: str, ml_context: dict | None = None):
    # dfs: 0..N input DataFrames in configured order
    # start_date/end_date: ISO strings passed by the executor (keyword args)
    # ml_context (optional for ML nodes): hyperparams, spark, execution metadata, etc.
    model = {"rows": [len(df) for df in dfs], "window": (start_date, end_date)}
    if ml_context:
        model.update(ml_context)
    return model
"""

RAW = "id,date\n1,2024-12-31\n2,2025-01-01\n3,2025-01-15\n4,2025-01-31\n5,2025-02-01\n"


class Seed(NamedTuple):
    """A project as the document describes it."""

    project: Project
    executor: Runner
    catalog: Catalog

    def rows(self, name: str) -> list[dict[str, Any]]:
        found = self.catalog.load(name)
        return found.to_pylist() if isinstance(found, pa.Table) else found


@pytest.fixture(params=["records", "arrow"])
def seed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Seed]:
    for path, text in {
        "pipe.yaml": PROJECT.format(suffix="jsonl" if request.param == "records" else "parquet"),
        "conf/nodes_config.yml": NODES,
        "raw/events.csv": RAW,
        "my_pkg/__init__.py": "",
        "my_pkg/etl.py": OF_RECORDS if request.param == "records" else OF_ARROW,
        "my_pkg/ml.py": ML,
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    # `Context(...)`, and what the document makes of it.
    project = Project.load(tmp_path)
    with Runner(project, executor="threads", max_workers=4) as executor:
        yield Seed(project, executor, project.catalog)


def is_arrow(seed: Seed) -> bool:
    return seed.project.datasets["silver.events"].path.endswith("parquet")


def test_the_node_configuration(seed: Seed) -> None:
    """Example "Node Configuration"."""
    nodes = seed.project.nodes
    assert list(nodes) == ["extract", "transform", "train_model"]
    assert (nodes["extract"].input, nodes["extract"].output) == (("src_raw",), ("bronze.events",))
    assert get_node_dependencies(nodes["train_model"]) == ["transform"]
    assert nodes["train_model"].hyperparams == {"learning_rate": 0.01, "max_depth": 6}
    assert seed.project.function("transform").__module__ == "my_pkg.etl"


def test_executing_a_single_node(seed: Seed) -> None:
    """Examples 1 and 2: a function with keyword-only dates, run by itself and told of hyperparameters."""
    seed.executor.execute_single_node("extract", "2025-01-01", "2025-01-31", {})
    ml_info = {
        "model_version": "1.0.0",
        "hyperparams": {"max_depth": 6},
        "pipeline_config": {},
    }

    result = seed.executor.execute_single_node(
        node_name="transform",
        start_date="2025-01-01",
        end_date="2025-01-31",
        ml_info=ml_info,
    )

    rows = seed.rows("silver.events")
    assert [row["date"] for row in rows] == ["2025-01-01", "2025-01-15", "2025-01-31"]
    assert {row["hp_max_depth"] for row in rows} == {6}
    assert isinstance(result["transform"], pa.Table if is_arrow(seed) else list)
    assert result.statuses == {"transform": "completed"}
    assert ml_info == {"model_version": "1.0.0", "hyperparams": {"max_depth": 6}, "pipeline_config": {}}
    assert not seed.executor.runs.exists()


def test_building_and_executing_a_small_pipeline(seed: Seed) -> None:
    """Example 3: the order of a pipeline, and its nodes one after the other."""
    context, executor = seed.project, seed.executor
    pipeline = context.get_pipeline("daily_pipeline")
    node_configs = context.nodes

    # Extract node names
    pipeline_nodes = extract_pipeline_nodes(pipeline)

    # Build DAG and order
    dag = build_dependency_graph(pipeline_nodes, node_configs)
    order = topological_sort(dag)
    assert dag == {"train_model": set(), "transform": {"train_model"}, "extract": {"transform"}}
    assert order == ["extract", "transform", "train_model"]

    # Execute nodes in order
    for node_name in order:
        result = executor.execute_single_node(
            node_name=node_name,
            start_date=context.settings.start_date or "2025-01-01",
            end_date=context.settings.end_date or "2025-01-31",
            ml_info={},
        )
    assert result["train_model"] == {"rows": [3], "window": ("2025-01-01", "2025-01-31")}
    assert len(seed.rows("bronze.events")) == 5
    assert len(seed.rows("silver.events")) == 3
    assert "hp_max_depth" not in seed.rows("silver.events")[0]


def test_executing_nodes_in_parallel(seed: Seed) -> None:
    """What example 3 points to: all of them at once, each as soon as it may. And the same as a run of the pipeline."""
    names = extract_pipeline_nodes(seed.project.get_pipeline("daily_pipeline"))
    dag = build_dependency_graph(names, seed.project.nodes)
    order = topological_sort(dag)
    result = seed.executor.execute_nodes_parallel(order, seed.project.nodes, dag, "2025-01-15", "2025-01-31", {})
    assert result.statuses == dict.fromkeys(order, "completed")
    assert result["train_model"] == {"rows": [2], "window": ("2025-01-15", "2025-01-31")}
    assert isinstance(result["transform"], pa.Table if is_arrow(seed) else list)
    state = seed.executor.state
    assert state is not None
    assert state.get_node_status("extract") is NodeStatus.COMPLETED  # still there after the run

    again = seed.executor.run("daily_pipeline", start_date="2025-01-15", end_date="2025-01-31")
    assert again["train_model"] == result["train_model"]
    assert seed.executor.run("daily_pipeline")["train_model"]["window"] == ("2025-01-01", "2025-01-31")


def test_a_node_of_machine_learning_with_hyperparameters(seed: Seed) -> None:
    """Example 4: what the caller says wins over what the node says."""
    executor = seed.executor
    for node_name in ("extract", "transform"):
        executor.execute_single_node(node_name, "2025-01-01", "2025-01-31", {})
    ml_info = {
        "model_version": "2.1.0",
        "hyperparams": {
            "learning_rate": 0.05,
            "max_depth": 8,
        },
        "pipeline_config": {"model_name": "gbt_classifier", "metrics": ["auc", "f1"]},
    }

    result = executor.execute_single_node("train_model", "2025-01-01", "2025-01-31", ml_info)

    model = result["train_model"]
    assert model["rows"] == [3]
    assert model["model_version"] == "2.1.0"
    assert model["hyperparams"] == {"learning_rate": 0.05, "max_depth": 8}
    assert model["node_config"]["hyperparams"] == {"learning_rate": 0.01, "max_depth": 6}
    assert model["pipeline_config"]["model_name"] == "gbt_classifier"
    assert list(model["pipeline_config"]["metrics"]) == ["auc", "f1"]
    assert model["execution_metadata"]["status"] == "success"
    assert model["execution_metadata"]["duration_seconds"] >= 0

    alone = executor.execute_single_node("train_model", "2025-01-01", "2025-01-31", {"hyperparams": {"seed": 0}})
    assert alone["train_model"]["hyperparams"] == {"learning_rate": 0.01, "max_depth": 6, "seed": 0}


def test_what_the_document_says_of_errors(seed: Seed) -> None:
    """Section "Logging and Error Handling": explicit errors, and what went before them stays."""
    with pytest.raises(NodeNotFoundError, match=r"no node 'transfrom'\. Did you mean 'transform'"):
        seed.executor.execute_single_node("transfrom", "2025-01-01", "2025-01-31", {})
    configs = {
        **seed.project.nodes,
        "save": {"function": lambda rows: None, "input": "src_raw", "output": "bronze.events"},
    }
    with pytest.raises(RunFailedError, match=r"gave None for its output 'bronze\.events'") as raised:
        seed.executor.execute_nodes_parallel(["save"], configs, None, "2025-01-01", "2025-01-31", {})
    assert raised.value.node == "save"
    assert not seed.catalog.exists("bronze.events")
    (seed.project.folder / "raw" / "events.csv").unlink()
    with pytest.raises(RunFailedError, match="src_raw") as raised:
        seed.executor.execute_single_node("extract", "2025-01-01", "2025-01-31", {})
    assert isinstance(raised.value.__cause__, FileNotFoundError)


def test_what_the_document_validates(seed: Seed) -> None:
    """Section "Pipeline Validation" on the same project."""
    settings = seed.project.settings
    window = validate_required_params("daily_pipeline", None, None, settings.start_date, settings.end_date)
    assert str(window) == "2025-01-01..2025-01-31"
    pipeline = seed.project.get_pipeline("daily_pipeline")
    validate_pipeline_config(pipeline)
    validate_node_configs(extract_pipeline_nodes(pipeline), seed.project.nodes)


def test_the_state_of_the_pipeline_by_hand(seed: Seed) -> None:
    """Section "Unified Pipeline State": an orchestrator of one's own, with what the state says may start."""
    configs = seed.project.nodes
    state = RunState(circuit_breaker_threshold=3)
    for name in extract_pipeline_nodes(seed.project.get_pipeline("daily_pipeline")):
        state.register_node(name, "batch", get_node_dependencies(configs[name]))
    while ready := state.get_ready_nodes():
        for name in ready:
            assert state.start_node_execution(name)
            found = seed.executor.execute_single_node(name, "2025-01-01", "2025-01-31", {})
            state.complete_node_execution(name, found.nodes[name].outputs)
    assert state.get_pipeline_summary()["status_breakdown"] == {"completed": 3}
    assert state.get_batch_output_path("transform") == ("silver.events",)


def test_a_node_starts_when_its_own_dependencies_are_done(tmp_path: Path) -> None:
    """Not when all that ran beside them are: `slow` ends only after `next` has run."""
    went_on = threading.Event()

    def slow() -> bool:
        return went_on.wait(20)

    nodes = {
        "quick": {"function": lambda: 1},
        "slow": {"function": slow},
        "next": {"function": lambda one: went_on.set(), "dependencies": "quick"},
    }
    whole = {"nodes": nodes, "pipelines": {"main": list(nodes)}}
    with Runner(Project.load(whole, folder=tmp_path), "threads", 2) as executor:
        assert executor.execute_nodes_parallel(list(nodes), None, None, "2025-01-01", "2025-01-31", {})["slow"] is True


@pytest.mark.parametrize("suffix", ["parquet", "delta", "json", "csv", "orc", "jsonl", "feather", "avro"])
def test_supported_batch_outputs(suffix: str, tmp_path: Path) -> None:
    """The formats of the document, of which Kafka's is shown by its own package."""
    if suffix == "delta":
        pytest.importorskip("pipe_delta")
    table = pa.table({"id": [1, 2, 3], "name": ["a", None, "c"]})
    whole: dict[str, Any] = {
        "catalog": {"out": f"out.{suffix}"},
        "nodes": {
            "make": {"function": lambda: table.to_pylist() if suffix.startswith("json") else table, "output": "out"},
            "count": {"function": len, "dependencies": "make"},
        },
        "pipelines": {"main": ["make", "count"]},
    }
    result = Runner(Project.load(whole, folder=tmp_path)).run("main")
    assert result["count"] == 3
    found = result["make"]
    rows = found.to_pylist() if isinstance(found, pa.Table) else found
    if suffix == "csv":
        assert [row["id"] for row in rows] == ["1", "2", "3"]
    else:
        assert rows == table.to_pylist()
