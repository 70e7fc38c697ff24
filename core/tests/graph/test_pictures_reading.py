"""What is read from a pipeline to be drawn."""

from __future__ import annotations

import typing
from collections import Counter
from typing import Any, Literal

import pytest
from picture_samples import any_pipeline, chain, diamond, fan, made, nested

from pipe_core import Pipeline
from pipe_core.graph.nesting import PipelineNode
from pipe_core.graph.node import Node, Parameter
from pipe_core.graph.pictures.model import Box, Scene
from pipe_core.graph.pictures.reading import scene_of
from pipe_core.graph.pictures.words import default_words, returned, type_words


def titles(scene: Scene) -> list[str]:
    return [box.title for box in scene.boxes() if box.kind != "input"]


def inputs(scene: Scene) -> list[tuple[str, ...]]:
    return [tuple(value.name for value in box.values) for box in scene.boxes() if box.kind == "input"]


def arrows(scene: Scene) -> set[tuple[str, str]]:
    """By titles, or by the first name of inputs."""
    names = {box.key: box.title or box.values[0].name for box in scene.boxes()}
    return {(names[arrow.source], names[arrow.target]) for arrow in scene.arrows}


def box_of(scene: Scene, name: str) -> Box:
    return next(box for box in scene.boxes() if name in (box.title, *(value.name for value in box.values)))


def functions(pipeline: Pipeline) -> list[str]:
    """The names of all functions, at every level."""
    return [
        name
        for one in pipeline.nodes
        for name in (functions(one.pipeline) if isinstance(one, PipelineNode) else [one.name])
    ]


@pytest.mark.parametrize("make", [diamond, chain, fan])
def test_every_node_and_every_edge_is_there_once(make: Any) -> None:
    pipeline = make()
    scene = scene_of(pipeline)
    assert sorted(titles(scene)) == sorted(node.name for node in pipeline.nodes)
    edges = {
        (pipeline.wiring.nodes[giver].name, pipeline.wiring.nodes[taker].name)
        for taker, givers in enumerate(pipeline.wiring.needs)
        for giver in givers
    }
    keys = [(arrow.source, arrow.target) for arrow in scene.arrows]
    assert len(keys) == len(set(keys))
    kinds = {box.title: box.kind for box in scene.boxes()}
    assert {pair for pair in arrows(scene) if kinds.get(pair[0]) == "node"} == edges


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("flatten", [False, True])
def test_every_function_of_nested_pipelines_is_there_once(seed: int, flatten: bool) -> None:
    pipeline = any_pipeline(seed, 12)
    scene = scene_of(pipeline, depth=None, flatten=flatten)
    assert sorted(titles(scene)) == sorted(functions(pipeline))
    assert Counter(box.key for box in scene.boxes()).most_common(1)[0][1] == 1
    named = {name for names in inputs(scene) for name in names}
    assert set(pipeline.inputs) <= named
    assert (len(list(scene.frames())) == 1) is (flatten or not any(isinstance(n, PipelineNode) for n in pipeline.nodes))


def test_two_outputs_of_one_node_are_one_arrow() -> None:
    scene = scene_of(diamond())
    ends = (box_of(scene, "bounds").key, box_of(scene, "report").key)
    assert [arrow.names for arrow in scene.arrows if (arrow.source, arrow.target) == ends] == [("low", "high")]
    assert [(value.name, value.type) for value in box_of(scene, "bounds").values] == [("low", "int"), ("high", "float")]


def test_inputs_say_whether_they_must_be_given_and_do_not_show_what_is_bound() -> None:
    scene = scene_of(diamond().bind(title="hush"), group=None)
    path, limit, title = (box_of(scene, name) for name in ("path", "limit", "title"))
    assert (path.values[0].state, path.is_optional) == ("required", False)
    assert (limit.values[0].state, limit.values[0].default, limit.is_optional) == ("optional", "100", True)
    assert (title.values[0].state, title.is_optional) == ("bound", False)
    assert "hush" not in repr(scene)
    optional = {arrow.source: arrow.is_optional for arrow in scene.arrows}
    assert (optional[path.key], optional[limit.key], optional[title.key]) == (False, True, False)


def test_an_input_that_one_of_two_nodes_requires_is_required() -> None:
    scene = scene_of(Pipeline([made("a", ["x = 1"]), made("b", ["x"])]))
    assert box_of(scene, "x").values[0].state == "required"
    assert arrows(scene) == {("x", "a"), ("x", "b")}


def test_an_input_with_several_defaults_shows_none_of_them() -> None:
    several = Pipeline([made("a", ["x = 1", "y = 1"]), made("b", ["x = 2", "y = 1"])])
    assert [box_of(scene_of(several), name).values[0].default for name in "xy"] == ["…", "1"]
    assert box_of(scene_of(Pipeline([several])), "x").values[0].default == "…"


def test_inputs_of_one_node_are_grouped_from_a_number_on() -> None:
    pipeline = Pipeline([made("a", ["x", "y", "z", "both"]), made("b", ["a", "both", "w"])])
    assert inputs(scene_of(pipeline)) == [("x", "y", "z"), ("both",), ("w",)]
    assert inputs(scene_of(pipeline, group=3)) == [("x", "y", "z"), ("both",), ("w",)]
    assert inputs(scene_of(pipeline, group=4)) == [("x",), ("y",), ("z",), ("both",), ("w",)]
    assert inputs(scene_of(pipeline, group=None)) == [("x",), ("y",), ("z",), ("both",), ("w",)]
    grouped = scene_of(pipeline)
    assert len(grouped.arrows) == 5
    assert next(arrow for arrow in grouped.arrows if len(arrow.names) == 3).names == ("x", "y", "z")


def test_depth_says_how_many_levels_are_open() -> None:
    assert titles(scene_of(nested())) == ["crawl", "document", "best", "search"]
    assert [frame.title for frame in scene_of(nested(), depth=2).frames()] == ["", "document"]
    assert "words" in titles(scene_of(nested(), depth=2))
    whole = scene_of(nested(), depth=None)
    assert [(frame.title, frame.over) for frame in whole.frames()] == [
        ("", ""),
        ("document", "texts"),
        ("words", "text"),
    ]
    assert arrows(whole) >= {("crawl", "clean"), ("split", "embed"), ("embed", "search"), ("score", "best")}


def test_a_closed_pipeline_says_what_it_gives_and_over_what() -> None:
    box = box_of(scene_of(nested()), "document")
    assert (box.kind, box.over, box.holds) == ("pipeline", "texts", 3)
    assert [(value.name, value.type) for value in box.values] == [
        ("scores", "list[float]"),
        ("vectors", "list[Vector]"),
    ]


def test_flattened_nodes_say_over_what_they_are_mapped() -> None:
    scene = scene_of(nested(), depth=None, flatten=True)
    assert [frame.title for frame in scene.frames()] == [""]
    assert {box.title: box.over for box in scene.boxes() if box.over} == {
        "clean": "text",
        "split": "text",
        "embed": "texts",
        "score": "texts",
    }


def test_what_is_bound_inside_stays_inside() -> None:
    scene = scene_of(nested(), depth=None)
    document = next(frame for frame in scene.frames() if frame.title == "document")
    assert [
        child.values[0].name for child in document.children if isinstance(child, Box) and child.kind == "input"
    ] == ["model"]
    assert "secret" not in repr(scene)


def test_combinations_are_written_as_a_product() -> None:
    inner = Pipeline([made("f", ["x", "y"])], name="inner")
    outer = Pipeline([inner.as_node(map_over=["x", "y"], map_mode="product")])
    assert box_of(scene_of(outer), "inner").over == "x \u00d7 y"


def test_what_nobody_asks_for_is_idle() -> None:
    inner = Pipeline([made("kept", ["x"]), made("left", ["x"]), made("after", ["left"])], name="inner")
    scene = scene_of(Pipeline([inner.as_node(output_mapping={"kept": "out"}), made("end", ["out"])]), depth=None)
    assert {box.title for box in scene.boxes() if box.is_idle} == {"left", "after"}
    assert ("kept", "end") in arrows(scene)


def test_a_mapped_input_is_a_list() -> None:
    inner = Pipeline([made("f", ["page: str", "size: int"])], name="inner")
    outer = Pipeline([inner.as_node(map_over="pages", input_mapping={"pages": "page"})])
    found = {value.name: value.type for value in box_of(scene_of(outer), "pages").values}
    assert found == {"pages": "list[str]", "size": "int"}


class Model:
    """Some type."""


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Parameter("x").type, ""),
        (int, "int"),
        (None, "None"),
        ("numpy.ndarray", "ndarray"),
        (list[Model], "list[Model]"),
        (typing.Optional[Model], "Optional[Model]"),  # noqa: UP045
        (int | None, "int | None"),
        (dict[str, tuple[float, ...]], "dict[str, tuple[float, ...]]"),
        (typing.Annotated[int, "metres"], "int"),
        (Literal["a.b", "c"], "Literal['a.b', 'c']"),
        ("Literal[1.5]", "Literal[1.5]"),
        (typing.List["Model"], "List[Model]"),  # noqa: UP006
    ],
)
def test_annotations_are_written_without_modules(annotation: Any, words: str) -> None:
    assert type_words(annotation) == words


def test_a_local_class_is_written_without_the_function_around_it() -> None:
    class Local: ...

    assert type_words(Local) == "Local"
    assert type_words(list[Local]) == "list[Local]"


@pytest.mark.parametrize(
    ("default", "words"),
    [(None, "None"), ("a\nb", "'a\\nb'"), ((), "()"), (int, "int"), (object(), "…"), ([1], "…")],
)
def test_defaults_look_the_same_each_time(default: Any, words: str) -> None:
    assert default_words(Parameter("x", default)) == words


def test_types_of_tuples_are_told_apart_where_there_are_as_many() -> None:
    pair = ("a", "b")
    assert returned(made("f", [], pair, "tuple[int, dict[str, int]]")) == ["int", "dict[str, int]"]
    assert returned(made("f", [], pair, "typing.Tuple[int, ...]")) == ["int", "int"]
    assert returned(made("f", [], pair, "tuple[int]")) == ["", ""]
    assert returned(made("f", [], pair, "list[int, str]")) == ["", ""]

    def real() -> Any: ...

    real.__annotations__["return"] = "no annotation"
    assert returned(Node(real, pair)) == ["", ""]
    real.__annotations__["return"] = tuple[int, Model]
    assert returned(Node(real, pair)) == ["int", "Model"]
