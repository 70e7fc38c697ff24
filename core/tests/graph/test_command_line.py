"""A pipeline as a command: options from its inputs, outputs as JSON, mistakes as a line and an exit code."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pipe_core import Pipeline, node
from pipe_core.graph.annotations import UNKNOWN
from pipe_core.graph.text_values import TextError, TextReader, plain
from pipe_core.looks import exits

Cli = Callable[..., tuple[int, str, str]]


class Point(BaseModel):
    x: int
    y: int = 0


class Colour(enum.Enum):
    RED = "red"


@node(output_name="words")
def split(text: str) -> list[str]:
    """Take it apart."""
    print("splitting")
    return text.split()


@node
def frequent(words: list[str], at_least: int = 2) -> list[str]:
    return sorted({word for word in words if words.count(word) >= at_least})


TEXTS = Pipeline([split, frequent], name="texts")


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Calls a pipeline's command, and gives the exit code and what it wrote."""

    def call(pipeline: Pipeline, *words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            pipeline.cli(words)
        written = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, written.out, written.err

    return call


def test_outputs_are_json_and_what_nodes_print_is_elsewhere(cli: Cli) -> None:
    code, out, err = cli(TEXTS, "--text", "a b a")

    assert (code, json.loads(out), err) == (exits.OK, {"words": ["a", "b", "a"], "frequent": ["a"]}, "splitting\n")


def test_options_have_dashes_or_underscores(cli: Cli) -> None:
    for switch in ("--at-least", "--at_least"):
        assert json.loads(cli(TEXTS, "--text", "a b", switch, "1")[1])["frequent"] == ["a", "b"]


def test_only_the_outputs_that_are_asked_for_are_computed(cli: Cli) -> None:
    assert json.loads(cli(TEXTS, "--text", "a", "--output", "words")[1]) == {"words": ["a"]}
    both = Pipeline([split, node(output_name="n")(lambda number: number)])
    assert json.loads(cli(both, "--output", "n", "--number", "3")[1]) == {"n": 3}


def test_help_says_what_the_pipeline_is(cli: Cli) -> None:
    code, out, _ = cli(TEXTS, "--help")

    assert code == exits.OK
    for text in ("Run the pipeline 'texts'", "split -> words: Take it apart.", "[required]", "[default: 2]", "int"):
        assert text in out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((), exits.USAGE, "Missing option '--text'."),
        (("--text", "a", "--at-least", "x"), exits.USAGE, "'--at-least': Input should be a valid integer"),
        (("--text", "a", "--output", "wrods"), exits.USAGE, "Did you mean 'words'?"),
        (("--text", "a", "--engine", "snyc"), exits.USAGE, "Did you mean 'sync'?"),
        (("--txt", "a"), exits.USAGE, "--txt"),
        (("--text", "a", "--map-over", "text"), exits.USAGE, "it wants a JSON list"),
        (("--text", "a", "--map-over", "at_least"), exits.USAGE, "names no input that is given"),
        (("--text", "[1]", "--map-over", "text"), exits.USAGE, "item 0: Input should be a valid string"),
        (("--text", "@none.txt", "--map-over", "text"), exits.USAGE, "'none.txt' cannot be read"),
    ],
)
def test_mistakes_are_a_line_and_an_exit_code(cli: Cli, words: tuple[str, ...], code: int, told: str) -> None:
    found, out, err = cli(TEXTS, *words)

    assert (found, out) == (code, "")
    assert told in err
    assert "Traceback" not in err


def test_what_a_node_raises_is_told_with_its_note(cli: Cli) -> None:
    share = Pipeline([node(output_name="share")(lambda people: 12 / people)])

    code, out, err = cli(share, "--people", "0")

    assert (code, out) == (exits.RUN_FAILED, "")
    assert err == "Error: ZeroDivisionError: division by zero\nIn node 'share', called with people=0\n"
    assert "Traceback" in cli(share, "--people", "0", "--traceback")[2]


def test_it_maps_over_json_and_files(cli: Cli, tmp_path: Path) -> None:
    def rows(text: str, *more: str) -> Any:
        return json.loads(cli(TEXTS, "--text", text, "--map-over", "text", "--output", "words", *more)[1])

    (tmp_path / "a.txt").write_text("one two\n\nthree\r\n")
    (tmp_path / "a.jsonl").write_text('"one two"\n"three"\n')
    (tmp_path / "a.json").write_text('["one two", "three"]')
    wanted = [{"words": ["one", "two"]}, {"words": ["three"]}]

    assert rows('["one two", "three"]') == wanted
    assert [rows(f"@{tmp_path}/a.{kind}") for kind in ("txt", "jsonl", "json")] == [wanted] * 3


def test_it_maps_over_several_inputs(cli: Cli) -> None:
    pairs = Pipeline([node(output_name="pair")(lambda a, b: [a, b])])
    words = ("--a", "[1, 2]", "--b", "[3, 4]", "--map-over", "a", "--map-over", "b")

    assert [row["pair"] for row in json.loads(cli(pairs, *words)[1])] == [[1, 3], [2, 4]]
    assert len(json.loads(cli(pairs, *words, "--map-mode", "product")[1])) == 4
    assert cli(pairs, "--a", "[1]", *words[2:])[0] == exits.USAGE


def test_engine_says_where_it_runs(cli: Cli) -> None:
    here = Pipeline([node(output_name="thread")(lambda: threading.current_thread().name)])

    assert json.loads(cli(here, "--engine", "sync")[1]) == {"thread": threading.current_thread().name}


def test_an_input_with_the_name_of_an_option_has_another_one(cli: Cli) -> None:
    odd = Pipeline([node(output_name="both")(lambda output, help: [output, help])])

    assert json.loads(cli(odd, "--input-output", "1", "--input-help", "2")[1]) == {"both": [1, 2]}


def test_what_no_text_can_be_must_be_bound(cli: Cli) -> None:
    class Client: ...

    def use(client: Client, size: int = 1) -> int:
        return size

    use.__annotations__["client"] = Client
    code, _, err = cli(Pipeline([use]))
    assert code == exits.RUN_FAILED
    assert "pipeline.bind(client=...).cli()" in err
    assert json.loads(cli(Pipeline([use]).bind(client=Client()), "--size", "3")[1]) == {"use": 3}


def test_a_pipeline_inside_that_is_mapped_takes_a_list(cli: Cli) -> None:
    outer = Pipeline([Pipeline([frequent.fn], name="f").as_node(map_over="at_least")])

    code, out, err = cli(outer, "--words", '["a", "a", "b"]', "--at-least", "[1, 2]")

    assert (code, err) == (exits.OK, "")
    assert json.loads(out) == {"frequent": [["a", "b"], ["a"]]}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (str, "5", "5"),
        (int, "5", 5),
        (float, "1e3", 1000.0),
        (bool, "yes", True),
        (int | None, "null", None),
        (list[int], "[1, 2]", [1, 2]),
        (Iterable[int], "[1, 2]", [1, 2]),
        (dict[str, float], '{"a": 1}', {"a": 1.0}),
        (tuple[int, str], '[1, "a"]', (1, "a")),
        (Path, "a/b", Path("a/b")),
        (datetime.date, "2024-02-29", datetime.date(2024, 2, 29)),
        (Colour, "red", Colour.RED),
        (Point, '{"x": 1}', Point(x=1)),
        (UNKNOWN, "5", 5),
        (UNKNOWN, "five", "five"),
        (Any, "[1]", [1]),
    ],
)
def test_text_becomes_a_value_of_the_type(kind: Any, text: str, value: Any) -> None:
    found = TextReader(kind).read(text)

    assert (found, type(found)) == (value, type(value))


def test_what_is_wrong_in_json_names_its_place() -> None:
    with pytest.raises(TextError, match=r"x: Input should be a valid integer"):
        TextReader(Point).read('{"x": "a"}')


def test_plain_data_of_results() -> None:
    @dataclasses.dataclass
    class Pair:
        left: Any
        right: Any

    found = plain({1: (Point(x=1), Pair(float("nan"), {2})), "more": [None, True, 1.5, Path("a")]})

    assert found["1"] == [{"x": 1, "y": 0}, {"left": "nan", "right": "{2}"}]
    assert found["more"][:3] == [None, True, 1.5]
    assert json.loads(json.dumps(found)) == found
