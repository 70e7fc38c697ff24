"""The benchmarks run, and what they say of each other is computed rightly."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of the benchmarks, which are scripts and no package."""
    before = set(sys.modules)

    def load(name: str) -> ModuleType:
        return import_module(name)

    monkeypatch.syspath_prepend(str(HERE))
    yield load
    for name in set(sys.modules) - before:
        if (path := getattr(sys.modules[name], "__file__", None)) and Path(path).parent == HERE:
            del sys.modules[name]


def test_orders_are_the_same_every_time_and_as_many_bad_as_said(module: Any) -> None:
    from pydantic import ValidationError

    orders, schema = module("orders"), module("schema")
    first, second = list(orders.orders(2000)), list(orders.orders(2000))
    assert first == second
    wrong = set()
    for order in first:
        try:
            schema.Order.model_validate(order)
        except ValidationError as error:
            wrong.add((order["order_id"], error.errors()[0]["loc"]))
    assert len(wrong) == orders.bad_count(2000) == 40
    assert {place for _, place in wrong} == {("email",), ("age",), ("amount",), ("status",)}


def test_csv_and_json_lines_hold_the_same_orders(module: Any, tmp_path: Path) -> None:
    import csv

    orders = module("orders")
    with open(orders.prepared(tmp_path, "csv", 300), newline="", encoding="utf-8") as file:
        texts = list(csv.DictReader(file))
    lines = orders.prepared(tmp_path, "jsonl", 300).read_text(encoding="utf-8").splitlines()
    assert [int(text["order_id"]) for text in texts] == [json.loads(line)["order_id"] for line in lines]
    assert [text["customer"] for text in texts] == [order["customer"] for order in orders.orders(300)]


def test_a_ratio_is_taken_within_rounds(module: Any) -> None:
    command = module("command")

    def runs(*seconds: float) -> list[Any]:
        return [command.Measured(one, one, 0, "", "") for one in seconds]

    # The second round was slow for both, the third for one of them.
    assert command.times_as_fast(runs(1, 10, 9), runs(2, 20, 3)) == 2


def test_a_command_that_fails_says_why(module: Any) -> None:
    command = module("command")
    with pytest.raises(command.CommandFailedError, match="no luck"):
        command.measure([sys.executable, "-c", "raise SystemExit('no luck')"])


def test_output_of_another_length_or_other_bytes_is_refused(module: Any, tmp_path: Path) -> None:
    flows = module("flows")
    program = "import sys; [open(path, 'w').write(text) for path, text in zip(sys.argv[2:4], sys.argv[4:])]"
    arena = flows.Arena(tmp_path, 100)

    def run(good: str, bad: str) -> None:
        contender = flows.Contender("liar", lambda *paths: [sys.executable, "-c", program, *map(str, paths), good, bad])
        arena.run("csv", contender)

    with pytest.raises(flows.WrongOutputError, match="5 lines to good"):
        run("x\n" * 5, "y\n" * 2)
    with pytest.raises(flows.WrongOutputError, match="3 lines to bad"):
        run("x\n" * 98, "y\n" * 3)
    run("x\n" * 98, "y\n" * 2)
    with pytest.raises(flows.WrongOutputError, match="other bytes to good"):
        run("z\n" * 98, "y\n" * 2)


@pytest.mark.parametrize(
    ("value", "better", "reached"), [(2.0, "more", True), (1.9, "more", False), (2.1, "less", False)]
)
def test_a_figure_knows_whether_it_reached_its_target(module: Any, value: float, better: str, reached: bool) -> None:
    figures = module("figures")
    assert figures.Figure("speed", value, "x", 2.0, better).reached is reached
    assert figures.Figure("speed", value, "x").reached is None


def test_results_replace_those_between_the_markers_of_a_page(module: Any, tmp_path: Path) -> None:
    results, page = module("results"), tmp_path / "page.md"
    page.write_text(f"before\n{results.BEGIN}\nold\n{results.END}\nbehind\n")
    results.write_page(page, "new\n")
    assert page.read_text() == f"before\n{results.BEGIN}\n\nnew\n\n{results.END}\nbehind\n"
    page.write_text("no markers")
    with pytest.raises(ValueError, match="no markers"):
        results.write_page(page, "new\n")


def test_the_page_of_the_manual_has_the_markers(module: Any) -> None:
    results = module("results")
    text = (HERE.parents[1] / "docs" / "pages" / "benchmarks.md").read_text(encoding="utf-8")
    assert text.count(results.BEGIN) == text.count(results.END) == 1


@pytest.mark.skipif(
    find_spec("zoopipe") is None, reason="zoopipe, which is compared with, is installed by tox -e bench"
)
def test_a_quick_run_measures_everything_and_writes_it_down(tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "run.py"), "--quick", "--results", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    figures = [figure for section in found["sections"] for figure in section["figures"]]
    assert {"import pipe_core", "speed with two hooks against without"} <= {figure["name"] for figure in figures}
    assert all(figure["value"] > 0 for figure in figures)
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert all(name in text for name in ("plain loop", "ZooPipe", "floor", "these figures say nothing"))
    assert "pipe_core" in (tmp_path / "evidence.txt").read_text(encoding="utf-8")
