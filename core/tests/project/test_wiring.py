"""Where the arguments of nodes come from, and which nodes run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipe_core.kernel.errors import OptionsError
from pipe_core.project.config.models import DatasetConfig, NodeConfig
from pipe_core.project.errors import DependencyError, NodeNotFoundError
from pipe_core.project.project import Project
from pipe_core.project.wiring import Argument, Choice, Wiring, effective_nodes, select_nodes, wire


def nodes(**said: Mapping[str, Any]) -> dict[str, NodeConfig]:
    return {name: NodeConfig(name=name, function="m.f", **one) for name, one in said.items()}


def wired(
    said: Mapping[str, Mapping[str, Any]], stored: str = "", choice: Choice | None = None, **options: Any
) -> Wiring:
    catalog = {name: DatasetConfig(path=f"{name}.jsonl") for name in stored.split()}
    return wire(nodes(**said), catalog, choice, **options)


# --- arguments ---


def test_inputs_are_outputs_of_others_or_data_sets_in_their_order() -> None:
    found = wired(
        {
            "use": {"input": ["low", "raw", "both", "high"]},
            "split": {"input": "raw", "output": ["low", "high"]},
            "sum": {"output": "both"},
        },
        "raw high",
    )
    assert list(found.nodes) == ["split", "sum", "use"]
    use = found.nodes["use"]
    assert use.arguments == (
        Argument(node="split", index=0),
        Argument(dataset="raw"),
        Argument(node="sum"),
        Argument(node="split", index=1),
    )
    assert use.needs == ("split", "sum")
    split = found.nodes["split"]
    assert (split.outputs, split.stored) == (("low", "high"), ("high",))
    assert split.datasets == ("raw", "high")
    assert found.consumers() == {"split": 1, "sum": 1, "use": 0}
    assert [str(one) for one in use.arguments[:2]] == ["node 'split'", "data set 'raw'"]


def test_without_inputs_results_of_dependencies_are_handed_over_in_their_order() -> None:
    found = wired({"c": {"dependencies": ["b", {"a": {}}]}, "a": {"output": ["x", "y"]}, "b": {}}, "x y")
    assert found.nodes["c"].arguments == (Argument(node="b"), Argument(node="a"))


def test_with_inputs_a_dependency_is_only_waited_for() -> None:
    found = wired({"c": {"dependencies": "b", "input": "raw"}, "b": {}}, "raw")
    assert found.nodes["c"].arguments == (Argument(dataset="raw"),)
    assert found.nodes["c"].needs == ("b",)


def test_a_node_that_takes_its_own_output_loads_what_was_there() -> None:
    found = wired({"update": {"input": ["state", "new"], "output": "state"}}, "state new")
    assert found.nodes["update"].arguments == (Argument(dataset="state"), Argument(dataset="new"))
    assert found.nodes["update"].needs == ()


def test_what_is_described_in_place_gets_a_name_of_its_own() -> None:
    found = wired({"copy": {"input": [{"path": "in.csv"}], "output": ["raw", {"path": "out.csv"}]}}, "raw")
    assert found.nodes["copy"].arguments == (Argument(dataset="copy.input[0]"),)
    assert found.nodes["copy"].stored == ("raw", "copy.output[1]")
    assert found.datasets["copy.output[1]"].path == "out.csv"


def test_an_input_that_nobody_gives() -> None:
    with pytest.raises(DependencyError, match=r"'use' takes 'rwa', which is neither .* Did you mean 'raw'"):
        wired({"use": {"input": "rwa"}}, "raw")
    told: list[tuple[str, str]] = []
    found = wired(
        {"use": {"input": "rwa"}, "fine": {"input": "raw"}, "own": {"input": "own", "output": "own"}},
        "raw",
        wrong=lambda name, error: told.append((name, type(error).__name__)),
    )
    assert told == [("use", "DependencyError"), ("own", "DependencyError")]
    assert list(found.nodes) == ["fine"]


# --- some of the nodes ---

CHAIN: dict[str, dict[str, Any]] = {
    "a": {"output": ["x", "y"], "tags": ["in"]},
    "b": {"input": "x", "output": "z", "tags": ["mid"]},
    "c": {"dependencies": ["b"], "tags": ["mid", "out"]},
    "side": {"dependencies": ["a"]},
}
GRAPH: dict[str, set[str]] = {"a": {"b", "side"}, "b": {"c"}, "c": set(), "side": set()}


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        (Choice(), ["a", "b", "c", "side"]),
        (Choice(nodes=("side", "a")), ["a", "side"]),
        (Choice(start_from=("b",)), ["b", "c"]),
        (Choice(up_to=("b",)), ["a", "b"]),
        (Choice(start_from=("b", "side")), ["b", "c", "side"]),
        (Choice(start_from=("a",), up_to=("c",)), ["a", "b", "c"]),
        (Choice(tags=("mid",)), ["b", "c"]),
        (Choice(tags=("in", "out")), ["a", "c"]),
        (Choice(nodes=("a", "b"), tags=("mid",)), ["b"]),
    ],
)
def test_all_conditions_hold_for_what_is_chosen(choice: Choice, names: list[str]) -> None:
    assert select_nodes(GRAPH, nodes(**CHAIN), choice) == names


@pytest.mark.parametrize(
    ("choice", "kind", "text"),
    [
        (Choice(nodes=("x",)), NodeNotFoundError, "no node 'x'"),
        (Choice(up_to=("sid",)), NodeNotFoundError, "mean 'side'"),
        (Choice(tags=("midd",)), OptionsError, "tag 'midd'. Did you mean 'mid'. Tags that there are: in, mid, out"),
        (Choice(nodes=("side",), up_to=("b",)), OptionsError, "conditions exclude each other"),
    ],
)
def test_choices_that_there_are_not(choice: Choice, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        select_nodes(GRAPH, nodes(**CHAIN), choice)


def test_what_does_not_run_is_loaded() -> None:
    found = wired(CHAIN, "x z", Choice(start_from=("b",)))
    assert found.nodes["b"].arguments == (Argument(dataset="x"),)
    assert (found.nodes["b"].needs, found.nodes["c"].needs) == ((), ("b",))
    assert found.left_out == ("a", "side")
    assert wired(CHAIN, "z", Choice(nodes=("c",))).nodes["c"].arguments == (Argument(dataset="z"),)


def test_what_does_not_run_and_is_stored_nowhere() -> None:
    with pytest.raises(DependencyError, match="'b' takes 'x', which node 'a' gives: that one does not run"):
        wired(CHAIN, "", Choice(nodes=("b",)))
    with pytest.raises(DependencyError, match="result of 'b', which does not run and has no single output"):
        wired(CHAIN, "", Choice(nodes=("c",)))
    with pytest.raises(DependencyError, match="result of 'a', which does not run and has no single output"):
        wired(CHAIN, "x y", Choice(nodes=("side",)))  # it has two


def test_what_was_kept_of_an_earlier_part_is_taken_first() -> None:
    found = wired(CHAIN, "z", selected=["b", "c", "side"], kept=["a"])
    assert found.nodes["b"].arguments == (Argument(index=0, kept="a"),)
    assert found.nodes["side"].arguments == (Argument(kept="a"),)
    found = wired(CHAIN, "x z", selected=["b", "c"], kept=["a"])
    assert found.nodes["b"].arguments == (Argument(index=0, dataset="x", kept="a"),)
    assert found.nodes["c"].arguments == (Argument(node="b"),)


# --- what a pipeline says of its nodes ---


def test_a_pipeline_says_what_is_otherwise_with_its_nodes(tmp_path: Path) -> None:
    whole = {
        "nodes": {
            "a": {"function": len, "retries": 1, "timeout": 9},
            "b": {"function": len, "tags": ["x"]},
        },
        "pipelines": {
            "plain": ["a", "b"],
            "other": {"nodes": [{"b": {"timeout": 5}}, "a"], "retries": 7, "timeout": 3},
        },
    }
    project = Project.load(whole, folder=tmp_path)
    plain = effective_nodes(project, project.get_pipeline("plain"))
    assert (plain["a"], plain["b"]) == (project.nodes["a"], project.nodes["b"])
    other = effective_nodes(project, project.get_pipeline("other"))
    assert list(other) == ["b", "a"]
    assert (other["a"].retries, other["a"].timeout) == (1, 9)
    assert (other["b"].retries, other["b"].timeout, other["b"].tags) == (7, 5, ("x",))
