"""The runs of a project that were kept: what each was, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipe_core.project.contracts import ContractNote, summed
from pipe_core.project.runs.overrides import overrides_of
from pipe_core.runs.folder import find_run, is_running, run_ids
from pipe_core.runs.journal import last_statuses, read_journal

Status = Literal["running", "completed", "failed", "cancelled", "killed"]


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run as its journal tells it.

    Attributes:
        run: Its id.
        pipeline: The name of the pipeline, or the source and the sink of a record pipe; empty where it was killed
            before it could say.
        status: How it ended; ``running`` where it goes on, ``killed`` where its process did not come to tell.
        started: When it began, as ISO 8601, UTC; None alike.
        ended: When it ended; None where it has not, or could not tell.
        asked: What was asked for, as plain data.
        nodes: The last status of each node, those that never began without one.
        overrides: What was set beside the project's files, when it began or was resumed.
        left_out: The names of what else was set: the journal holds no secrets.
    """

    run: str
    pipeline: str
    status: Status
    started: str | None
    ended: str | None
    asked: Mapping[str, Any]
    nodes: Mapping[str, str]
    overrides: Mapping[str, Any]
    left_out: tuple[str, ...]

    @property
    def is_of_records(self) -> bool:
        """Whether it is the run of a record pipe, which has a source and sinks instead of nodes."""
        return self.asked.get("kind") == "records"

    def to_dict(self) -> dict[str, Any]:
        """The run in a row of a table."""
        return {
            "run": self.run,
            "pipeline": self.pipeline,
            "status": self.status,
            "started": self.started,
            "ended": self.ended,
        }


def past_runs(runs: Path) -> Iterator[PastRun]:
    """All runs in the folder *runs*, the oldest first."""
    yield from sorted((_past(runs / run) for run in run_ids(runs)), key=_age)


def _age(past: PastRun) -> tuple[str, str]:
    """By what runs are sorted: their ids know no more of when they began than the second."""
    day, time = past.run[:8], past.run[9:15]
    second = f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}"
    return past.started or second, past.run


def _what(asked: Mapping[str, Any]) -> str:
    """What a run is called."""
    if asked.get("kind") == "records":
        return f"{asked['source']} -> {asked['sink'] or asked['errors'] or 'counts'}"
    return str(asked.get("pipeline", ""))


def past_run(runs: Path, run: str) -> PastRun:
    """The run of that id, or of that beginning of one.

    Raises:
        RunNotFoundError: There is none.
    """
    return _past(find_run(runs, run))


def contract_notes(events: Iterable[Mapping[str, Any]]) -> dict[str, tuple[ContractNote, ...]]:
    """What contracts have discarded, or let pass, by node: in its last run; of a stream in all micro-batches."""
    found: dict[str, tuple[ContractNote, ...]] = {}
    for event in events:
        told = tuple(map(ContractNote.from_dict, event.get("contracts", ())))
        if event.get("event") == "contracts":
            found[event["node"]] = summed((*found.get(event["node"], ()), *told))
        elif event.get("event") == "node" and (told or (event["status"] == "completed" and "records" not in event)):
            found[event["node"]] = told
    return {name: notes for name, notes in found.items() if notes}


def _past(folder: Path) -> PastRun:
    events = read_journal(folder / "journal.jsonl")
    begins = [place for place, event in enumerate(events) if event.get("event") in ("run", "resumed")]
    asked: Mapping[str, Any] = events[begins[0]] if begins else {}
    last = events[begins[-1] :] if begins else events
    end = next((event for event in last if event.get("event") == "end"), None)
    overrides, left_out = overrides_of(events)
    status: Status = end["status"] if end is not None else "running" if is_running(folder) else "killed"
    return PastRun(
        run=folder.name,
        pipeline=_what(asked),
        status=status,
        started=asked.get("time"),
        ended=None if end is None else end["time"],
        asked=asked,
        nodes={name: event["status"] for name, event in last_statuses(events).items()},
        overrides=overrides,
        left_out=left_out,
    )
