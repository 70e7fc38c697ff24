from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from pipe_core.cli import exits

Pipe = Callable[..., Result]

TEXTS = """
from pipe_core import Pipeline, node

@node(output_name="words")
def split(text: str) -> list[str]:
    raise AssertionError("it runs")

@node
def longest(words, at_least=2):
    raise AssertionError("it runs")

pipeline = Pipeline([longest, split], name="texts")
shelf = Pipeline([pipeline.as_node(map_over="text")], name="shelf")
_private = pipeline
number = 3
"""


@pytest.fixture(autouse=True)
def texts(folder: Path) -> None:
    """A file with two pipelines."""
    (folder / "texts.py").write_text(TEXTS, encoding="utf-8")


def test_a_pipeline_is_shown_as_text(pipe: Pipe) -> None:
    result = pipe("graph", "texts.py:pipeline")

    assert result.exit_code == exits.OK, result.stderr
    assert result.stdout.splitlines()[:3] == ["texts: 2 nodes", "  input text: str", "  input at_least = 2"]
    assert "split(text) -> words: list[str]" in result.stdout


def test_depth_opens_pipelines_inside(pipe: Pipe) -> None:
    assert "split(" not in pipe("graph", "texts.py:shelf").stdout
    for depth in ("2", "all"):
        assert "split(" in pipe("graph", "texts.py:shelf", "--depth", depth).stdout


@pytest.mark.parametrize(("name", "begins"), [("a.svg", "<svg"), ("a.mmd", "flowchart LR"), ("a.html", "<!doctype")])
def test_it_is_drawn_to_a_file(pipe: Pipe, folder: Path, name: str, begins: str) -> None:
    result = pipe("graph", "texts.py:shelf", "-o", name, "--depth", "all", "--orient", "LR", "--style", "dark")

    assert (result.exit_code, result.stdout) == (exits.OK, f"Wrote {name}\n")
    drawn = (folder / name).read_text(encoding="utf-8")
    assert begins in drawn[:2000]
    assert "split" in drawn


def test_style_changes_the_picture(pipe: Pipe, folder: Path) -> None:
    for style in ("dark", "minimal"):
        pipe("graph", "texts.py:pipeline", "-o", f"{style}.svg", "--style", style)

    assert (folder / "dark.svg").read_text() != (folder / "minimal.svg").read_text()


def test_json_has_nodes_inputs_outputs_and_edges(pipe: Pipe) -> None:
    told = json.loads(pipe("graph", "texts.py:pipeline", "--json").stdout)

    assert told["pipeline"] == "texts"
    assert told["inputs"] == [
        {"name": "text", "type": "str", "required": True, "bound": False, "default": None},
        {"name": "at_least", "type": None, "required": False, "bound": False, "default": "2"},
    ]
    assert told["outputs"] == [{"name": "longest", "type": None}, {"name": "words", "type": "list[str]"}]
    assert [one["name"] for one in told["nodes"]] == ["split", "longest"]
    assert told["edges"] == [{"from": "split", "to": "longest", "name": "words"}]
    (shelf,) = json.loads(pipe("graph", "texts.py:shelf", "--json").stdout)["nodes"]
    assert (shelf["map_over"], shelf["pipeline"]["edges"]) == (["text"], told["edges"])


def test_the_plan_says_what_a_run_would_do(pipe: Pipe) -> None:
    text = pipe("graph", "texts.py:pipeline", "--plan").stdout
    data = json.loads(pipe("graph", "texts.py:pipeline", "--plan", "--json").stdout)

    assert "It lacks an input: text (for split)" in text
    assert [[one["node"] for one in level] for level in data["levels"]] == [["split"], ["longest"]]


def test_the_plan_estimates_from_timings(pipe: Pipe, folder: Path) -> None:
    call = {"node": "split", "item": [], "start": 1.0, "end": 3.5}
    (folder / "run.json").write_text(json.dumps({"calls": [call]}))
    text = pipe("graph", "texts.py:pipeline", "--plan", "--timings", "run.json").stdout
    data = json.loads(pipe("graph", "texts.py:pipeline", "--plan", "--json", "--timings", "run.json").stdout)

    assert "As before it takes at least 2.5 s" in text
    assert "Not known: longest" in text
    assert (data["estimate"]["seconds"], data["estimate"]["unknown"]) == (2.5, ["longest"])


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("texts.py:pipelin",), exits.USAGE, "Did you mean 'pipeline'? The pipelines there: pipeline, shelf."),
        (("texts.py",), exits.USAGE, "does not say which pipeline: write texts.py:pipeline"),
        (("pipeline",), exits.USAGE, "write file.py:pipeline. For one of a project: there is no project in"),
        (("texts.py:_private",), exits.USAGE, "private"),
        (("text.py:pipeline",), exits.USAGE, "Did you mean 'texts.py'?"),
        (("texts.py:number",), exits.CONFIGURATION, "of type int, no pipeline"),
        (("broken.py:pipeline",), exits.CONFIGURATION, "broken.py"),
        (("texts.py:pipeline", "-o", "a.bmp"), exits.USAGE, "svg"),
        (("texts.py:pipeline", "-o", "no/a.svg"), exits.USAGE, "There is no folder 'no'"),
        (("texts.py:pipeline", "-o", "a.svg", "--style", "drak"), exits.USAGE, "Did you mean 'dark'?"),
        (("texts.py:pipeline", "--depth", "0"), exits.USAGE, "whole number from 1 on"),
        (("texts.py:pipeline", "--style", "dark"), exits.USAGE, "Add -o"),
        (("texts.py:pipeline", "--orient", "LR", "-o", "a.txt"), exits.USAGE, "Add -o"),
        (("texts.py:pipeline", "--plan", "--depth", "2"), exits.USAGE, "--depth is for pictures"),
        (("texts.py:pipeline", "--json", "-o", "a.svg"), exits.USAGE, "Leave one of them out"),
        (("texts.py:pipeline", "--timings", "run.json"), exits.USAGE, "Add --plan"),
        (("texts.py:pipeline", "--plan", "--timings", "no.json"), exits.USAGE, "'no.json' cannot be read"),
    ],
)
def test_mistakes(pipe: Pipe, folder: Path, words: tuple[str, ...], code: int, told: str) -> None:
    (folder / "broken.py").write_text("pipeline = Pipeline([])\n")

    result = pipe("graph", *words)

    assert (result.exit_code, result.stdout) == (code, "")
    assert told in result.stderr
    assert not list(folder.glob("a.*"))


def test_the_plan_follows_settings(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPE_EXECUTOR", "snyc")

    result = pipe("graph", "texts.py:pipeline", "--plan")

    assert result.exit_code == exits.CONFIGURATION
    assert "PIPE_EXECUTOR" in result.stderr
