"""Runs of records that were kept, as `pipe runs` shows them and `pipe resume` goes on with them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pipe_core.cli.errors import Mistake
from pipe_core.cli.output import table
from pipe_core.records.resuming.checkpoint import Checkpoint
from pipe_core.runs.errors import CheckpointError
from pipe_core.runs.journal import read_journal

if TYPE_CHECKING:
    from pathlib import Path

    from pipe_core.project.runs.history import PastRun

_COUNTS: Final = ("read", "valid", "failed", "dropped", "expanded")
_PLACES: Final = ("source", "sink", "errors", "mode", "executor")


def facts_of(folder: Path, past: PastRun) -> dict[str, Any]:
    """All that is known of a run in *folder*: its places, how far it has come, how it ended."""
    events = read_journal(folder / past.run / "journal.jsonl")
    end: Mapping[str, Any] = next((event for event in reversed(events) if event.get("event") == "end"), {})
    try:
        checkpoint = Checkpoint.read_from(folder / past.run / "checkpoint.json")
    except CheckpointError as error:
        checkpoint, end = None, {"error": f"{error}", **end}
    counts: Mapping[str, Any] = end.get("report") or (checkpoint.report if checkpoint is not None else {})
    return {
        **past.to_dict(),
        **{key: past.asked.get(key) for key in _PLACES},
        **{key: counts.get(key, 0) for key in _COUNTS},
        "kept": checkpoint.read if checkpoint is not None else 0,
        "resumed": sum(event.get("event") == "resumed" for event in events),
        "resumable": past.status in ("failed", "cancelled", "killed") and end.get("resumable") is not False,
        "error": end.get("error"),
    }


def as_text(facts: Mapping[str, Any], place: str) -> str:
    """The same for people; *place* are the words that say where runs are kept."""
    head = [(f"{key}:", facts[key]) for key in ("run", "status", "started", "ended", *_PLACES) if facts.get(key)]
    if facts["resumed"]:
        head.append(("resumed:", f"{facts['resumed']} times" if facts["resumed"] > 1 else "once"))
    counts = [(name, f"{facts[name]:,}") for name in _COUNTS if facts[name] or name in ("read", "valid", "failed")]
    lines = [table(head), table(counts, indent="  ")]
    if facts["error"]:
        lines.append(f"error: {facts['error']}")
    if facts["resumable"]:
        lines += [f"{facts['kept']:,} records are done and kept.", f"Go on with: pipe resume {facts['run']}{place}"]
    return "\n".join(lines)


def go_on(past: PastRun, *, executor: str | None, force: bool, no_progress: bool, as_json: bool) -> NoReturn:
    """Do what was typed when the run was begun, where it was typed, from its checkpoint on.

    Raises:
        Mistake: Nobody typed it, or what was typed is not known.
    """
    from pipe_core.cli.app import app

    origin = past.asked.get("origin") or {}
    if not origin:
        raise Mistake(
            f"How the run {past.run} was made is not known: a program made it, or what was typed may have held a "
            f"secret. Go on there, by pipe.resume('{past.run}'), or type the same words again and --resume {past.run}."
        )
    try:
        os.chdir(origin["folder"])
    except OSError as error:
        raise Mistake(
            f"The run was begun in '{origin['folder']}', which cannot be entered: {error.strerror}."
        ) from error
    words = _without_resume(list(origin["words"]))
    words += ["--resume", past.run]
    words += ["--executor", executor] if executor is not None else []
    words += [word for word, said in (("--force", force), ("--json", as_json)) if said and word not in words]
    words += ["--no-progress"] if no_progress and "--no-progress" not in words else []
    app.main(words)


def _without_resume(words: list[str]) -> list[str]:
    """*words* without an earlier ``--resume RUN`` and ``--force``."""
    kept: list[str] = []
    skip = False
    for word in words:
        if not skip and word != "--resume" and word != "--force" and not word.startswith("--resume="):
            kept.append(word)
        skip = word == "--resume"
    return kept
