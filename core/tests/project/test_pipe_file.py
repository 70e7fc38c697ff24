from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipe_core import Pipe
from pipe_core.kernel.errors import ConfigError
from pipe_core.project.pipe_file import PARAMETERS, load_pipe_file

Write = Callable[[str], Path]


def test_a_file_describes_a_pipe_that_runs(write: Write, folder: Path) -> None:
    path = write(
        """
pipe:
  source: orders.csv
  schema: orders.py:Order
  pre_validation_hooks: [orders.py:tidy, orders:Chunky]
  sink: {path: good, format: jsonl}
  errors: bad.jsonl
  executor: sync
  mode: overwrite
  limit: 1
  chunk_size: 10
  ordered: true
"""
    )

    report = load_pipe_file(path).pipe(observers=()).run()

    assert (report.read, report.valid) == (1, 1)
    assert [json.loads(line) for line in (folder / "good").read_text().splitlines()] == [{"id": 1}]


def test_overrides_win(write: Write, folder: Path) -> None:
    file = load_pipe_file(write("pipe:\n  source: orders.csv\n  sink: out.jsonl\n  limit: 1\n  mode: ignore\n"))
    (folder / "out.jsonl").write_text("old\n")

    report = file.pipe(limit=None, mode="overwrite", observers=()).run()

    assert report.read == 2


def test_every_parameter_of_pipe_has_its_name_in_a_file() -> None:
    assert tuple(inspect.signature(Pipe.__init__).parameters)[1:] == PARAMETERS


@pytest.mark.parametrize("value", ["null", "~", ""])
def test_nothing_means_as_the_settings_say(write: Write, value: str) -> None:
    assert "executor" not in load_pipe_file(write(f"pipe:\n  source: orders.csv\n  executor: {value}\n")).parameters


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("source: '-'", "source", "-"),
        ("source: s3://x/y.csv", "source", "s3://x/y.csv"),
        ("executor: {name: sync, a: 1}", "executor", {"name": "sync", "a": 1}),
        ("observers: progress", "observers", ["progress"]),
        ("observers: [{name: progress, every: 1}]", "observers", [{"name": "progress", "every": 1}]),
        ("max_bytes_inflight: 4 MB", "max_bytes_inflight", 4_000_000),
        ("hook_timeout: .inf", "hook_timeout", float("inf")),
        ("hook_timeout: inf", "hook_timeout", float("inf")),
        ("name: nightly", "name", "nightly"),
    ],
)
def test_values_arrive_as_pipe_takes_them(write: Write, line: str, name: str, value: object) -> None:
    source = "" if name == "source" else "  source: orders.csv\n"

    parameters = load_pipe_file(write(f"pipe:\n{source}  {line}\n")).parameters

    assert parameters[name] == value


def test_hooks_by_name_keep_their_options(write: Write) -> None:
    text = "pipe:\n  source: orders.csv\n  post_validation_hooks: [timestamp, {timestamp: {to: at}}, {timestamp: }]\n"

    hooks = load_pipe_file(write(text)).parameters["post_validation_hooks"]

    assert hooks == ("timestamp", {"timestamp": {"to": "at"}}, {"timestamp": {}})


def test_paths_are_relative_to_the_file(write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    write("pipe:\n  source: orders.csv\n  sink: out.jsonl\n")

    report = load_pipe_file("box/pipe.yaml").pipe(observers=()).run()

    assert report.read == 2
    assert (folder / "out.jsonl").exists()


def test_data_outside_is_reached_when_the_person_says_so(write: Write, folder: Path) -> None:
    (folder.parent / "far.csv").write_text("id\n7\n")
    path = write("pipe:\n  source: ../far.csv\n")

    with pytest.raises(ConfigError, match="--allow-outside"):
        load_pipe_file(path)
    assert load_pipe_file(path, allow_outside=True).pipe(observers=()).run().read == 1


def test_code_outside_is_never_reached(write: Write, folder: Path) -> None:
    (folder.parent / "far.py").write_text("def hook(entry, store): pass\n")
    path = write("pipe:\n  source: orders.csv\n  pre_validation_hooks: [../far.py:hook]\n")

    with pytest.raises(ConfigError, match="outside"):
        load_pipe_file(path, allow_outside=True)


def test_an_error_in_the_users_code_names_both_places(write: Write, folder: Path) -> None:
    (folder / "bad.py").write_text("x = 1\nraise ValueError('why')\n")
    path = write("pipe:\n  source: orders.csv\n  schema: bad.py:Order\n")

    with pytest.raises(ConfigError) as caught:
        load_pipe_file(path)

    assert str(caught.value).startswith(f"{path}, line 3, pipe.schema: ")
    assert "bad.py cannot be imported (line 2: raise ValueError('why')): ValueError: why" in str(caught.value)
