"""Where boxes and arrows stand."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from picture_samples import along, any_pipeline, chain, diamond, fan, inside, made, nested, overlap

from pipe_core import Pipeline
from pipe_core.graph.pictures import Picture, picture_of
from pipe_core.graph.pictures.layout import LIMIT, Rect
from pipe_core.graph.pictures.model import Box, Frame

PIPELINES = [diamond, chain, fan, nested, *(lambda seed=seed: any_pipeline(seed, 3 + 2 * seed) for seed in range(14))]


@pytest.fixture(params=["TB", "LR"])
def orient(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=PIPELINES, ids=lambda make: getattr(make, "__name__", "any"))
def picture(request: pytest.FixtureRequest, orient: Any) -> Picture:
    return picture_of(request.param(), orient=orient, depth=None)


def shapes(picture: Picture, frame: Frame) -> list[Rect]:
    """The children of *frame*."""
    frames = {placed.frame.key: placed.rect for placed in picture.layout.frames}
    return [(picture.layout.boxes if isinstance(one, Box) else frames)[one.key] for one in frame.children]


def test_no_box_lies_on_another(picture: Picture) -> None:
    for frame in picture.scene.frames():
        found = shapes(picture, frame)
        assert not [pair for pair in combinations(found, 2) if overlap(*pair)]


def test_what_is_in_a_frame_is_drawn_in_it(picture: Picture) -> None:
    whole = Rect(0, 0, picture.layout.width, picture.layout.height)
    frames = {placed.frame.key: placed.rect for placed in picture.layout.frames}
    for frame in picture.scene.frames():
        around = frames.get(frame.key, whole)
        assert all(inside(rect, around) for rect in shapes(picture, frame))


def test_every_arrow_begins_and_ends_at_its_boxes(picture: Picture) -> None:
    assert [arrow for arrow, _ in picture.layout.routes] == picture.scene.arrows
    for arrow, points in picture.layout.routes:
        source, target = (picture.layout.boxes[key] for key in (arrow.source, arrow.target))
        if picture.orient == "TB":
            starts = (source.x + source.width / 2, source.bottom)
            ends = (target.x + target.width / 2, target.y)
        else:
            starts = (source.right, source.y + source.height / 2)
            ends = (target.x, target.y + target.height / 2)
        assert points[0] == pytest.approx(starts, abs=0.05)
        assert points[-1] == pytest.approx(ends, abs=0.05)


def test_no_arrow_goes_through_a_box(picture: Picture) -> None:
    for arrow, points in picture.layout.routes:
        others = [rect for key, rect in picture.layout.boxes.items() if key not in (arrow.source, arrow.target)]
        for x, y in along(picture, points):
            spot = Rect(x, y, 0.2, 0.2)
            assert not [rect for rect in others if overlap(spot, rect)]


def test_arrows_never_go_back(picture: Picture) -> None:
    axis = 1 if picture.orient == "TB" else 0
    for _, points in picture.layout.routes:
        places = [point[axis] for point in points]
        assert places == sorted(places)


def test_titles_of_frames_are_in_their_borders(picture: Picture) -> None:
    for placed in picture.layout.frames:
        assert placed.rect.x < placed.title_at.x
        assert placed.title_at.right < placed.rect.right
        assert placed.title_at.y < placed.rect.y < placed.title_at.bottom


def test_a_chain_is_straight(orient: Any) -> None:
    axis = 0 if orient == "TB" else 1
    routes = picture_of(chain(), orient=orient).layout.routes
    assert len({round(point[axis], 1) for _, points in routes for point in points}) == 1


def test_a_diamond_is_symmetric() -> None:
    left, right = (made(name, ["top"]) for name in ("left", "side"))
    layout = picture_of(Pipeline([made("top", []), left, right, made("end", ["left", "side"])])).layout
    middle = {key: rect.x + rect.width / 2 for key, rect in layout.boxes.items()}
    assert middle["0"] == pytest.approx(middle["3"], abs=0.1)
    assert middle["0"] - middle["1"] == pytest.approx(middle["2"] - middle["0"], abs=0.1)


def test_a_wide_level_is_broken(orient: Any) -> None:
    layout = picture_of(fan(), orient=orient).layout
    assert (layout.width if orient == "TB" else layout.height) < LIMIT[orient] + 120


def test_lines_do_not_cross_where_they_need_not() -> None:
    nodes = [made("a", []), made("b", []), made("x", ["b"]), made("y", ["a"])]
    layout = picture_of(Pipeline(nodes)).layout
    names = {name: layout.boxes[str(place)].x for place, name in enumerate("abxy")}
    assert (names["a"] < names["b"]) is (names["y"] < names["x"])


def test_the_same_pipeline_looks_the_same() -> None:
    assert picture_of(nested(), depth=None).svg == picture_of(nested(), depth=None).svg
    assert picture_of(any_pipeline(3, 20)).svg == picture_of(any_pipeline(3, 20)).svg


def test_an_input_is_next_to_who_takes_it() -> None:
    nodes = [*(made(f"step_{i}", [f"step_{i - 1}"] if i else []) for i in range(6)), made("end", ["step_5", "late"])]
    boxes = picture_of(Pipeline(nodes)).layout.boxes
    assert boxes["5"].bottom >= boxes["@late"].y > boxes["4"].bottom


def test_a_node_without_lines_stands_next_to_another() -> None:
    nodes = [*(made(f"top_{i}", []) for i in range(8)), made("low", [f"top_{i}" for i in range(8)]), made("alone", [])]
    boxes = picture_of(Pipeline(nodes)).layout.boxes
    assert min(abs(boxes["9"].x - boxes[str(i)].right) for i in range(8)) < 40


def test_a_node_alone_is_a_picture() -> None:
    picture = picture_of(Pipeline([made("only", [])]))
    assert len(picture.layout.boxes) == 1
    assert picture.layout.width > picture.layout.boxes["0"].width
