"""Pictures as SVG."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from picture_samples import any_pipeline, diamond, made, nested

from pipe_core import Pipeline
from pipe_core.graph.errors import GraphError
from pipe_core.graph.node import Node
from pipe_core.graph.pictures import Picture, picture_of
from pipe_core.graph.pictures.measure import shortened, width_of
from pipe_core.graph.pictures.styles import STYLES, contrast, readable

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</svg><script>alert(1)</script>\"' & ]]> \x00\u202e\ud800\n漢字 -->"


def parsed(picture: Picture) -> ElementTree.Element:
    return ElementTree.fromstring(picture.svg)


def of_class(root: ElementTree.Element, *names: str) -> list[ElementTree.Element]:
    return [one for one in root.iter() if one.get("class") in names]


def written(element: ElementTree.Element) -> list[str]:
    """The lines of text in it."""
    return ["".join(text.itertext()) for text in element.iter(f"{SVG}text")]


def hostile() -> Pipeline:
    def fn(a: Any) -> Any: ...

    fn.__annotations__.update({"a": HOSTILE, "return": HOSTILE})
    fn.__doc__ = HOSTILE
    inner = Pipeline([Node(fn, "b", name=HOSTILE)], name=HOSTILE)
    return Pipeline([inner.as_node(map_over="a"), made("c", ["b", "d = '<&>'"])], name=HOSTILE)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("depth", [1, None])
def test_every_box_and_every_arrow_is_drawn_once(seed: int, depth: int | None) -> None:
    picture = picture_of(any_pipeline(seed, 10), depth=depth)
    root = parsed(picture)
    boxes = of_class(root, "input", "node", "pipeline")
    assert [box.get("data-key") for box in boxes] == [box.key for box in picture.scene.boxes()]
    drawn = Counter((one.get("data-source"), one.get("data-target")) for one in of_class(root, "arrow"))
    assert drawn == Counter((arrow.source, arrow.target) for arrow in picture.scene.arrows)
    assert len(of_class(root, "frame")) == len(of_class(root, "heading")) == len(list(picture.scene.frames())) - 1


@pytest.mark.parametrize("orient", ["TB", "LR"])
def test_lines_and_their_heads_end_where_boxes_begin(orient: Any) -> None:
    picture = picture_of(nested(), orient=orient, depth=None)
    root = parsed(picture)
    ends = {tuple(points[-1]) for _, points in picture.layout.routes}
    tips = [one.get("d", "")[1:].split("L")[0].split(" ") for one in of_class(root, "head")]
    assert sorted((float(x), float(y)) for x, y in tips) == [pytest.approx(end, abs=0.01) for end in sorted(ends)]
    for one, (_, points) in zip(of_class(root, "arrow"), picture.layout.routes, strict=True):
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", one.get("d", ""))]
        assert numbers[:2] == pytest.approx(points[0], abs=0.01)
        assert numbers[-2:] == pytest.approx(points[-1], abs=0.01)


def test_lines_of_inputs_with_a_default_are_dashed() -> None:
    picture = picture_of(diamond(), min_arg_group_size=None)
    dashed = [one.get("data-source") for one in of_class(parsed(picture), "arrow") if one.get("stroke-dasharray")]
    assert dashed == ["@limit"]


def test_flattened_pipelines_are_all_open() -> None:
    assert len(of_class(parsed(picture_of(nested(), flatten=True)), "node")) == 7
    assert len(of_class(parsed(picture_of(nested(), flatten=True, depth=2)), "pipeline")) == 1


def test_a_node_says_its_name_and_what_it_gives() -> None:
    boxes = {box.get("data-key"): written(box) for box in of_class(parsed(picture_of(diamond())), "node")}
    assert boxes == {
        "0": ["load", "→ list[int]"],
        "1": ["bounds", "→ low: int", "→ high: float"],
        "2": ["mean", "→ float"],
        "3": ["report", "→ str"],
    }
    plain = of_class(parsed(picture_of(diamond(), show_types=False)), "node")
    assert [written(box) for box in plain] == [["load"], ["bounds", "→ low", "→ high"], ["mean"], ["report"]]


def test_inputs_with_a_default_are_dashed_and_bound_ones_are_marked() -> None:
    picture = picture_of(diamond().bind(title="hush"), min_arg_group_size=None)
    found = {box.get("data-key"): box for box in of_class(parsed(picture), "input")}
    dashed = {key: "stroke-dasharray" in ElementTree.tostring(box, "unicode") for key, box in found.items()}
    assert dashed == {"@path": False, "@limit": True, "@title": False}
    assert [written(box) for box in found.values()] == [["path: str"], ["limit: int = 100"], ["●\u00a0title: str"]]
    assert "hush" not in picture.svg


def test_what_runs_for_each_item_is_a_stack() -> None:
    def sheets(depth: int | None) -> list[int]:
        found = of_class(parsed(picture_of(nested(), depth=depth)), "frame", "pipeline")
        return [len(list(one.iter(f"{SVG}rect"))) for one in found]

    assert sheets(1) == [3]
    assert sheets(None) == [3, 3]
    assert "over texts" in "".join(parsed(picture_of(nested())).itertext())


@pytest.mark.parametrize("style", STYLES)
def test_each_style_has_colours_of_its_own(style: str) -> None:
    drawn = {name: picture_of(nested(), depth=None, style=name, show_legend=True).svg for name in STYLES}
    ElementTree.fromstring(drawn[style])
    assert [name for name, svg in drawn.items() if svg == drawn[style]] == [style]
    assert STYLES[style].node.fill in drawn[style]
    assert (f'<rect width="{picture_of(nested(), depth=None).layout.width:g}' in drawn[style]) is (style != "minimal")


def test_names_can_be_read_on_what_they_stand_on() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#fff") == pytest.approx(4.54, abs=0.01)  # the example of WCAG 2
    for name, style in STYLES.items():
        grounds = [style.node.fill, style.pipeline.fill, style.input.fill, style.paper or "#ffffff"]
        for ground, ink in itertools.product(grounds, (style.ink, style.soft)):
            assert contrast(ground, ink) >= 4.5, (name, ground, ink)  # level AA
        for bar in style.series:
            assert contrast(bar, readable(bar, "#000000", "#ffffff")) >= 4.5, (name, bar)


def test_foreign_text_is_only_text() -> None:
    picture = picture_of(hostile(), depth=None, show_legend=True)
    root = parsed(picture)
    assert {one.tag for one in root.iter()} == {
        f"{SVG}{name}" for name in ("svg", "title", "g", "rect", "path", "text", "tspan")
    }
    assert "\\x00\\u202e\\ud800" in "".join(root.itertext())
    assert picture.title == HOSTILE
    assert "<script" not in picture.html.replace("&lt;script", "")


def test_nothing_is_shared_with_other_pictures_of_a_page() -> None:
    root = parsed(picture_of(nested(), depth=None, show_legend=True))
    assert not [one for one in root.iter() if one.get("id") or "url(" in str(one.attrib) or one.tag == f"{SVG}style"]


def test_long_names_are_shortened_and_told_in_full() -> None:
    name = "a_very_" * 20 + "long_name"
    pipeline = Pipeline([Node(lambda: 1, "out", name=name), made("f", ["x" * 200 + ": int", "out"])])
    box = of_class(parsed(picture_of(pipeline)), "node")[0]
    assert len(written(box)[0]) < 50
    assert written(box)[0].endswith("…")
    assert name in (box.findtext(f"{SVG}title") or "")


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("snake_case_name", 9.97),
        ("mmmmmmmm", 8.34),
        ("WWWWWWWW", 8.82),
        ("iiiiiiii", 2.74),
        ("LOAD_ALL_CUSTOMER_DATA", 15.95),
        ("compute_embeddings_batch", 15.99),
        ("漢字漢字漢字", 6.0),
    ],
)
def test_text_fits_its_box_in_the_widest_usual_font(text: str, width: float) -> None:
    # The widths are those of bold DejaVu Sans, in units of its size.
    pipeline = Pipeline([Node(lambda: 1, "out", name=text)])
    picture = picture_of(pipeline)
    assert written(of_class(parsed(picture), "node")[0])[0] == text
    assert picture.layout.boxes["0"].width >= 14 * width + 6


@given(st.text(max_size=60), st.floats(0, 300))
def test_shortened_text_is_not_wider_than_it_may_be(text: str, most: float) -> None:
    found = shortened(text, most, 12)
    assert width_of(found, 12) <= max(most, width_of("…", 12))
    assert found == text or (found.endswith("…") and text.startswith(found[:-1]))


def test_many_outputs_are_counted() -> None:
    outputs = tuple(f"out_{i}" for i in range(30))
    lines = written(of_class(parsed(picture_of(Pipeline([made("f", [], outputs, "tuple")]))), "node")[0])
    assert len(lines) == 9
    assert lines[-1] == "… and 23 more"


def test_the_legend_explains_what_is_there() -> None:
    def said(pipeline: Pipeline, **options: Any) -> list[str]:
        root = parsed(picture_of(pipeline, show_legend=True, **options))
        return [text for one in of_class(root, "legend") for text in written(one)]

    assert said(Pipeline([made("f", [])])) == ["node"]
    bound = diamond().bind(title="x")
    assert said(bound, min_arg_group_size=None) == ["input", "input with a default", "bound input", "node"]
    assert said(nested()) == ["input", "input with a default", "node", "runs for each item"]
    assert "nested pipeline" in said(nested(), depth=None)
    assert not of_class(parsed(picture_of(diamond())), "legend")


def test_the_picture_is_large_enough_for_the_legend() -> None:
    picture = picture_of(nested(), depth=None, show_legend=True)
    root = parsed(picture)
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for text in (text for one in of_class(root, "legend") for text in one.iter(f"{SVG}text")):
        assert float(text.get("x", 0)) + width_of("".join(text.itertext()), 12) < width
        assert picture.layout.height - 10 < float(text.get("y", 0)) < height


def test_what_is_idle_is_pale() -> None:
    inner = Pipeline([made("kept", ["x"]), made("left", ["x"])], name="inner")
    root = parsed(picture_of(Pipeline([inner.as_node(output_mapping={"kept": "out"})]), depth=None))
    pale = [one for one in of_class(root, "node") if one.get("opacity")]
    assert [written(one)[0] for one in pale] == ["left"]
    assert "never runs here" in (pale[0].findtext(f"{SVG}title") or "")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"orient": "BT"}, "'TB', from top to bottom, or 'LR'"),
        ({"depth": 0}, "depth is a whole number from 1 on, or None, not 0"),
        ({"depth": True}, "depth is a whole number"),
        ({"min_arg_group_size": 0}, "min_arg_group_size is a whole number"),
        ({"style": "drak"}, "no style 'drak' for pictures. Did you mean 'dark'"),
        ({"format": "svg"}, "name that file as well"),
    ],
)
def test_wrong_options_are_named(options: Any, text: str) -> None:
    with pytest.raises(GraphError) as caught:
        diamond().visualize(**options)
    assert text in str(caught.value)
