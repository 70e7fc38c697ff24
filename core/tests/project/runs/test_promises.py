"""What a run promises of outputs, step by step: all of a node or none, receipts, epochs, and who settles what."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipe_core.project.catalog.staged import Staged
from pipe_core.project.errors import RunFailedError
from pipe_core.project.project import Project
from pipe_core.project.runs import step
from pipe_core.project.runs.folder import ProjectRunFolder
from pipe_core.project.runs.runner import Runner
from pipe_core.runs.errors import ResumeError, RunSupersededError
from pipe_core.runs.folder import next_epoch

Make = Callable[..., Runner]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(nodes: Mapping[str, Any], **catalog: Any) -> Runner:
        whole = {"nodes": dict(nodes), "catalog": catalog, "pipelines": {"main": {"nodes": list(nodes)}}}
        return Runner(Project.load(whole, folder=tmp_path))

    return made


def both() -> tuple[list[dict[str, int]], list[dict[str, int]]]:
    return [{"n": 1}], [{"n": 2}]


def log(folder: Path) -> list[int]:
    return [json.loads(line)["n"] for line in (folder / "log.jsonl").read_text().splitlines()]


def test_of_several_outputs_all_appear_or_none(make: Make, tmp_path: Path) -> None:
    nodes = {"split": {"function": lambda: ([{"n": 1}], [{"n": object()}]), "output": ["low", "high"]}}
    with pytest.raises(RunFailedError) as raised:
        make(nodes, low="low.jsonl", high="high.jsonl").run("main")
    assert sorted(os.listdir(tmp_path)) == ["runs"]
    assert not list((raised.value.result.folder or tmp_path).glob("receipts/*"))


def test_a_receipt_is_kept_before_anything_is_visible(make: Make, tmp_path: Path, monkeypatch: Any) -> None:
    seen: list[tuple[list[str], list[str], list[str]]] = []
    commit = Staged.commit

    def looking(staged: Staged) -> None:
        run = next(path for path in (tmp_path / "runs").iterdir() if (path / "receipts").is_dir())
        receipt = json.loads((run / "receipts" / "split.json").read_text())
        visible = [path.name for path in tmp_path.glob("*.jsonl") if not path.name.startswith(".")]
        seen.append(([staged.dataset], sorted(receipt["outputs"]), visible))
        assert receipt["outputs"][staged.dataset] == json.loads(json.dumps(staged.state))
        commit(staged)

    monkeypatch.setattr(Staged, "commit", looking)
    make({"split": {"function": both, "output": ["low", "high"]}}, low="low.jsonl", high="high.jsonl").run("main")
    assert seen == [(["low"], ["high", "low"], []), (["high"], ["high", "low"], ["low.jsonl"])]


@pytest.mark.parametrize(("retries", "journal"), [(0, True), (1, True), (1, False)])
def test_what_was_staged_when_a_commit_failed_appears_once(
    retries: int, journal: bool, make: Make, tmp_path: Path, monkeypatch: Any
) -> None:
    """By the next attempt, or by whoever resumes the run."""
    (temporary := tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    failed: list[str] = []
    calls: list[int] = []
    commit = Staged.commit

    def once(staged: Staged) -> None:
        if staged.dataset == "other" and not failed:
            failed.append("other")
            raise OSError("no connection")
        commit(staged)

    def rows() -> tuple[list[dict[str, int]], list[dict[str, int]]]:
        calls.append(1)
        return both()

    monkeypatch.setattr(Staged, "commit", once)
    (tmp_path / "log.jsonl").write_text('{"n":0}\n')
    nodes = {
        "rows": {"function": rows, "output": ["log", "other"], "retries": {"attempts": 1 + retries, "delay": 0.001}}
    }
    runner = make(nodes, log={"path": "log.jsonl", "mode": "append"}, other="other.jsonl")
    if retries:
        assert runner.run("main", journal=journal).nodes["rows"].attempts == 2
        assert (tmp_path / "runs").exists() == journal
        assert not list(temporary.iterdir())
    else:
        with pytest.raises(RunFailedError, match="no connection") as raised:
            runner.run("main")
        assert not (tmp_path / "other.jsonl").exists()
        assert runner.resume(raised.value.result.run).nodes["rows"].restored
        assert len(calls) == 1
    assert log(tmp_path) == [0, 1]
    assert (tmp_path / "other.jsonl").read_text() == '{"n":2}\n'


def test_a_worker_that_does_not_see_the_receipts_saves_all_the_same(make: Make, tmp_path: Path) -> None:
    """As one on another machine, of a run without a journal."""

    def rows() -> list[dict[str, int]]:
        for path in (tmp_path / "temporary").iterdir():
            shutil.rmtree(path)
        return [{"n": 1}]

    (tmp_path / "temporary").mkdir()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
        make({"rows": {"function": rows, "output": "log"}}, log="log.jsonl").run("main", journal=False)
    assert log(tmp_path) == [1]


def test_a_worker_whose_run_was_taken_up_shows_nothing(make: Make, tmp_path: Path, monkeypatch: Any) -> None:
    """Also where that happened behind its receipt: who has taken up the run brings it to its end."""
    write = ProjectRunFolder.write_receipt

    def taken_up_meanwhile(folder: ProjectRunFolder, node: str, outputs: Mapping[str, Any]) -> None:
        write(folder, node, outputs)
        next_epoch(folder.path)

    runner = make({"rows": {"function": lambda: [{"n": 1}], "output": "log"}}, log="log.jsonl")
    with monkeypatch.context() as patched:
        patched.setattr(ProjectRunFolder, "write_receipt", taken_up_meanwhile)
        with pytest.raises(RunFailedError) as raised:
            runner.run("main")
    assert isinstance(raised.value.__cause__, RunSupersededError)
    assert not (tmp_path / "log.jsonl").exists()
    assert runner.resume(raised.value.result.run).nodes["rows"].restored
    assert log(tmp_path) == [1]


def test_what_was_staged_and_is_gone_is_told(make: Make, tmp_path: Path, monkeypatch: Any) -> None:
    def fails(staged: Staged) -> None:
        raise OSError("no connection")

    runner = make({"rows": {"function": lambda: [{"n": 1}], "output": "log"}}, log="log.jsonl")
    with monkeypatch.context() as patched:
        patched.setattr(Staged, "commit", fails)
        with pytest.raises(RunFailedError) as raised:
            runner.run("main")
    staged = [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert len(staged) == 1
    staged[0].unlink()
    with pytest.raises(ResumeError, match="'rows' had saved 'log' when its run was killed"):
        runner.resume(raised.value.result.run)


def test_only_what_does_not_come_back_as_it_was_is_kept(make: Make, monkeypatch: Any) -> None:
    kept: list[str] = []
    monkeypatch.setattr(step, "keep_result", lambda folder, node, *_: kept.append(node))
    nodes: dict[str, Any] = {
        "lines": {"function": lambda: [{"n": 1}], "output": "lines"},  # JSON gives back what it was given
        "text": {"function": lambda: [{"n": 1}], "output": "text"},  # of CSV all values are texts
        "last": {"function": lambda: [{"n": 1}], "output": "last"},  # nobody takes it
        "use": {"function": lambda *given: len(given), "input": ["lines", "text"]},
    }
    make(nodes, lines="lines.jsonl", text="text.csv", last="last.csv").run("main")
    assert kept == ["text"]


def test_a_resumed_run_is_told_the_same_hyperparameters(tmp_path: Path) -> None:
    good: list[bool] = []
    told: list[Any] = []

    def train(ml_context: dict[str, Any]) -> None:
        told.append(ml_context["hyperparams"])
        if not good:
            raise ValueError

    whole = {"nodes": {"train": {"function": train, "type": "ml"}}, "pipelines": {"main": ["train"]}}
    runner = Runner(Project.load(whole, folder=tmp_path))
    given = {"depth": 3, "layers": (64, 32), "since": date(2025, 1, 1), "drop": {"a"}, "by": {1: 0.5}, "path": b"x"}
    with pytest.raises(RunFailedError) as raised:
        runner.run("main", hyperparams=given)
    good.append(True)
    runner.resume(raised.value.result.run)
    assert told == [given, given]
    assert type(told[1]["layers"]) is tuple
    good.clear()
    with pytest.raises(RunFailedError) as raised:
        runner.run("main", hyperparams={"loss": len})
    with pytest.raises(ResumeError, match="the hyperparameter 'loss' by Python code"):
        runner.resume(raised.value.result.run)
