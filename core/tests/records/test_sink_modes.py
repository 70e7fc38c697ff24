"""What becomes of targets: the modes, whole or not at all, and standard output."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from numbered import Number, numbers

from pipe_core import HookStore, Pipe
from pipe_core.kernel.errors import RunCancelledError, SinkError, SourceError, TargetExistsError, TooManyErrorsError
from pipe_core.records.entry import Entry

# --- modes ------------------------------------------------------------------------------------------------------------


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ["sink", "errors"])
def test_an_existing_target_is_an_error_before_anything_runs(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("old\n")
    ran: list[Any] = []
    targets: dict[str, Any] = {"sink": [], "errors": [], kind: target}
    pipe = Pipe(numbers(3), **targets, pre_validation_hooks=[lambda entry, store: ran.append(1)])
    with pytest.raises(TargetExistsError, match="mode='overwrite'"):
        pipe.run()
    assert files(tmp_path) == {"out.jsonl": "old\n"}
    assert ran == []


def test_ignore_leaves_an_existing_target_and_writes_a_missing_one(tmp_path: Path) -> None:
    old, new = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    old.write_text("old\n")
    report = Pipe(numbers(1), old, mode="ignore").run()
    Pipe(numbers(1), new, mode="ignore").run()
    assert files(tmp_path) == {"old.jsonl": "old\n", "new.jsonl": '{"n":0}\n'}
    assert report.read == 0
    assert any("ignore" in note for note in report.notes)


def test_overwrite_replaces_what_was_there(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text("a long text that was there before\n" * 100)
    bad.write_text("old\n")
    Pipe(numbers(2), good, errors=bad, schema=Number, mode="overwrite").run()
    assert files(tmp_path) == {"good.jsonl": '{"n":0}\n{"n":1}\n', "bad.jsonl": ""}


@pytest.mark.parametrize(
    ("suffix", "first", "both"),
    [("jsonl", '{"n":0}\n', '{"n":0}\n{"n":0}\n{"n":1}\n'), ("csv", "n\n0\n", "n\n0\n0\n1\n")],
)
def test_append_writes_behind_what_is_there(suffix: str, first: str, both: str, tmp_path: Path) -> None:
    target = tmp_path / f"out.{suffix}"
    Pipe(numbers(1), target, schema=Number, mode="append").run()
    assert target.read_text() == first
    Pipe(numbers(2), target, schema=Number, mode="append").run()
    assert files(tmp_path) == {target.name: both}


def test_append_refuses_other_columns_and_what_cannot_be_appended_to(tmp_path: Path) -> None:
    table, array = tmp_path / "out.csv", tmp_path / "out.json"
    table.write_text("other\n1\n")
    array.write_text("[]")
    for target in (table, array):
        with pytest.raises(SinkError):
            Pipe(numbers(2), target, schema=Number, mode="append").run()
    assert files(tmp_path) == {"out.csv": "other\n1\n", "out.json": "[]"}


def test_append_to_a_compressed_file_adds_a_member(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl.gz"
    for _ in range(2):
        Pipe(numbers(1), target, mode="append").run()
    assert gzip.decompress(target.read_bytes()) == b'{"n":0}\n{"n":0}\n'


def test_an_unknown_mode_is_refused_and_touches_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mode"):
        Pipe(numbers(1), tmp_path / "out.jsonl", mode="replace").run()  # type: ignore[arg-type]  # wrong on purpose
    assert files(tmp_path) == {}


# --- whole or not at all ----------------------------------------------------------------------------------------------


def failing_source() -> Any:
    yield from numbers(250)
    raise OSError("cut")


def run_that(ends: str, good: Path, bad: Path, mode: Any) -> None:
    if ends == "well":
        Pipe([*numbers(3), {"n": "x"}], good, errors=bad, schema=Number, mode=mode).run()
    elif ends == "by its errors":
        with pytest.raises(TooManyErrorsError):
            Pipe([*numbers(300), {"n": "x"}], good, errors=bad, schema=Number, on_error="fail", mode=mode).run()
    elif ends == "by its source":
        with pytest.raises(SourceError):
            Pipe(failing_source(), good, errors=bad, schema=Number, mode=mode).run()
    elif ends == "aborted":
        pipe = Pipe(numbers(1000), good, errors=bad, mode=mode, chunk_size=1)
        stream = iter(pipe)
        for _ in range(3):
            next(stream)
        assert pipe.report is not None
        pipe.report.abort()
        with pytest.raises(RunCancelledError):
            list(stream)
    elif ends == "left":
        for _ in Pipe(numbers(1000), good, errors=bad, mode=mode, chunk_size=1):
            break


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [*((mode, "jsonl") for mode in ("error", "overwrite", "append")), ("overwrite", "json"), ("error", "csv.gz")],
)
@pytest.mark.parametrize("ends", ["well", "by its errors", "by its source", "aborted", "left"])
def test_targets_are_whole_or_as_they_were_and_nothing_is_left_over(
    ends: str, suffix: str, mode: Any, tmp_path: Path
) -> None:
    good, bad = tmp_path / f"good.{suffix}", tmp_path / f"bad.{suffix}"
    old = {good.name: b"old\n", bad.name: b"old\n"} if mode != "error" else {}
    for name, data in old.items():
        (tmp_path / name).write_bytes(data)
    run_that(ends, good, bad, mode)
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert not any(name.endswith(".part") or name.startswith(".") for name in left)
    partial = {f"{good.name}.partial", f"{bad.name}.partial"}
    if ends == "well":
        assert set(left) == {good.name, bad.name}
        assert all(left[name] != data for name, data in old.items())
    elif ends == "by its errors":  # the reasons are kept
        assert left.get(good.name) == old.get(good.name)
        assert set(left) == {bad.name, *old}
        assert left[bad.name] != b"old\n"
    elif ends == "by its source":  # what came before is kept beside the target
        assert {name: left.get(name) for name in old} == old
        assert set(left) - set(old) <= partial
        assert f"{good.name}.partial" in left
    else:
        assert left == old


def test_a_target_appears_at_the_end_only(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    seen: list[tuple[bool, bool]] = []

    def see(entry: Entry, store: HookStore) -> None:
        seen.append((good.exists(), bad.exists()))

    Pipe(numbers(500), good, errors=bad, pre_validation_hooks=[see], chunk_size=50).run()
    assert set(seen) == {(False, False)}
    assert good.exists()
    assert bad.exists()


def test_the_temporary_file_is_in_the_folder_of_the_target(tmp_path: Path) -> None:
    """Elsewhere a rename would be a copy."""
    names: set[str] = set()

    def see(entry: Entry, store: HookStore) -> None:
        names.update(path.name for path in tmp_path.iterdir())

    Pipe(numbers(3), tmp_path / "good.jsonl", pre_validation_hooks=[see]).run()
    assert names
    assert all(name.endswith(".part") for name in names)


# --- standard output --------------------------------------------------------------------------------------------------

SCRIPT = """
import sys
from pydantic import BaseModel
from pipe_core import Pipe
class Number(BaseModel):
    n: int
Pipe(sys.argv[1], sys.argv[2], errors=sys.argv[3], schema=Number).run()
"""


def run_script(*arguments: Any, stdin: bytes = b"") -> bytes:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=30, check=True)
    assert done.stderr == b""
    return done.stdout


def test_a_dash_is_standard_input_and_output_and_nothing_else_is_printed(tmp_path: Path) -> None:
    lines = b"".join(b'{"n":%d}\n' % i for i in range(3000))
    assert run_script("-", "-", tmp_path / "bad.jsonl", stdin=lines + b'{"n":"x"}\n') == lines
    assert json.loads((tmp_path / "bad.jsonl").read_text())["position"] == 3000


def test_rejected_records_can_go_to_standard_output(tmp_path: Path) -> None:
    out = run_script("-", tmp_path / "good.jsonl", "-", stdin=b'{"n":1}\n{"n":"x"}\n')
    assert (tmp_path / "good.jsonl").read_bytes() == b'{"n":1}\n'
    assert json.loads(out)["raw"] == {"n": "x"}
