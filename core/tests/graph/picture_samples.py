"""Pipelines to draw, and what any picture of them must hold."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from pipe_core import Pipeline, node
from pipe_core.graph.node import Node
from pipe_core.graph.pictures import Picture
from pipe_core.graph.pictures.layout import Rect


def made(name: str, parameters: list[str], output: Any = None, gives: str = "int") -> Node[..., Any]:
    """A node that is only looked at."""
    names: dict[str, Any] = {}
    exec(f"from __future__ import annotations\ndef {name}({', '.join(parameters)}) -> {gives}: ...", names)
    return Node(names[name], output)


def diamond() -> Pipeline:
    """Two nodes between two others."""

    @node
    def load(path: str, *, limit: int = 100) -> list[int]: ...
    @node(output_name=("low", "high"))
    def bounds(load: list[int]) -> tuple[int, float]: ...
    @node
    def mean(load: list[int]) -> float: ...
    @node
    def report(low: int, high: float, mean: float, title: str) -> str: ...

    return Pipeline([load, bounds, mean, report], name="diamond")


def chain() -> Pipeline:
    """Ten nodes in a row."""
    return Pipeline([made(f"step_{i}", [f"step_{i - 1}" if i else "start"]) for i in range(10)], name="chain")


def fan() -> Pipeline:
    """Thirty nodes between two others."""
    pages = [made(f"page_{i}", ["source: str"], gives="dict") for i in range(30)]
    merge = made("merge", [f"page_{i}" for i in range(30)])
    return Pipeline([made("source", ["query"]), *pages, merge], name="fan")


def nested() -> Pipeline:
    """Three levels, two of them mapped."""
    words = Pipeline([made("clean", ["text: str"]), made("split", ["clean", "lower: bool = True"])], name="words")
    embed = made("embed", ["split", "model"], gives="Vector")
    score = made("score", ["embed", "split"], gives="float")
    document = Pipeline([words.as_node(map_over="text"), embed, score], name="document").bind(model="secret")
    mapped = document.as_node(
        map_over="texts", input_mapping={"texts": "text"}, output_mapping={"score": "scores", "embed": "vectors"}
    )
    crawl = made("crawl", ["urls: list[str]"], "texts", "list[list[str]]")
    best = made("best", ["scores", "top: int = 5"])
    search = made("search", ["best", "vectors", "urls: list[str]"])
    return Pipeline([crawl, mapped, best, search], name="search")


def training() -> Pipeline:
    """Fifteen nodes, with long lines between some of them."""
    scaled = ["scaled_train: Array"]
    both = [*scaled, "features"]
    return Pipeline(
        [
            made("load", ["path: str", "sep: str = ','"], gives="Frame"),
            made("clean", ["load: Frame", "columns: list[str]"], gives="Frame"),
            made(
                "split",
                ["clean: Frame", "share: float = 0.2", "seed: int = 42"],
                ("train", "test"),
                "tuple[Frame, Frame]",
            ),
            made("scaler", ["train: Frame"]),
            made("scaled_train", ["scaler", "train: Frame"], gives="Array"),
            made("scaled_test", ["scaler", "test: Frame"], gives="Array"),
            made("features", [*scaled, "k: int = 20"], gives="list[int]"),
            made("forest", [*both, "trees: int = 500", "depth: int = 8", "seed: int = 42"], gives="Forest"),
            made("linear", [*both, "alpha: float = 0.1"], gives="Linear"),
            made("boosting", [*both, "rate: float = 0.05", "rounds: int = 200"], gives="Boosting"),
            made("ensemble", ["forest", "linear", "boosting"], gives="Ensemble"),
            made("predict", ["ensemble", "scaled_test", "features"], gives="Array"),
            made("metrics", ["predict: Array", "test: Frame"], gives="dict[str, float]"),
            made("plot", ["predict: Array", "test: Frame"], gives="Figure"),
            made("report", ["metrics", "plot", "title: str"], gives="Path"),
        ],
        name="training",
    )


def any_pipeline(seed: int, size: int) -> Pipeline:
    """Some pipeline of *size* nodes, some of them pipelines."""
    chance = random.Random(seed)
    nodes: list[Any] = []
    for i in range(size):
        known = [f"v{j}" for j in range(i)]
        takes = chance.sample(known, min(i, chance.choice([0, 1, 1, 2, 3])))
        takes += chance.sample([f"in{k}" for k in range(5)], chance.choice([0, 0, 1, 2]))
        if chance.random() < 0.25:
            inner = [
                made(f"w{i}", takes),
                made(f"v{i}", [f"w{i}", *takes[:1]]),
                made(f"u{i}", [*takes[1:], f"own{i} = 1"]),
            ]
            over = takes[:1] if chance.random() < 0.5 else None
            nodes.append(Pipeline(inner, name=f"inner {i}").as_node(map_over=over))
        else:
            nodes.append(made(f"v{i}", takes, gives=chance.choice(["int", "dict[str, list[float]]"])))
    return Pipeline(nodes, name=f"pipeline {seed}")


def overlap(one: Rect, other: Rect) -> bool:
    """Whether two places have more than their borders in common."""
    near = 0.05  # of rounding
    return (
        one.x + near < other.right
        and other.x + near < one.right
        and one.y + near < other.bottom
        and other.y + near < one.bottom
    )


def inside(one: Rect, other: Rect) -> bool:
    """Whether *one* lies in *other*."""
    near = 0.05
    return (
        one.x >= other.x - near
        and one.y >= other.y - near
        and one.right <= other.right + near
        and one.bottom <= other.bottom + near
    )


def along(picture: Picture, points: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Places on a line, as it is drawn."""
    for (x, y), (right, low) in pairwise(points):
        for step in range(13):
            t = step / 12
            bent = 3 * t * t - 2 * t**3  # across, where both controls lie in the middle of the way
            ahead = 1.5 * t * (1 - t) ** 2 + 1.5 * t * t * (1 - t) + t**3
            if x == right or y == low:
                yield x + (right - x) * t, y + (low - y) * t
            elif picture.orient == "TB":
                yield x + (right - x) * bent, y + (low - y) * ahead
            else:
                yield x + (right - x) * ahead, y + (low - y) * bent
