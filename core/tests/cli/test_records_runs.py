"""Runs of records that were kept, on the command line: checkpoints, ``pipe runs``, ``pipe resume``, dead letters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from pipe_core.cli import exits
from pipe_core.runtime.failpoints import armed

Pipe = Callable[..., Result]

WORDS = ("validate", "many.csv", "--schema", "orders.py:Order", "--to", "good.jsonl", "--errors", "bad.jsonl")
QUIET = ("--no-progress", "--checkpoint", "runs")
RECORDS = 10_000


@pytest.fixture(autouse=True)
def many(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A longer file, and checkpoints behind every chunk of it."""
    rows = "".join(f"{n if n % 1000 else 'x'},{n / 2}\n" for n in range(RECORDS))
    (folder / "many.csv").write_text(f"id,amount\n{rows}")
    monkeypatch.setenv("PIPE_CHECKPOINT_SECONDS", "0.000001")
    monkeypatch.setenv("PIPE_CHUNK_SIZE", "2000")
    return folder


@pytest.fixture
def failing(pipe: Pipe) -> Callable[..., Result]:
    """Types words; the run fails at its third checkpoint."""

    def call(*words: str) -> Result:
        with armed("checkpoint.kept=full@3"):
            return pipe(*words)

    return call


def kept() -> str:
    """The id of the only run."""
    (path,) = Path("runs").iterdir()
    return path.name


def outcome() -> tuple[str, str]:
    return Path("good.jsonl").read_text(), Path("bad.jsonl").read_text()


def expected(pipe: Pipe) -> tuple[str, str]:
    """What a run that nobody disturbs writes."""
    assert pipe(*WORDS, "--no-progress").exit_code == exits.RECORDS_FAILED
    found = outcome()
    Path("good.jsonl").unlink()
    Path("bad.jsonl").unlink()
    return found


def test_a_run_that_failed_is_shown_and_goes_on(pipe: Pipe, failing: Pipe) -> None:
    whole = expected(pipe)
    failed = failing(*WORDS, *QUIET)
    run = kept()

    assert failed.exit_code != exits.OK
    assert f"records are done and kept. Go on with: pipe resume {run}\n" in failed.stderr
    assert not Path("good.jsonl").exists()
    (listed,) = json.loads(pipe("runs", "--json").stdout)
    assert listed["status"] == "failed"
    assert listed["pipeline"] == "many.csv -> good.jsonl"
    shown = pipe("runs", run).stdout
    assert f"Go on with: pipe resume {run}" in shown
    facts = json.loads(pipe("runs", run, "--json").stdout)
    assert 0 < facts["kept"] < RECORDS
    assert facts["resumable"] is True

    resumed = pipe("resume", run, "--no-progress")
    assert resumed.exit_code == exits.RECORDS_FAILED, resumed.stderr
    assert f"resumed behind record {facts['kept']:,}" in resumed.stdout
    assert outcome() == whole
    done = json.loads(pipe("runs", run, "--json").stdout)
    assert (done["status"], done["read"], done["failed"], done["resumed"]) == ("completed", RECORDS, 10, 1)
    assert "is complete" in pipe("resume", run).stderr


def test_the_last_run_goes_on_where_it_was_typed(
    pipe: Pipe, failing: Pipe, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = expected(pipe)
    failing(*WORDS, *QUIET)
    (many / "elsewhere").mkdir()
    monkeypatch.chdir(many / "elsewhere")
    result = pipe("resume", "--runs", str(many / "runs"), "--no-progress", "--json")

    assert result.exit_code == exits.RECORDS_FAILED, result.stderr
    assert json.loads(result.stdout)["read"] == RECORDS
    monkeypatch.chdir(many)
    assert outcome() == whole


def test_the_words_are_typed_again(pipe: Pipe, failing: Pipe) -> None:
    whole = expected(pipe)
    failing(*WORDS, *QUIET)
    assert pipe(*WORDS, "--no-progress", "--resume", "last").exit_code == exits.RECORDS_FAILED
    assert outcome() == whole


def test_the_file_of_a_pipe_goes_on(pipe: Pipe, failing: Pipe, many: Path) -> None:
    whole = expected(pipe)
    (many / "pipe.yaml").write_text(
        "pipe:\n  source: many.csv\n  schema: orders.py:Order\n  sink: good.jsonl\n  errors: bad.jsonl\n"
        "  checkpoint: kept\n"
    )
    failed = failing("run", "pipe.yaml", "--no-progress")
    assert "--runs" in failed.stderr
    result = pipe("resume", "--runs", "kept", "--no-progress")
    assert result.exit_code == exits.RECORDS_FAILED, result.stderr
    assert outcome() == whole


def test_what_has_changed_needs_force(pipe: Pipe, failing: Pipe, many: Path) -> None:
    failing(*WORDS, *QUIET)
    with open(many / "many.csv", "a") as file:
        file.write("7,7\n")
    refused = pipe("resume")
    assert refused.exit_code == exits.USAGE
    assert refused.stdout == ""
    assert "many.csv has changed" in refused.stderr
    assert "add --force" in refused.stderr
    assert pipe("resume", "--force", "--no-progress").exit_code == exits.RECORDS_FAILED
    assert len(outcome()[0].splitlines()) == RECORDS - 10 + 1


def test_words_that_may_be_secret_are_not_kept(
    pipe: Pipe, failing: Pipe, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    failing(*WORDS, *QUIET, "--report", "hunter2.json")
    assert "hunter2" not in "".join(path.read_text() for path in (many / "runs" / kept()).iterdir())
    refused = pipe("resume")
    assert refused.exit_code == exits.USAGE
    assert f"type the same words again and --resume {kept()}" in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("resume", "--runs", "none"), "There is no folder 'none'"),
        (("runs", "--runs", "none"), "There is no folder 'none'"),
        (("runs",), "There is no project in"),
        (("resume",), "the folder that --checkpoint names: say it with --runs DIR"),
        ((*WORDS, "--force"), "--force is for --resume RUN"),
        ((*WORDS, "--resume", "2020"), "There is no run '2020' in "),
        (("run", "daily", "--checkpoint", "runs"), "--checkpoint is for files of record pipes"),
    ],
)
def test_mistakes(words: tuple[str, ...], said: str, pipe: Pipe) -> None:
    result = pipe(*words)
    assert result.exit_code == exits.USAGE
    assert said in result.stderr


def test_a_folder_in_the_file_is_checked(pipe: Pipe, many: Path) -> None:
    for value, said in (("../out", "outside"), ("7", "is no folder"), ("''", "is no folder")):
        (many / "pipe.yaml").write_text(f"pipe:\n  source: many.csv\n  sink: good.jsonl\n  checkpoint: {value}\n")
        result = pipe("run", "pipe.yaml")
        assert result.exit_code == exits.CONFIGURATION
        assert said in result.stderr
        assert "pipe.yaml" in result.stderr


@pytest.mark.parametrize("words", [("--env", "prod"), ("--set", "nodes.a.retries=1"), ("--max-workers", "2"), ("-v",)])
def test_what_is_for_projects_is_refused(words: tuple[str, ...], pipe: Pipe, failing: Pipe) -> None:
    failing(*WORDS, *QUIET)
    result = pipe("resume", "--runs", "runs", *words)
    assert result.exit_code == exits.USAGE
    assert f"{words[0]} is for runs of projects" in result.stderr


def test_a_run_is_nobody_else_s(pipe: Pipe) -> None:
    pipe(*WORDS, *QUIET)
    assert Path("runs", kept()).stat().st_mode & 0o077 == 0


# --- dead letters ---


@pytest.mark.parametrize("errors", ["bad.jsonl", "bad.csv"])
def test_rejected_records_are_tried_again(errors: str, pipe: Pipe, many: Path) -> None:
    assert pipe("validate", "many.csv", "--schema", "orders.py:Order", "--errors", errors, "--no-progress").exit_code
    (many / "loose.py").write_text(
        "from pydantic import BaseModel\nclass Loose(BaseModel):\n    id: int | str\n    amount: float\n"
    )
    again = pipe("validate", errors, "--replay", "--schema", "loose.py:Loose", "--to", "more.jsonl", "--no-progress")
    assert again.exit_code == exits.OK, again.stderr
    rows = [json.loads(line) for line in Path("more.jsonl").read_text().splitlines()]
    assert rows == [{"id": "x", "amount": n / 2} for n in range(0, RECORDS, 1000)]


def test_what_holds_no_record_is_not_tried_again(pipe: Pipe, many: Path) -> None:
    result = pipe("validate", "many.csv", "--replay", "--schema", "orders.py:Order", "--no-progress")
    assert "Row 0 of many.csv is no rejected record" in result.stderr
    for payload in ("hash", "redacted"):
        pipe_of = f"pipe:\n  source: many.csv\n  schema: orders.py:Order\n  errors: {payload}.jsonl\n"
        (many / "pipe.yaml").write_text(f"{pipe_of}  error_payload: {payload}\n")
        assert pipe("run", "pipe.yaml", "--no-progress").exit_code == exits.RECORDS_FAILED
        result = pipe("validate", f"{payload}.jsonl", "--replay", "--schema", "orders.py:Order", "--no-progress")
        assert "does not hold its record: error_payload was" in result.stderr
