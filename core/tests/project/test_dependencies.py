"""Who needs whom: all shapes in which it can be said, orders that never change, circles that are named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipe_core.project.config.models import NodeConfig
from pipe_core.project.dependencies import (
    build_dependency_graph,
    extract_dependency_name,
    extract_pipeline_nodes,
    get_node_dependencies,
    needed_by_each,
    normalize_dependencies,
    topological_sort,
)
from pipe_core.project.errors import DependencyCycleError, DependencyError, DependencyTypeError, NodeNotFoundError

# --- what is said ---


@pytest.mark.parametrize(
    ("said", "entries", "names"),
    [
        (None, [], []),
        ("a", ["a"], ["a"]),
        ({"a": {}}, ["a"], ["a"]),
        ([], [], []),
        (["a", {"b": {"why": 1}}, "a"], ["a", {"b": {"why": 1}}, "a"], ["a", "b"]),
    ],
)
def test_all_shapes_of_dependencies(said: Any, entries: list[Any], names: list[str]) -> None:
    found = normalize_dependencies(said)
    assert found == entries
    assert found is not said
    assert get_node_dependencies({"dependencies": said}) == names
    assert get_node_dependencies(NodeConfig(name="n", function="m.f", dependencies=said)) == names


@pytest.mark.parametrize(
    ("said", "kind", "text"),
    [
        ({"a": {}, "b": {}}, DependencyError, "exactly one key.*this one has a, b.*as a list"),
        ({}, DependencyError, "this one has none"),
        (["a", None], DependencyError, "cannot be None"),
        (["a", {"b": 1, "c": 2}], DependencyError, "this one has b, c"),
        ([""], DependencyError, "not an empty text"),
        ("", DependencyError, "not an empty text"),
        (("a", "b"), DependencyTypeError, r"not tuple \('a', 'b'\)"),
        ({"a"}, DependencyTypeError, "not set"),
        (7, DependencyTypeError, "not int 7"),
        ([7], DependencyTypeError, "not int 7"),
        ([["a"]], DependencyTypeError, "not list"),
        ({1: {}}, DependencyTypeError, "not int 1"),
    ],
)
def test_what_are_no_dependencies(said: Any, kind: type[Exception], text: str) -> None:
    for read in (normalize_dependencies, lambda one: get_node_dependencies({"dependencies": one})):
        with pytest.raises(kind, match=text) as raised:
            read(said)
        assert isinstance(raised.value, ValueError)
        assert isinstance(raised.value, TypeError) == (kind is DependencyTypeError)


def test_the_name_in_one_entry() -> None:
    assert extract_dependency_name("a") == extract_dependency_name({"a": None}) == "a"
    with pytest.raises(DependencyError, match="None"):
        extract_dependency_name(None)


def test_the_nodes_of_a_pipeline_in_all_shapes() -> None:
    nodes = ["a", {"b": {"timeout": 3}}, {"name": "c", "timeout": 3}, {"name": "d"}, {"name": {"timeout": 3}}]
    assert extract_pipeline_nodes({"nodes": nodes}) == ["a", "b", "c", "d", "name"]
    assert extract_pipeline_nodes({}) == extract_pipeline_nodes({"nodes": None}) == []
    for wrong in (None, 3, "", {}, {"a": 1, "b": 2}):
        with pytest.raises(DependencyError, match="A node of a pipeline is its name"):
            extract_pipeline_nodes({"nodes": ["a", wrong]})
    for wrong in ("load", {"load": {}}, 3):
        with pytest.raises(DependencyTypeError, match="are a list of names"):
            extract_pipeline_nodes({"nodes": wrong})


# --- the graph ---


def test_for_each_node_those_that_need_it() -> None:
    configs = {"b": {"dependencies": "a"}, "a": {}, "c": {"dependencies": ["a", {"b": {}}]}, "alone": {}}
    graph = build_dependency_graph(["a", "b", "c", "alone"], configs)
    assert graph == {"a": {"b", "c"}, "b": {"c"}, "c": set(), "alone": set()}
    assert list(graph) == ["a", "b", "c", "alone"]


def test_an_input_that_another_node_gives_is_a_dependency() -> None:
    configs = {
        "sum": {"input": ["rows", "raw", {"path": "x.csv"}], "dependencies": "check"},
        "check": {},
        "read": {"input": "raw", "output": ["rows", {"path": "y.csv"}]},
        "update": {"input": "state", "output": "state"},  # its own output is what it read before
    }
    needs = needed_by_each(list(configs), configs)
    assert needs == {"sum": ["check", "read"], "check": [], "read": [], "update": []}


def test_a_node_that_is_not_there_is_named_with_the_one_that_needs_it() -> None:
    with pytest.raises(DependencyError, match=r"'load' depends on 'extrat', which is not in .* mean 'extract'"):
        build_dependency_graph(["extract", "load"], {"extract": {}, "load": {"dependencies": "extrat"}})
    with pytest.raises(NodeNotFoundError, match=r"no node 'lod'\. Did you mean 'load'") as raised:
        build_dependency_graph(["lod"], {"load": {}})
    assert (raised.value.node, raised.value.available) == ("lod", ("load",))
    with pytest.raises(NodeNotFoundError, match=r"n9, ... \(30 in all\)"):
        build_dependency_graph(["x"], {f"n{i}": {} for i in range(30)})


def test_one_node_makes_an_output() -> None:
    with pytest.raises(DependencyError, match="'a' and 'b' both have the output 'rows'"):
        build_dependency_graph(["a", "b"], {"a": {"output": "rows"}, "b": {"output": ["rows"]}})


# --- the order ---


def test_the_order_of_declaration_decides_where_nothing_else_does() -> None:
    assert topological_sort({"d": set(), "b": {"a"}, "a": set(), "c": {"a"}}) == ["d", "b", "c", "a"]
    assert topological_sort({}) == []
    with pytest.raises(DependencyError, match="'b' needs 'a' and has no entry"):
        topological_sort({"a": {"b"}})


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, set[str]]:
    """Graphs without circles, their nodes declared in any order."""
    count = draw(st.integers(1, 9))
    pairs = draw(st.sets(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))))
    names = [f"n{i}" for i in range(count)]
    followers = {name: {names[b] for a, b in pairs if names[a] == name and a < b} for name in names}
    return {name: followers[name] for name in draw(st.permutations(names))}


@given(graphs())
def test_each_stands_behind_what_it_needs_and_no_sooner_one_could_stand_there(dag: dict[str, set[str]]) -> None:
    order = topological_sort(dag)
    assert sorted(order) == sorted(dag)
    places = list(dag)
    done: set[str] = set()
    for name in order:
        ready = [one for one in places if one not in done and all(one not in dag[it] or it in done for it in places)]
        assert name == ready[0]
        done.add(name)


def test_the_order_is_the_same_whatever_the_seed_of_hashes() -> None:
    program = (
        "import json\n"
        "from pipe_core.project.dependencies import build_dependency_graph, topological_sort\n"
        "names = [f'node-{i * 7 % 40}' for i in range(40)]\n"
        "before = {n: [m for m in names[:k] if (k + len(m)) % 5 == 0] for k, n in enumerate(names)}\n"
        "configs = {n: {'dependencies': said} for n, said in before.items()}\n"
        "print(json.dumps(topological_sort(build_dependency_graph(names, configs))))\n"
    )
    orders = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            timeout=50,
        ).stdout
        for seed in ("0", "1", "2")
    ]
    assert len(json.loads(orders[0])) == 40
    assert orders[0] == orders[1] == orders[2]


# --- circles ---


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_circle_is_told_with_its_path_and_nothing_else(count: int) -> None:
    names = [f"n{i}" for i in range(count)]
    dag = {"first": {"n0"}, **{name: {names[(i + 1) % count]} for i, name in enumerate(names)}, "last": set()}
    dag["n0"] = dag["n0"] | {"last"}
    with pytest.raises(DependencyCycleError) as raised:
        topological_sort(dag)
    path = raised.value.path
    assert path[0] == path[-1]
    assert sorted(path[:-1]) == names
    assert all(after in dag[before] for before, after in pairwise(path))
    assert " -> ".join(path) in str(raised.value)


@given(graphs(), st.data())
def test_whatever_the_graph_the_path_of_a_circle_is_one(dag: dict[str, set[str]], data: st.DataObject) -> None:
    order = topological_sort(dag)
    early, late = sorted(data.draw(st.lists(st.integers(0, len(order) - 1), min_size=2, max_size=2)))
    dag = {name: followers | ({order[late]} if name == order[early] else set()) for name, followers in dag.items()}
    dag[order[late]] = dag[order[late]] | {order[early]}
    with pytest.raises(DependencyCycleError) as raised:
        topological_sort(dag)
    path = raised.value.path
    assert path[0] == path[-1]
    assert len(set(path)) == len(path) - 1
    assert all(after in dag[before] for before, after in pairwise(path))


def test_dependencies_of_nodes_that_make_a_circle() -> None:
    configs = {"a": {"dependencies": "c"}, "b": {"dependencies": "a"}, "c": {"input": "rows"}, "d": {}}
    configs["b"]["output"] = "rows"
    with pytest.raises(DependencyCycleError, match="a -> b -> c -> a"):
        topological_sort(build_dependency_graph(list(configs), configs))
