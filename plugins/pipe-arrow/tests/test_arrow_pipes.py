"""Whole runs, through `Pipe`."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from arrow_files import FORMATS
from pydantic import BaseModel

from pipe_core import Pipe, SinkError, SourceError, get_format
from pipe_core.kernel.errors import PluginDependencyError
from pipe_core.project.project import Project
from pipe_core.project.runs.runner import Runner
from pipe_core.project.validation import validate_project


class Order(BaseModel):
    id: int
    name: str
    price: Decimal
    day: date
    note: str | None = None


CSV = "id,name,price,day,note\n" + "".join(f"{i},näme {i},{i}.25,2024-01-{i % 28 + 1:02d},\n" for i in range(500))


@pytest.fixture
def orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "in.csv"
    path.write_text(CSV)
    return path


@pytest.mark.parametrize("format", FORMATS)
def test_csv_there_and_back(orders: Path, format: str) -> None:
    if format == "avro":
        pytest.importorskip("fastavro")
    there = Pipe("in.csv", f"out.{format}", schema=Order, executor="sync").run()
    assert (there.valid, there.failed) == (500, 0)
    back = Pipe(f"out.{format}", "back.csv", schema=Order, executor="sync").run()
    assert (back.valid, back.failed) == (500, 0)
    assert Path("back.csv").read_text() == CSV


def test_values_arrive_as_what_the_schema_made_of_them(orders: Path) -> None:
    Pipe("in.csv", "out.parquet", schema=Order).run()
    found: list[Any] = []
    Pipe("out.parquet", found).run()
    assert found[3] == {"id": 3, "name": "näme 3", "price": Decimal("3.25"), "day": date(2024, 1, 4), "note": ""}
    assert type(found[3]["price"]) is Decimal


def test_a_record_that_has_no_place_in_the_file_goes_to_the_errors(tmp_path: Path) -> None:
    records = [{"id": 1, "x": 5}, {"id": 2, "x": 2**70}, {"id": 3, "x": 6}]
    bad: list[Any] = []
    report = Pipe(records, str(tmp_path / "out.parquet"), errors=bad).run()
    assert (report.valid, report.failed) == (2, 1)
    assert bad[0]["phase"] == "encode"
    assert bad[0]["position"] == 1
    assert "column 'x': the integer has more than 64 bits" in bad[0]["errors"][0]["message"]
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == [{"id": 1, "x": 5}, {"id": 3, "x": 6}]


def test_rejected_records_of_any_shape_fit_an_error_sink(tmp_path: Path) -> None:
    records = [
        {"id": "x"},
        {"id": [1]},
        5,
        {"id": 1, "name": "n", "price": 1, "day": "2024-01-01"},
        {"id": {"a": 2**70}},
    ]
    report = Pipe(records, [], schema=Order, errors=str(tmp_path / "bad.parquet")).run()
    assert report.failed == 4
    rows = pq.read_table(tmp_path / "bad.parquet").to_pylist()
    assert list(rows[0])[:3] == ["position", "phase", "errors"]
    assert [row["position"] for row in rows] == [0, 1, 2, 4]
    assert [json.loads(row["raw"]) for row in rows] == [{"id": "x"}, {"id": [1]}, 5, {"id": {"a": 2**70}}]
    assert json.loads(rows[0]["errors"])[0]["loc"] == ["id"]


def test_a_field_that_a_hook_adds_is_a_column(orders: Path) -> None:
    def double(entry: Any, store: Any) -> None:
        if entry["validated_data"]["id"] % 2:
            entry["validated_data"]["twice"] = entry["validated_data"]["id"] * 2

    Pipe("in.csv", "out.parquet", schema=Order, post_validation_hooks=[double]).run()
    assert pq.read_table("out.parquet").column("twice").to_pylist()[:4] == [None, 2, None, 6]


def test_part_files_through_a_pipe(orders: Path) -> None:
    for _ in range(2):
        Pipe("in.csv", "out.parquet/", schema=Order, mode="append").run()
    assert sorted(path.name for path in Path("out.parquet").iterdir()) == ["part-00000.parquet", "part-00001.parquet"]
    assert Pipe("out.parquet", schema=Order).run().valid == 1000
    assert Pipe("out.parquet/*.parquet", schema=Order).run().valid == 1000


def test_the_source_is_not_written_over(orders: Path) -> None:
    Pipe("in.csv", "out.parquet", schema=Order).run()
    with pytest.raises(SinkError, match="is the source"):
        Pipe("out.parquet", "out.parquet", mode="overwrite").run()


def test_columns_that_do_not_fit_the_schema_are_found_before_anything_runs(orders: Path) -> None:
    Pipe([{"a": 1}], "other.parquet").run()
    with pytest.raises(SourceError, match="No required field of Order"):
        Pipe("other.parquet", "out.csv", schema=Order).run()
    assert not Path("out.csv").exists()


def test_what_came_before_the_damage_is_counted(orders: Path) -> None:
    Pipe("in.csv", ("out.parquet", {"row_group_size": 100}), schema=Order).run()
    column = pq.ParquetFile("out.parquet").metadata.row_group(3).column(1)
    data = bytearray(Path("out.parquet").read_bytes())
    data[column.data_page_offset + column.total_compressed_size - 5] ^= 1
    Path("out.parquet").write_bytes(data)
    found: list[Any] = []
    with pytest.raises(SourceError, match=r"out\.parquet.*cannot be read"):
        Pipe("out.parquet", found, schema=Order).run()
    assert len(found) == 300


def test_a_run_without_records_gives_a_file_with_columns(tmp_path: Path) -> None:
    Pipe([], str(tmp_path / "out.parquet"), schema=Order).run()
    assert pq.read_schema(tmp_path / "out.parquet").names == list(Order.model_fields)


def test_many_columns(tmp_path: Path) -> None:
    record = {f"c{i}": i for i in range(1500)}
    Pipe([record] * 20, str(tmp_path / "out.parquet")).run()
    found: list[Any] = []
    Pipe(str(tmp_path / "out.parquet"), found).run()
    assert found == [record] * 20


def test_without_fastavro_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "fastavro" else find(name, *more)
    )
    with pytest.raises(PluginDependencyError, match=r"pip install 'pipe-arrow\[avro\]'") as caught:
        get_format("avro")
    assert caught.value.missing == "fastavro"
    assert get_format("parquet")


def test_without_fastavro_nothing_begins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a run that would save Avro in the end, nor one that would read it; and checking a project tells."""
    import importlib.util

    called: list[str] = []

    def make() -> list[dict[str, int]]:
        called.append("make")
        return [{"n": 1}]

    project = Project.load(
        {
            "catalog": {"plain": "plain.jsonl", "out": {"path": "out.avro", "mode": "append"}},
            "nodes": {
                "make": {"function": make, "output": "plain"},
                "save": {"function": list, "input": "plain", "output": "out"},
            },
            "pipelines": {"main": ["make", "save"], "half": ["make"]},
        },
        folder=tmp_path,
    )
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "fastavro" else find(name, *more)
    )
    with pytest.raises(PluginDependencyError, match=r"The data set 'out': .*pip install 'pipe-arrow\[avro\]'"):
        Runner(project).run("main")
    (found,) = validate_project(project).errors
    assert (found.key, "pipe-arrow[avro]" in found.text) == ("catalog.out.path", True)
    assert called == []
    assert not list(tmp_path.iterdir())
    assert Runner(project).run("half", journal=False).ok


def test_describing_the_formats_imports_no_backend() -> None:
    code = (
        "import sys, pipe_arrow.plugin as p; assert p.pipe_format('parquet') and p.pipe_format('x') is None; "
        "print({'pyarrow', 'fastavro'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert done.stdout.strip() == "set()", done.stderr


MEMORY = """
import resource, sys
from pipe_core import Pipe

def peak(count):
    rows = ({"id": i, "text": f"record {i}", "x": i / 3} for i in range(count))
    Pipe(rows, sys.argv[1], executor="sync", mode="overwrite").run()
    assert Pipe(sys.argv[1], sys.argv[2], executor="sync", mode="overwrite").run().valid == count
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

print(peak(70_000), peak(280_000))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_memory_does_not_depend_on_the_length(tmp_path: Path) -> None:
    """More than a row group, and four times as many records, which would be 60 MB more as Python objects."""
    paths = [str(tmp_path / "a.parquet"), str(tmp_path / "b.feather")]
    done = subprocess.run([sys.executable, "-c", MEMORY, *paths], capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stderr
    few, many = map(int, done.stdout.split())
    assert many < few + 30
