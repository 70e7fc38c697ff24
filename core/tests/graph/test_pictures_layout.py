"""Where boxes and arrows stand."""

from __future__ import annotations

import random
from itertools import combinations, pairwise
from typing import Any

import pytest
from picture_samples import along, any_pipeline, chain, diamond, fan, inside, made, nested, overlap, training

from pipe_core import Pipeline
from pipe_core.graph.pictures import Picture, layers, picture_of
from pipe_core.graph.pictures.layers import Item, Link, layered
from pipe_core.graph.pictures.layout import Rect
from pipe_core.graph.pictures.model import Box, Frame
from pipe_core.graph.pictures.sheets import LIMIT

SAMPLES = [diamond, chain, fan, nested, training]
PIPELINES = [*SAMPLES, *(lambda seed=seed: any_pipeline(seed, 3 + 2 * seed) for seed in range(14))]


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
    assert boxes["@late"].bottom == boxes["5"].bottom


def test_a_node_without_lines_stands_next_to_another() -> None:
    picture = picture_of(any_pipeline(7, 17), depth=None)
    ends = {key for arrow in picture.scene.arrows for key in (arrow.source, arrow.target)}
    boxes = picture.layout.boxes
    alone = next(rect for key, rect in boxes.items() if key not in ends)
    level = [rect for rect in boxes.values() if rect.y == alone.y and rect is not alone]
    assert min(abs(alone.x - rect.right) for rect in level) < 60


def test_a_node_that_needs_nothing_stands_above_who_takes_it() -> None:
    nodes = [*(made(f"step_{i}", [f"step_{i - 1}"] if i else []) for i in range(5)), made("late", [])]
    boxes = picture_of(Pipeline([*nodes, made("end", ["step_4", "late"])])).layout.boxes
    assert boxes["5"].y == boxes["4"].y


def test_lines_are_straight_or_go_aside_clearly() -> None:
    inner = Pipeline([made("a", ["x"]), made("b", ["a", "y"])], name="inner")
    wedged = Pipeline([inner, made("c", ["a", "k = 1"]), made("d", ["b", "m = 2"]), made("e", ["c", "d", "n"])])
    for pipeline in (diamond(), nested(), training(), wedged):
        for _, points in picture_of(pipeline, depth=None).layout.routes:
            aside = [abs(x - right) for (x, _), (right, _) in pairwise(points)]
            assert not [far for far in aside if 0.02 < far < 3]
    long = next(points for _, points in picture_of(training()).layout.routes if len(points) > 12)
    assert len({x for x, _ in long[2:-2]}) == 1


def test_levels_are_ordered_by_means_and_by_swaps(monkeypatch: pytest.MonkeyPatch) -> None:
    def crossings() -> int:
        count = 0
        for seed in range(12):
            chance = random.Random(seed)
            items = [Item("box", 10, 10) for _ in range(40)]
            links = {Link(a, b) for a, b in (sorted(chance.sample(range(40), 2)) for _ in range(55))}
            found = layered(items, sorted(links, key=lambda link: (link.source, link.target)), limit=400, space=5)
            count += layers._crossings(found, found.neighbours()[1])
        return count

    both = crossings()
    for one in ("_swap", "_by_means"):
        with monkeypatch.context() as patched:
            patched.setattr(layers, one, lambda *_: None)
            assert both < 0.9 * crossings()


def test_crossings_are_counted() -> None:
    def count(*links: Link) -> int:
        found = layers.Layers([Item("box", 10, 10) for _ in range(4)], [[0, 1], [2, 3]], [], list(links), [0, 0, 1, 1])
        return layers._crossings(found, found.neighbours()[1])

    assert count(Link(0, 2), Link(1, 3)) == 0
    assert count(Link(0, 3), Link(1, 2)) == 1
    assert count(Link(0, 2), Link(0, 3), Link(1, 2), Link(1, 3)) == 1
    assert count(Link(0, 2, -2), Link(0, 2, 2)) == 0
    assert count(Link(0, 3, -2), Link(0, 2, 2)) == 1


def test_inputs_follow_where_nodes_stand() -> None:
    inner = Pipeline([made("embed", ["x"]), made("score", ["embed"])], name="inner")
    nodes = [made("best", ["score", "top = 5"]), made("index", ["embed"]), made("end", ["index", "best", "query"])]
    picture = picture_of(Pipeline([inner, *nodes]), depth=None)
    key = {box.title: box.key for box in picture.scene.boxes()}
    lines = {arrow.target: points for arrow, points in picture.layout.routes if arrow.names[0] in ("embed", "score")}
    best, index = lines[key["best"]], lines[key["index"]]
    assert (best[-2][0] < index[-2][0]) is (best[-1][0] < index[-1][0])  # from the border of the frame to the boxes


def test_a_title_makes_room_for_lines_where_it_can() -> None:
    inner = Pipeline([made("a", ["x"]), *(made(f"b_{i}", []) for i in range(4))], name="inner")
    picture = picture_of(Pipeline([made("x", []), inner]), depth=None)
    title = picture.layout.frames[0].title_at
    (_, points), *_ = picture.layout.routes
    assert not [1 for x, y in along(picture, points) if overlap(Rect(x, y, 0.1, 0.1), title)]
    assert points[-1][0] < title.x


def test_many_lines_share_tracks() -> None:
    picture = picture_of(fan())
    key = {box.title: box.key for box in picture.scene.boxes()}
    out = [points for arrow, points in picture.layout.routes if arrow.source == key["source"]]
    into = [points for arrow, points in picture.layout.routes if arrow.target == key["merge"]]
    first = {y for points in out for (x, y), (right, low) in pairwise(points) if y == low and x != right}
    last = {y for points in into for (x, y), (right, low) in pairwise(points) if y == low and x != right}
    rows = sorted({picture.layout.boxes[key[f"page_{i}"]].y for i in range(30)})
    assert len(first) == len(last) == len(rows)
    for row, feed, collect in zip(rows, sorted(first), sorted(last), strict=True):
        assert feed < row < collect
    # Between two rows, lines to what comes last lie above those to the next row: so they do not cross.
    assert all(collect < feed for feed, collect in zip(sorted(first)[1:], sorted(last), strict=False))


def test_a_node_alone_is_a_picture() -> None:
    picture = picture_of(Pipeline([made("only", [])]))
    assert len(picture.layout.boxes) == 1
    assert picture.layout.width > picture.layout.boxes["0"].width
