"""Pictures as files, Mermaid, text, pages and PNG."""

from __future__ import annotations

import re
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from picture_samples import diamond, made, nested

from pipe_core import Pipeline
from pipe_core.graph.node import Node
from pipe_core.graph.pictures import Picture, PictureError, gantt, picture_of
from pipe_core.graph.pictures.styles import STYLES
from pipe_core.kernel.errors import PipeError

HOSTILE = 'end"] --> x; <b>`md`</b> %% #quot; | {} \\\n漢字 \u202e'


def test_the_ending_says_as_what_it_is_written(tmp_path: Path) -> None:
    picture = diamond().visualize(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text("utf-8") == picture.svg
    for name, text in {"b.mmd": picture.mermaid, "c.txt": picture.text, "d.HTML": picture.html}.items():
        assert picture.save(tmp_path / name) == tmp_path / name
        assert (tmp_path / name).read_text("utf-8") == text


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"The folder of '.*a.svg' does not exist: make '.*drawings' first"
    ) as raised:
        diamond().visualize(tmp_path / "drawings" / "a.svg")
    assert isinstance(raised.value, PipeError)


def test_a_format_is_stronger_than_the_ending(tmp_path: Path) -> None:
    diamond().visualize(str(tmp_path / "README.md"), format="mermaid")
    assert (tmp_path / "README.md").read_text("utf-8").startswith("flowchart TB")
    assert diamond().visualize().save(tmp_path / "x.svg", ".txt").read_text("utf-8").startswith("diamond: 4 nodes")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.sgv", "No picture can be written as 'sgv'. Did you mean 'svg'?"),
        ("a.pdf", "svg, png, html, mmd, mermaid, txt, text"),
        ("a", "has no ending"),
    ],
)
def test_an_unknown_ending_is_named_and_nothing_is_written(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(PictureError) as caught:
        diamond().visualize(tmp_path / name)
    assert text in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_notebook_shows_it() -> None:
    picture = diamond().visualize()
    assert picture._repr_svg_() == picture.svg
    assert repr(picture) == "<picture of 'diamond': 4 nodes, 6 arrows>"


def test_a_page_holds_the_picture_and_nothing_from_elsewhere() -> None:
    html = nested().visualize(depth=None).html
    assert "<h1>search</h1>" in html
    assert html.count("<svg ") == 1
    assert not re.findall(r"<script|<link|<img|src=|url\(", html)


# --- PNG ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
def test_png_is_twice_as_large_as_svg(tmp_path: Path, style: str) -> None:
    pytest.importorskip("resvg_py")
    picture = nested().visualize(tmp_path / "a.png", depth=None, style=style, show_legend=True)
    found = (tmp_path / "a.png").read_bytes()
    root = ElementTree.fromstring(picture.svg)
    assert found.startswith(b"\x89PNG\r\n\x1a\n")
    size = struct.unpack(">II", found[16:24])
    assert size == pytest.approx([2 * float(root.get(name, 0)) for name in ("width", "height")], abs=2)
    assert struct.unpack(">I", picture.png(1)[16:20])[0] == pytest.approx(size[0] / 2, abs=1)


def test_png_without_its_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(PictureError, match=re.escape("pip install 'pipe-core[pictures]'")) as caught:
        diamond().visualize(tmp_path / "a.png")
    assert caught.value.missing == "resvg_py"
    assert not list(tmp_path.iterdir())
    assert diamond().visualize(tmp_path / "a.svg").svg  # which needs nothing


def test_png_without_any_font_is_an_error_and_not_a_picture_without_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", SimpleNamespace(svg_to_bytes=lambda **_: b"blank"))
    with pytest.raises(PictureError, match="no font"):
        diamond().visualize().png()


# --- Mermaid and text -----------------------------------------------------------------------------------------------


def lines_of(picture: Picture) -> list[str]:
    return [line.strip() for line in picture.mermaid.splitlines()]


def test_mermaid_has_every_box_every_frame_and_every_arrow() -> None:
    picture = nested().visualize(depth=None, orient="LR")
    lines = lines_of(picture)
    assert lines[0] == "flowchart LR"
    boxes = [line for line in lines if re.match(r"n\d+[(\[@]", line)]
    assert len(boxes) == len(list(picture.scene.boxes()))
    arrows = [line for line in lines if re.fullmatch(r"n\d+ (-->|-\.->)(\|.*\|)? n\d+", line)]
    assert len(arrows) == len(set(arrows)) == len(picture.scene.arrows)
    assert sum(line.startswith("subgraph") for line in lines) == sum(line == "end" for line in lines) == 2
    assert 'subgraph p1["document\u00a0 over texts"]' in lines


def test_mermaid_tells_outputs_of_one_node_apart() -> None:
    assert 'n3 -->|"low, high"| n5' in lines_of(diamond().visualize())


def test_mermaid_shows_a_mapped_pipeline_as_a_stack_and_defaults_as_dashes() -> None:
    lines = lines_of(nested().visualize())
    assert any("shape: procs" in line and "over texts" in line for line in lines)
    assert any("-.->" in line for line in lines)


@pytest.mark.parametrize("style", STYLES)
def test_mermaid_has_the_colours_of_the_style(style: str) -> None:
    assert f"fill:{STYLES[style].node.fill}" in diamond().visualize(style=style).mermaid


def test_foreign_text_means_nothing_to_mermaid() -> None:
    inner = Pipeline([Node(lambda x: x, "y", name=HOSTILE)], name=HOSTILE)
    picture = Pipeline([inner, made("z", ["y", "k = 'a\"]; b'"])]).visualize(depth=None)
    labels = [text for line in lines_of(picture) for text in re.findall(r'"([^"]*)"', line)]
    assert len(labels) == len(list(picture.scene.boxes())) + 1
    for label in labels:
        plain = re.sub(r"#\d+;|<br/>|</?b>", "", label)
        assert not set(plain) & set('"<>`#;{}|\\%&\n\u202e'), label
    assert any("end#34;] --#62;" in label and "漢字" not in label for label in labels)


def test_text_says_who_takes_what_from_whom() -> None:
    assert nested().visualize(depth=None).text == (
        "search: 7 nodes\n"
        "  input urls: list[str]\n"
        "  input lower: bool = True\n"
        "  input top: int = 5\n"
        "  crawl(urls) -> texts: list[list[str]]\n"
        "  document over texts:\n"
        "    input model, bound\n"
        "    words over text:\n"
        "      clean(crawl.texts) -> int\n"
        "      split(clean, lower) -> int\n"
        "    embed(split, model) -> Vector\n"
        "    score(embed, split) -> float\n"
        "  best(score, top) -> int\n"
        "  search(best, embed, urls) -> int\n"
    )


def test_text_of_closed_pipelines_and_without_types() -> None:
    assert nested().visualize(show_types=False).text.splitlines()[4:] == [
        "  crawl(urls) -> texts",
        "  document(crawl.texts, lower) -> scores, vectors, over texts, a pipeline of 3 nodes",
        "  best(document.scores, top)",
        "  search(best, document.vectors, urls)",
    ]


def test_foreign_text_stays_on_its_line() -> None:
    text = Pipeline([Node(lambda x: x, "y", name="a\nb\x1b[2J")], name="c\nd").visualize().text
    assert text == "c d: 1 node\n  input x\n  a b\\x1b[2J(x) -> y\n"


# --- runs -----------------------------------------------------------------------------------------------------------

ROWS: list[tuple[str, Any, float, float, str]] = [
    ("load", None, 10.0, 11.0, "main"),
    ("embed", 0, 11.0, 13.0, "w1"),
    ("embed", 1, 11.5, 12.0, "w2"),
    ("embed", 2, 12.0, 13.0, "w2"),
    ("save", (2, 0), 13.0, 14.0, "main"),
]


def bars(svg: str) -> dict[str, tuple[float, float, float]]:
    """For what is said of each bar: where it begins, its width, and how far down it is."""
    root = ElementTree.fromstring(svg)
    found = {}
    for group in root.iter():
        if group.get("class") == "bar":
            rect = next(one for one in group if one.tag.endswith("rect"))
            title = next(one.text or "" for one in group if one.tag.endswith("title"))
            found[title] = tuple(float(rect.get(name, 0)) for name in ("x", "width", "y"))
    return found


def test_a_run_has_a_bar_for_each_call_as_long_as_it_took() -> None:
    found = bars(gantt(ROWS).svg)
    assert sorted(found) == [
        "embed [0] on w1: 2 s, from 1 s on",
        "embed [1] on w2: 500 ms, from 1.5 s on",
        "embed [2] on w2: 1 s, from 2 s on",
        "load on main: 1 s, from 0 s on",
        "save [2, 0] on main: 1 s, from 3 s on",
    ]
    load, save = found["load on main: 1 s, from 0 s on"], found["save [2, 0] on main: 1 s, from 3 s on"]
    embed = found["embed [0] on w1: 2 s, from 1 s on"]
    assert embed[1] == pytest.approx(2 * load[1], abs=0.1)
    assert embed[0] == pytest.approx(load[0] + load[1], abs=0.1)
    assert save[0] + save[1] == pytest.approx(load[0] + 4 * load[1], abs=0.1)


@pytest.mark.parametrize("by", ["name", "where"])
def test_calls_at_the_same_time_do_not_hide_each_other(by: Any) -> None:
    rows = [(f"n{i % 3}", i, i * 0.1, i * 0.1 + 0.7, f"w{i % 2}") for i in range(40)]
    found = list(bars(gantt(rows, by=by).svg).values())
    for i, (x, width, y) in enumerate(found):
        others = [o for j, o in enumerate(found) if j != i and o[2] == y]
        assert not [o for o in others if x + 0.05 < o[0] + o[1] and o[0] + 0.05 < x + width]


def test_rows_are_nodes_or_workers() -> None:
    def rows(svg: str) -> list[str]:
        root = ElementTree.fromstring(svg)
        return ["".join(one[1].itertext()) for one in root.iter() if one.get("class") == "row"]

    assert rows(gantt(ROWS).svg) == ["load", "embed", "save"]
    assert rows(gantt(ROWS, by="where").svg) == ["main", "w1", "w2"]


def test_a_run_is_written_as_picture_and_page(tmp_path: Path) -> None:
    chart = gantt(ROWS, title=HOSTILE, style="dark")
    assert chart.save(tmp_path / "run.html").read_text("utf-8") == chart.html
    ElementTree.fromstring(chart.svg)
    assert STYLES["dark"].paper in chart.svg
    assert repr(gantt(ROWS)) == "<timings of 'run': 5 calls>"
    with pytest.raises(PictureError, match="'mmd'"):
        chart.save(tmp_path / "run.mmd")


def test_foreign_names_of_a_run_are_only_text() -> None:
    root = ElementTree.fromstring(gantt([("</svg><script>", "<&\x00>", 0.0, 1.0, "\ud800\"'")], by="where").svg)
    assert not [one for one in root.iter() if one.tag.endswith("script")]


def test_a_run_of_nothing_and_a_run_of_very_much_say_so() -> None:
    assert "Nothing has run." in gantt([]).svg
    many = gantt([("f", i, float(i), i + 0.5 + i / 10_000, "w") for i in range(5_003)]).svg
    assert "The longest 5,000 of 5,003 calls are drawn." in many
    assert many.count('class="bar"') == 5_000
    assert "f [3] " in many
    assert "f [2] " not in many


def test_a_call_that_takes_no_time_is_seen() -> None:
    assert [width for _, width, _ in bars(gantt([("f", None, 5.0, 5.0, "")]).svg).values()] == [1.0]


@pytest.mark.parametrize(("start", "end"), [(2.0, 1.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_times_that_cannot_be_are_refused(start: float, end: float) -> None:
    with pytest.raises(PictureError, match="'f' is said to run from"):
        gantt([("f", None, start, end, "w")])


def test_rows_by_something_else_are_refused() -> None:
    with pytest.raises(ValueError, match="by 'name' or by 'where', not by 'item'"):
        gantt(ROWS, by="item")  # type: ignore[arg-type]  # that is the test


def test_picture_of_is_visualize() -> None:
    assert picture_of(diamond(), orient="LR").svg == diamond().visualize(orient="LR").svg
