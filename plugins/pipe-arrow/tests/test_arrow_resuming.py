"""What a killed run has written is gone on with by another process: all rows are there, once, with their columns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import arrow_kills
import pyarrow as pa
import pytest
from arrow_files import FORMATS, begun, names, put, read, write
from arrow_kills import NEW, PIECES

from pipe_core import SinkError, get_format

CASES = [("parquet", "out.parquet/", "overwrite"), ("avro", "out.avro/", "append")]


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked and killed")
@pytest.mark.parametrize(("format", "name", "mode"), CASES)
def test_a_killed_run_is_gone_on_with_from_every_step(tmp_path: Path, format: str, name: str, mode: str) -> None:
    if format == "avro":
        pytest.importorskip("fastavro")
    command = [sys.executable, arrow_kills.__file__, str(tmp_path), format, name, mode]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [], done.stderr


@pytest.fixture(params=FORMATS)
def format(request: pytest.FixtureRequest) -> str:
    if request.param == "avro":
        pytest.importorskip("fastavro")
    return str(request.param)


def resumed(format: str, target: Any, state: Any, mode: str = "error") -> Any:
    sink = get_format(format).sink(target)
    sink.resume(json.loads(json.dumps(state)), mode)
    return sink


def test_a_checkpoint_of_a_folder_ends_its_part_files(tmp_path: Path, format: str) -> None:
    """Columns that come later are in all of them at the end, as if there had been no checkpoint."""
    write(format, f"{tmp_path}/whole/", [*PIECES[0], *PIECES[1]])
    target = f"{tmp_path}/out/"
    sink = begun(format, target)
    put(sink, PIECES[0])
    state = sink.checkpoint()
    put(sink, PIECES[1])
    sink.close()
    sink = resumed(format, target, state)
    put(sink, PIECES[1])
    state = sink.checkpoint(final=True)
    sink.close()
    assert names(tmp_path)[1:] == ["whole"]
    for _ in range(2):
        sink = resumed(format, target, state)
        sink.commit()
        sink.close()
        assert names(tmp_path) == ["out", "whole"]
        assert read(format, target).records == NEW == read(format, tmp_path / "whole").records
        assert len(names(tmp_path / "out")) == 2


def test_one_file_has_no_checkpoint_before_its_end(tmp_path: Path, format: str) -> None:
    sink = begun(format, tmp_path / f"out.{format}")
    put(sink, PIECES[0])
    with pytest.raises(SinkError, match=rf"no checkpoint before its end.*part files to a folder.*out\.{format}/'"):
        sink.checkpoint()
    put(sink, PIECES[1])
    sink.commit()
    sink.close()
    assert read(format, tmp_path / f"out.{format}").records == NEW
    assert names(tmp_path) == [f"out.{format}"]


def test_records_behind_a_checkpoint_must_go_together_with_those_before(tmp_path: Path) -> None:
    sink = begun("parquet", f"{tmp_path}/out/")
    put(sink, [{"n": 1}])
    state = sink.checkpoint()
    sink.close()
    sink = resumed("parquet", f"{tmp_path}/out/", state)
    with pytest.raises(SinkError, match=r"Record 1 of the output does not fit.*'n' is string, before it was int64"):
        put(sink, [{"n": "x"}])
    sink.abort()
    sink.close()
    assert names(tmp_path) == []


def test_the_types_of_a_table_are_kept_behind_a_checkpoint(tmp_path: Path) -> None:
    table = pa.table({"n": pa.array([1, 2], pa.int8())})
    sink = begun("parquet", f"{tmp_path}/out/")
    sink.write_table(table)
    state = sink.checkpoint()
    sink.close()
    sink = resumed("parquet", f"{tmp_path}/out/", state)
    sink.write_table(table)
    sink.commit()
    sink.close()
    source = get_format("parquet").source(tmp_path / "out")
    source.open()
    assert source.read_table().equals(pa.concat_tables([table, table]))
    source.close()


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    sink = begun("parquet", f"{tmp_path}/out/")
    put(sink, [{"n": 1}])
    state = sink.checkpoint()
    sink.close()
    for wrong in ({"columns": "no columns"}, {"columns": "AAAA"}, {"output": {**state["output"], "kinds": []}}):
        with pytest.raises(SinkError):
            resumed("parquet", f"{tmp_path}/out/", {**state, **wrong})
    sink = resumed("parquet", f"{tmp_path}/out/", state)
    sink.commit()
    sink.close()
    assert read("parquet", tmp_path / "out").records == [{"n": 1}]
