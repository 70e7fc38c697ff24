"""The reference of the document of `tauro.exec`: every name is there under ours, takes what it takes, and does it."""

from __future__ import annotations

import inspect
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipe_core import Catalog, ExperimentCommand, MLNodeCommand, NodeCommand, OptionsError, Project, Runner, RunState
from pipe_core.project import dependencies, validation
from pipe_core.project.errors import DependencyCycleError, DependencyError, NodeResultError, RunFailedError
from pipe_core.project.experiments import OptimizerMissingError

START, END = "2025-01-01", "2025-01-31"

REFERENCE: list[tuple[Callable[..., Any], str]] = [
    (NodeCommand, "function, input_dfs, start_date, end_date, node_name"),
    (NodeCommand.execute, "self"),
    (
        MLNodeCommand,
        "function, input_dfs, start_date, end_date, node_name, model_version, hyperparams=None, node_config=None, "
        "pipeline_config=None, session=None",  # spark=None there
    ),
    (MLNodeCommand.execute, "self"),
    (ExperimentCommand, "objective_func, space, n_calls=20, random_state=None"),
    (ExperimentCommand.execute, "self"),
    (Runner.execute_single_node, "self, node_name, start_date, end_date, ml_info"),
    (Runner.execute_nodes_parallel, "self, execution_order, node_configs, dag, start_date, end_date, ml_info"),
    (dependencies.build_dependency_graph, "pipeline_nodes, node_configs"),
    (dependencies.topological_sort, "dag"),
    (dependencies.get_node_dependencies, "node_config"),
    (dependencies.extract_pipeline_nodes, "pipeline"),
    (dependencies.normalize_dependencies, "dependencies"),
    (dependencies.extract_dependency_name, "dependency"),
    (
        validation.validate_required_params,
        "pipeline_name, start_date, end_date, context_start_date, context_end_date",
    ),
    (validation.validate_pipeline_config, "pipeline"),
    (validation.validate_node_configs, "pipeline_nodes, node_configs"),
    (validation.validate_hybrid_pipeline, "pipeline, node_configs, format_policy=None"),
    (RunState, "circuit_breaker_threshold=3"),
    (Catalog.load, "self, name"),
    (Catalog.save, "self, name, value"),
    (Project.get_pipeline, "self, name"),
]


@pytest.mark.parametrize(("named", "documented"), REFERENCE, ids=lambda one: getattr(one, "__qualname__", ""))
def test_everything_takes_what_is_documented_in_that_order(named: Callable[..., Any], documented: str) -> None:
    mine = list(inspect.signature(named).parameters.values())
    theirs = documented.split(", ")
    for own, said in zip(mine, theirs, strict=False):
        name, has_default, default = said.partition("=")
        assert own.name == name
        assert own.kind is own.POSITIONAL_OR_KEYWORD
        if has_default:
            assert own.default == json.loads(default.replace("None", "null"))
    further = mine[len(theirs) :]
    assert len(mine) >= len(theirs)
    assert all(one.default is not one.empty for one in further), "what is documented is enough"


# --- the node executor ---


def made(folder: Path, nodes: dict[str, Any], catalog: dict[str, Any] | None = None) -> Project:
    whole = {"nodes": nodes, "catalog": catalog or {}, "pipelines": {"main": {"nodes": list(nodes)}}}
    return Project.load(whole, folder=folder)


def test_the_recommended_signature(tmp_path: Path) -> None:
    """`def my_node(*dfs, start_date, end_date, ml_context=None)`: with no input, one, and several."""

    def my_node(*dfs: Any, start_date: str, end_date: str, ml_context: dict[str, Any] | None = None) -> Any:
        return len(dfs), start_date, end_date, None if ml_context is None else ml_context["hyperparams"]

    one: dict[str, Any] = {"function": my_node}
    project = made(
        tmp_path, {"a": one, "b": {**one, "dependencies": "a"}, "c": {**one, "dependencies": ["a", {"b": {}}]}}
    )
    with Runner(project) as executor:
        result = executor.execute_nodes_parallel(["a", "b", "c"], None, None, START, END, {"hyperparams": {"k": 1}})
        assert [result[name][0] for name in "abc"] == [0, 1, 2]
        assert result["c"][1:] == (START, END, {"k": 1})
        assert executor.execute_single_node("a", START, END, {})["a"] == (0, START, END, None)


def test_what_is_passed_is_decided_by_the_signature_and_never_by_an_error(tmp_path: Path) -> None:
    """The document's fallback to "standard invocation" calls a function once, also where it raises a `TypeError`."""
    calls: list[str] = []

    def plain(*, start_date: str, end_date: str) -> str:
        calls.append("plain")
        return start_date

    def fails(*, start_date: str, end_date: str, ml_context: Any = None) -> None:
        calls.append("fails")
        raise TypeError("fails() got an unexpected keyword argument 'ml_context'")

    executor = Runner(made(tmp_path, {"plain": {"function": plain}, "fails": {"function": fails}}))
    info = {"model_version": "1", "hyperparams": {}, "pipeline_config": {}}
    assert executor.execute_single_node("plain", START, END, info)["plain"] == START
    with pytest.raises(RunFailedError) as raised:
        executor.execute_single_node("fails", START, END, info)
    assert type(raised.value.__cause__) is TypeError
    assert calls == ["plain", "fails"]


def test_the_first_failure_stops_what_has_not_begun_and_keeps_its_cause(tmp_path: Path) -> None:
    def fails(_: int) -> None:
        raise LookupError("no rows")

    nodes = {
        "good": {"function": lambda: 1},
        "bad": {"function": fails, "dependencies": "good"},
        "after": {"function": lambda one: one, "dependencies": "bad"},
    }
    executor = Runner(made(tmp_path, nodes))
    with pytest.raises(RunFailedError, match=r"Node 'bad' .* LookupError: no rows") as raised:
        executor.execute_nodes_parallel(list(nodes), None, None, START, END, {})
    assert isinstance(raised.value, RuntimeError)
    assert isinstance(raised.value.__cause__, LookupError)
    assert raised.value.result.statuses == {"good": "completed", "bad": "failed", "after": "skipped"}
    assert raised.value.result["good"] == 1
    assert executor.state is not None
    assert executor.state.get_pipeline_summary()["status_breakdown"] == {"completed": 1, "failed": 1, "skipped": 1}


def test_retries_and_breakers_are_part_of_every_run(tmp_path: Path) -> None:
    calls: list[int] = []

    def shaky() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise OSError("busy")
        return len(calls)

    nodes = {"shaky": {"function": shaky, "retries": {"attempts": 3, "delay": 0.001}, "breaker": {"failures": 9}}}
    result = Runner(made(tmp_path, nodes)).execute_single_node("shaky", START, END, {})
    assert (result["shaky"], result.nodes["shaky"].attempts) == (3, 3)


def test_any_result_will_do_and_lists_of_the_user_stay_full(tmp_path: Path) -> None:
    rows = [{"n": 1}]
    nodes = {
        "frame": {"function": lambda: rows, "output": "rows"},
        "number": {"function": lambda found: len(found), "dependencies": "frame"},
        "nothing": {"function": lambda found: None, "dependencies": "number"},
    }
    result = Runner(made(tmp_path, nodes, {"rows": "rows.jsonl"})).execute_nodes_parallel(
        list(nodes), None, None, START, END, {}
    )
    assert (result["frame"], result["number"], result["nothing"]) == ([{"n": 1}], 1, None)
    assert rows == [{"n": 1}]
    lost = Runner(made(tmp_path, {"lost": {"function": lambda: None, "output": "rows"}}, {"rows": "rows.jsonl"}))
    with pytest.raises(RunFailedError) as raised:
        lost.execute_single_node("lost", START, END, {})
    assert isinstance(raised.value.__cause__, NodeResultError)


def test_a_session_is_configured_for_nodes_of_machine_learning(tmp_path: Path) -> None:
    said: dict[str, str] = {}
    session = SimpleNamespace(conf=SimpleNamespace(set=said.__setitem__))
    nodes = {"train": {"function": lambda ml_context: ml_context["session"], "hyperparams": {"depth": 6}}}
    executor = Runner(made(tmp_path, nodes), session=session)
    assert executor.execute_single_node("train", START, END, {"hyperparams": {"rate": 0.1}})["train"] is session
    assert said == {"pipe.ml.depth": "6", "pipe.ml.rate": "0.1"}


def test_what_belongs_to_the_process_is_left_alone(tmp_path: Path) -> None:
    """Handlers of logs, standard output, the working folder and the path of modules."""

    def around() -> tuple[Any, ...]:
        loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
        handlers = {logger.name: list(logger.handlers) for logger in loggers if logger.handlers}
        return handlers, logging.root.level, sys.stdout, sys.stderr, os.getcwd(), list(sys.path)

    before = around()
    during: list[tuple[Any, ...]] = []
    nodes = {"look": {"function": lambda: during.append(around())}}
    Runner(made(tmp_path, nodes)).run("main")
    assert during == [before]
    assert around() == before


def test_nodes_that_nobody_names_do_not_run(tmp_path: Path) -> None:
    calls: list[int] = []
    executor = Runner(made(tmp_path, {"only": {"function": lambda: calls.append(1)}}))
    with pytest.raises(OptionsError, match="No node is named"):
        executor.execute_nodes_parallel([], None, {}, START, END, {})
    with pytest.raises(OptionsError, match="No node is named"):
        executor.run_nodes([])
    assert calls == []
    assert executor.run_nodes("only").statuses == {"only": "completed"}


# --- dependencies, validation ---


def test_a_circle_raises_a_clear_error() -> None:
    configs = {"a": {"dependencies": "b"}, "b": {"dependencies": {"a": {}}}}
    with pytest.raises(DependencyCycleError, match="a -> b -> a") as raised:
        dependencies.topological_sort(dependencies.build_dependency_graph(["a", "b"], configs))
    assert isinstance(raised.value, ValueError)
    assert raised.value.path == ("a", "b", "a")
    with pytest.raises(DependencyError, match="exactly one key"):
        dependencies.get_node_dependencies({"dependencies": {"a": {}, "b": {}}})


def test_required_parameters() -> None:
    check = validation.validate_required_params
    assert str(check("daily", START, END, None, None)) == f"{START}..{END}"
    assert str(check("daily", None, None, START, END)) == f"{START}..{END}"
    assert check("daily", requires_dates=False) is None
    for given, text in [
        (("", START, END), "Pipeline name is required"),
        (("daily", None, END), "Start date is required"),
        (("daily", START, None), "End date is required"),
        (("daily", END, START), "before it starts"),
        (("daily", "January", END), "no date"),
    ]:
        with pytest.raises(OptionsError, match=text):
            check(*given, None, None)


def test_a_hybrid_pipeline_is_reported_on() -> None:
    pipeline = {"nodes": ["prices", "sell"], "type": "hybrid"}
    configs: dict[str, Any] = {
        "prices": {"function": "m.f", "output": [{"format": "parquet", "path": "prices"}]},
        "sell": {
            "function": "m.g",
            "input": {"format": "kafka", "options": {"topic": "orders"}, "checkpoint_location": "here"},
            "output": {"format": "delta", "path": "sold"},
            "dependencies": ["prices"],
        },
    }
    report = validation.validate_hybrid_pipeline(pipeline, configs)
    assert set(report) == {
        "is_valid",
        "errors",
        "warnings",
        "batch_nodes",
        "streaming_nodes",
        "cross_dependencies",
        "format_compatibility",
        "resource_conflicts",
    }
    assert (report["batch_nodes"], report["streaming_nodes"]) == (["prices"], ["sell"])
    assert report["cross_dependencies"] == {"sell": ["prices"]}
    configs["prices"]["dependencies"] = "sell"
    assert not validation.validate_hybrid_pipeline(pipeline, configs)["is_valid"]
    assert not validation.validate_hybrid_pipeline({"nodes": ["other"]}, configs)["is_valid"]


# --- experiments ---


def test_an_experiment_gives_its_best_point_and_all_trials() -> None:
    def objective(point: list[float]) -> float:
        return (point[0] - 1) ** 2

    first, second = (
        ExperimentCommand(objective, [(-5.0, 5.0)], n_calls=20, random_state=0, optimizer="random").execute()
        for _ in range(2)
    )
    assert first.x == second.x  # 0 is a seed
    assert first.fun == min(trial.value for trial in first.trials) == objective(first.x)
    assert len(first.trials) == 20


def test_an_optimizer_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("skopt", "pipe_ml")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "skopt", None)
    calls: list[Any] = []
    command = ExperimentCommand(calls.append, [(0.0, 1.0)], optimizer="skopt")
    with pytest.raises(OptimizerMissingError, match="pip install"):
        command.execute()
    assert calls == []
