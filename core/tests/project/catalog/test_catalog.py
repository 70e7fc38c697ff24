"""Data sets by name: what is saved comes back as it was asked for, and what is wrong is told with its place."""

from __future__ import annotations

import gzip
import json
import pickle
import shutil
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from pydantic import BaseModel, Field, ValidationError

from pipe_core.kernel.errors import PipeError, TargetExistsError
from pipe_core.project.catalog import (
    Catalog,
    DatasetError,
    DatasetNotFoundError,
    DatasetRecordError,
    UnknownDatasetError,
)
from pipe_core.project.config.models import DatasetConfig

ROWS = [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}]


class Order(BaseModel):
    id: int
    name: str = "none"
    day: date | None = Field(default=None, exclude=True)


@dataclass
class Point:
    x: int
    y: float


def catalog(folder: Path, **datasets: Any) -> Catalog:
    return Catalog(datasets, folder=folder, places={"orders": "pipe.yaml:12"})


def one(folder: Path, path: str, **said: Any) -> Catalog:
    return catalog(folder, orders={"path": path, **said})


# --- values ---


@pytest.mark.parametrize("path", ["a.csv", "deep/er/a.jsonl", "a.json", "a.jsonl.gz", "a.csv/"])
def test_records_come_back(path: str, tmp_path: Path) -> None:
    orders = one(tmp_path, path, schema=Order)
    assert not orders.exists("orders")
    orders.save("orders", iter(ROWS))
    assert orders.exists("orders")
    assert orders.load("orders") == [Order(**row) for row in ROWS]


def test_what_is_given_may_be_models_dataclasses_or_a_generator_and_stays_as_it_is(tmp_path: Path) -> None:
    orders = one(tmp_path, "orders.jsonl")
    given = list(ROWS)
    for value, expected in (
        (given, ROWS),
        ((dict(row) for row in ROWS), ROWS),
        ([Order(id=3)], [{"id": 3, "name": "none"}]),
        ((Point(1, 2.5), Point(3, 4)), [{"x": 1, "y": 2.5}, {"x": 3, "y": 4.0}]),
        ([], []),
    ):
        orders.save("orders", value)
        assert orders.load("orders") == expected
    assert given == ROWS


@pytest.mark.parametrize("value", [{"accuracy": 0.9, "of": [1, 2]}, 3, "text", None, [1, 2], ROWS, {"big": 10**30}])
def test_json_holds_any_value(value: Any, tmp_path: Path) -> None:
    metrics = one(tmp_path, "metrics.json")
    metrics.save("orders", value)
    assert metrics.load("orders") == value
    json.loads((tmp_path / "metrics.json").read_text())


def test_one_model_as_json(tmp_path: Path) -> None:
    best = one(tmp_path, "best.json.gz", schema=Order)
    best.save("orders", {"id": "7"})
    assert best.load("orders") == Order(id=7)
    assert json.loads(gzip.decompress((tmp_path / "best.json.gz").read_bytes())) == {"id": 7, "name": "none"}


def test_text_and_bytes(tmp_path: Path) -> None:
    texts = catalog(tmp_path, text={"path": "a.txt", "as": "text"}, data={"path": "a.bin", "as": "bytes"})
    texts.save("text", "zwölf\r\n")
    texts.save("data", b"\0\xff")
    assert (texts.load("text"), texts.load("data")) == ("zwölf\r\n", b"\0\xff")
    with pytest.raises(DatasetError, match="holds text, and a value of type int"):
        texts.save("text", 3)


def test_pickles_only_where_they_are_allowed(tmp_path: Path) -> None:
    said = {"model": {"path": "model.pkl"}, "other": {"path": "other.bin", "format": "pickle"}}
    allowed = Catalog(said, folder=tmp_path, allow_pickle=True)
    for name in said:
        allowed.save(name, {1, 2})
        assert allowed.load(name) == {1, 2}
    refused = Catalog(said, folder=tmp_path)
    for name in said:
        with pytest.raises(DatasetError, match="allow_pickle"):
            refused.load(name)
        with pytest.raises(DatasetError, match="allow_pickle"):
            refused.save(name, 1)
    assert pickle.loads((tmp_path / "model.pkl").read_bytes()) == {1, 2}


def test_options_of_the_format(tmp_path: Path) -> None:
    orders = one(tmp_path, "orders.txt", format="csv", options={"delimiter": ";", "null_values": ["-"]})
    (tmp_path / "orders.txt").write_text("id;name\n1;-\n")
    assert orders.load("orders") == [{"id": "1", "name": None}]


# --- modes ---


def test_modes(tmp_path: Path) -> None:
    said = {"path": "a.jsonl"}
    modes = Catalog(
        {mode: {**said, "mode": mode} for mode in ("overwrite", "append", "error", "ignore")}, folder=tmp_path
    )
    modes.save("ignore", ROWS)
    modes.save("ignore", [{"id": 9}])
    with pytest.raises(TargetExistsError, match="The data set 'error'"):
        modes.save("error", ROWS)
    modes.save("append", iter(ROWS[:1]))
    assert modes.load("append") == [*ROWS, ROWS[0]]
    modes.save("overwrite", ROWS)
    assert modes.load("ignore") == ROWS


def test_an_ignored_value_is_not_even_read(tmp_path: Path) -> None:
    def value() -> Iterator[Any]:
        raise AssertionError("it was read")
        yield

    orders = one(tmp_path, "a.csv", mode="ignore")
    orders.save("orders", ROWS)
    orders.save("orders", value())
    assert len(orders.load("orders")) == 2


@pytest.mark.parametrize("path", ["a.jsonl", "a.csv", "a.jsonl.gz", "a.csv/"])
def test_appending_shows_nothing_before_the_commit(path: str, tmp_path: Path) -> None:
    orders = one(tmp_path, path, mode="append")
    orders.save("orders", ROWS)
    staged = orders.stage("orders", ROWS)
    assert len(orders.load("orders")) == 2
    staged.commit()
    assert len(orders.load("orders")) == 4


def test_what_came_behind_a_staged_append_is_not_lost(tmp_path: Path) -> None:
    orders = one(tmp_path, "a.jsonl", mode="append")
    orders.save("orders", ROWS)
    staged = orders.stage("orders", ROWS)
    orders.save("orders", [{"id": 3}])
    with pytest.raises(PipeError, match="was changed"):
        staged.commit()
    assert [row["id"] for row in orders.load("orders")] == [1, 2, 3]


# --- two phases ---


@pytest.mark.parametrize(
    ("path", "value"), [("a.csv", ROWS), ("a.jsonl/", ROWS), ("a.json", {"x": 1}), ("a.pkl", {1}), ("a.txt", "text")]
)
def test_a_staged_value_is_committed_by_another_catalog(path: str, value: Any, tmp_path: Path) -> None:
    said = {"orders": {"path": path, **({"as": "text"} if path == "a.txt" else {})}}
    first = Catalog(said, folder=tmp_path, allow_pickle=True)
    state = json.loads(json.dumps(first.stage("orders", value).state))
    first.close()
    assert not first.exists("orders")
    for _ in range(3):
        other = Catalog(said, folder=tmp_path, allow_pickle=True)
        other.settle("orders", state)
    loaded = other.load("orders")
    assert loaded == value or loaded == [{name: str(cell) for name, cell in row.items()} for row in ROWS]
    assert [path.name for path in tmp_path.iterdir()] == [path.strip("/")]


@pytest.mark.parametrize("path", ["a.csv", "a.jsonl/"])
def test_what_is_not_wanted_goes(path: str, tmp_path: Path) -> None:
    orders = one(tmp_path, path)
    orders.save("orders", ROWS[:1])
    orders.stage("orders", ROWS).abort()
    staged = orders.stage("orders", ROWS)
    staged.close()
    assert len(list(tmp_path.iterdir())) == 2
    orders.abandon("orders", staged.state)
    assert [path.name for path in tmp_path.iterdir()] == [path.strip("/")]
    assert len(orders.load("orders")) == 1
    with pytest.raises(PipeError, match=r"The data set 'orders' \(pipe.yaml:12\).*cannot be found"):
        orders.settle("orders", staged.state)


@pytest.mark.parametrize("path", ["a.csv", "a.jsonl/"])
def test_a_later_value_supersedes_what_was_left(path: str, tmp_path: Path) -> None:
    orders = one(tmp_path, path)
    staged = orders.stage("orders", ROWS)
    staged.close()
    orders.save("orders", ROWS[:1])
    with pytest.raises(PipeError, match="Has a later run written there"):
        orders.settle("orders", staged.state)
    assert [path.name for path in tmp_path.iterdir()] == [path.strip("/")]
    assert len(orders.load("orders")) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there is no /dev/null")
def test_where_nothing_can_be_kept_back_it_is_said(tmp_path: Path) -> None:
    nowhere = one(tmp_path, "/dev/null", format="jsonl")
    staged = nowhere.stage("orders", ROWS)
    assert (staged.delivery, staged.records) == ("at-least-once", 2)
    staged.commit()
    nowhere.settle("orders", staged.state)
    assert one(tmp_path, "a.csv").stage("orders", ROWS).delivery == "exactly-once"


def test_a_value_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[Any]:
        yield ROWS[0]
        raise RuntimeError("broken")

    for path in ("a.csv", "b.jsonl/", "c.json"):
        with pytest.raises(RuntimeError, match="broken"):
            one(tmp_path, path).save("orders", broken())
    assert list(tmp_path.iterdir()) == []


# --- what is wrong ---


def test_a_name_that_is_unknown(tmp_path: Path) -> None:
    orders = one(tmp_path, "a.csv")
    with pytest.raises(UnknownDatasetError, match="Did you mean 'orders'") as caught:
        orders.load("order")
    assert caught.value.known == ("orders",)
    assert ("orders" in orders, "order" in orders, orders.names) == (True, False, ("orders",))


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    for path in ("a.csv", "a.json", "a.jsonl/", "a.pkl"):
        missing = Catalog({"orders": {"path": path}}, folder=tmp_path, allow_pickle=True, places={"orders": "p:3"})
        with pytest.raises((DatasetNotFoundError, PipeError), match=r"The data set 'orders' \(p:3\).*a\."):
            missing.load("orders")
    with pytest.raises(FileNotFoundError):
        one(tmp_path, "a.csv").load("orders")


def test_a_record_that_is_not_as_the_schema_says(tmp_path: Path) -> None:
    orders = one(tmp_path, "a.jsonl", schema=Order)
    with pytest.raises(
        DatasetRecordError, match=r"position 1 is no Order: the field 'id' is 'x': Input should"
    ) as caught:
        orders.save("orders", [{"id": 1}, {"id": "x"}])
    error = caught.value
    assert (error.dataset, error.position, error.field, error.value) == ("orders", 1, "id", "x")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a.jsonl").write_text('{"id": 1}\n{"name": "x"}\n')
    missing = r"position 1 is no Order: the field 'id' is missing in \{'name': 'x'\}\.$"
    with pytest.raises(DatasetRecordError, match=missing):
        orders.load("orders")
    (tmp_path / "a.jsonl").write_text('{"id": "?", "name": 1}\n')
    with pytest.raises(DatasetRecordError, match=r"'id' is '\?': Input should .* \(and 1 more: name\)\.$"):
        orders.load("orders")


def test_a_record_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1}\n{"id": NaN}\n')
    with pytest.raises(DatasetRecordError, match=r"pipe.yaml:12\): the record at position 1 cannot be read"):
        one(tmp_path, "a.jsonl").load("orders")


def test_what_is_no_value_for_it(tmp_path: Path) -> None:
    for value in ("text", 3, None, {"id": 1}):
        with pytest.raises(DatasetError, match="holds records"):
            one(tmp_path, "a.csv").save("orders", value)
    for value in ({"x": float("nan")}, {"x": object()}):
        with pytest.raises(DatasetError, match="cannot be written"):
            one(tmp_path, "a.json").save("orders", value)
    (tmp_path / "a.json").write_text('{"a": 1, "a": 2}')
    with pytest.raises(DatasetError, match="'a' is there twice"):
        one(tmp_path, "a.json").load("orders")


def test_a_mode_or_key_that_is_unknown_is_refused_at_once(tmp_path: Path) -> None:
    for said in ({"mode": "replace"}, {"pth": "x"}):
        with pytest.raises(ValidationError):
            one(tmp_path, "a.csv", **said)


def test_a_format_that_is_not_installed(tmp_path: Path) -> None:
    with pytest.raises(PipeError, match=r"The data set 'orders'.*xyz"):
        one(tmp_path, "a.xyz").load("orders")


# --- everywhere ---


def test_nothing_is_looked_at_before_it_is_needed_and_it_travels(tmp_path: Path) -> None:
    said = DatasetConfig.model_validate({"path": "a.csv", "schema": "models.py:Row", "options": {"delimiter": ";"}})
    orders = cloudpickle.loads(cloudpickle.dumps(Catalog({"orders": said}, folder=tmp_path / "later")))
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "models.py").write_text(
        "from pydantic import BaseModel\nclass Row(BaseModel):\n    id: int\n"
    )
    orders.save("orders", [{"id": "1"}])
    again = cloudpickle.loads(cloudpickle.dumps(orders))
    assert [row.id for row in again.load("orders")] == [1]
    assert again.dataset("orders") == said


def test_threads_share_one(tmp_path: Path) -> None:
    many = Catalog({f"d{i}": {"path": f"{i}.jsonl"} for i in range(8)}, folder=tmp_path)

    def work(number: int) -> list[Any]:
        for _ in range(5):
            many.save(f"d{number}", [{"n": number}] * number)
        loaded: list[Any] = many.load(f"d{number}")
        return loaded

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(8))) == [[{"n": i}] * i for i in range(8)]


# --- secrets ---


@pytest.mark.parametrize("path", ["${secret:PLACE}/a.csv", "${secret:PLACE}.jsonl/", "${secret:PLACE}.json"])
def test_no_error_shows_a_secret(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "c4nary")
    orders = one(tmp_path, path, mode="error")
    errors: list[BaseException] = []

    def tried(call: Any) -> None:
        with pytest.raises(PipeError) as caught:
            call()
        errors.append(caught.value)

    tried(lambda: orders.load("orders"))
    orders.save("orders", [{"n": 1}])
    tried(lambda: orders.save("orders", [{"n": 2}]))
    tried(lambda: orders.settle("orders", {"parts": [{"whole": False, "folder": "", "mode": "error", "sink": {}}]}))
    staged = one(tmp_path, path).stage("orders", [{"n": 3}])
    shutil.rmtree(tmp_path)
    tried(staged.commit)
    (tmp_path.parent / tmp_path.name).write_text("a file in the place of its folder")
    tried(lambda: orders.save("orders", [{"n": 2}]))
    tmp_path.unlink()
    for error in errors:
        shown = "".join(traceback.format_exception(error)) + repr(vars(error))
        assert "c4nary" not in shown, shown
        assert "The data set 'orders'" in str(error)


def test_one_error_for_two_data_sets_tells_of_each(tmp_path: Path) -> None:
    """A plugin that is broken has one error, which the kernel raises again and again."""
    from pipe_core.kernel.errors import PluginError
    from pipe_core.project.catalog.errors import told_of

    class Told:
        def __init__(self, name: str) -> None:
            self.name, self.title, self.has_secrets = name, f"The data set {name}", False

        def hide(self, text: str) -> str:
            return text

    broken = PluginError("The format 'odd' is broken.", family="formats", name="odd")
    for name in ("a", "b", "a"):
        with pytest.raises(PluginError) as caught, told_of(Told(name)):
            raise broken
        assert str(caught.value) == f"The data set {name}: The format 'odd' is broken."
