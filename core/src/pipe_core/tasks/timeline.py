"""What ran when, where, and how many waited meanwhile: worked out from transitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pipe_core.runtime.history import Transition
from pipe_core.runtime.ledger import TaskStatus

PENDING, PROCESSING, FAILED = TaskStatus.PENDING, TaskStatus.PROCESSING, TaskStatus.FAILED


@dataclass(slots=True)
class Run:
    """One attempt of one task, from its start to its end.

    Attributes:
        id: Of the task.
        name: What it is called; empty where the log does not say.
        slot: Where it ran; None for the thread of somebody who waited for it, and for events.
        attempt: From 1 on.
        start: When, in seconds since 1970.
        end: When; the end of the timeline while it runs.
        status: How it ended; processing while it runs.
        lane: The row of its slot: runs that overlap have several.
        again: Whether it failed and another attempt followed, or will.
        reason: Why it ended so, where the log says.
    """

    id: Any
    name: str
    slot: int | None
    attempt: int
    start: float
    end: float
    status: TaskStatus = PROCESSING
    lane: int = 0
    again: bool = False
    reason: str = ""


@dataclass(slots=True)
class Timeline:
    """A span of time.

    Attributes:
        start: Of the first transition, in seconds since 1970.
        end: Of the last one.
        runs: In the order of their start.
        queue: Since when how many waited.
        tasks: How many tasks had which status at its end.
    """

    start: float = 0.0
    end: float = 0.0
    runs: list[Run] = field(default_factory=list)
    queue: list[tuple[float, int]] = field(default_factory=list)
    tasks: Counter[TaskStatus] = field(default_factory=Counter)

    @property
    def span(self) -> float:
        """Seconds from start to end."""
        return self.end - self.start


def timeline_of(transitions: Iterable[Transition]) -> Timeline:
    """The timeline of a log. Where its beginning is missing, what ran or waited then did so from the start on."""
    log = list(transitions)
    line = Timeline()
    if not log:
        return line
    line.start = line.end = log[0].at
    running, waiting = _before(log, line)
    line.queue.append((line.start, waiting))
    names: dict[Any, str] = {}
    failed: dict[Any, Run] = {}
    for move in log:
        now = line.end = max(line.end, move.at)  # clocks of several threads may differ by a little
        if move.name:
            names[move.id] = move.name
        step = (move.to is PENDING) - (move.before is PENDING)
        if step:
            waiting += step
            line.queue.append((now, waiting))
        if move.to is PROCESSING:
            run = running[move.id] = Run(move.id, names.get(move.id, ""), move.slot, move.attempt, now, now)
            line.runs.append(run)
        elif move.before is PROCESSING and (ended := running.pop(move.id, None)) is not None:
            ended.end, ended.status, ended.reason = now, move.to, move.reason
            ended.slot = move.slot if move.slot is not None else ended.slot
            ended.attempt = move.attempt
            if move.to is FAILED:
                failed[move.id] = ended
        elif move.before is FAILED and (tried := failed.pop(move.id, None)) is not None:
            tried.again = True
    for run in running.values():
        run.end = line.end
    line.tasks.update({move.id: move.to for move in log}.values())
    _give_lanes(line.runs)
    return line


def _before(log: list[Transition], line: Timeline) -> tuple[dict[Any, Run], int]:
    """What ran and how many waited when the log begins."""
    running: dict[Any, Run] = {}
    seen: set[Any] = set()
    waiting = 0
    for move in log:
        if move.id in seen:
            continue
        seen.add(move.id)
        waiting += move.before is PENDING
        if move.before is PROCESSING:
            running[move.id] = Run(move.id, move.name, move.slot, move.attempt, line.start, line.start)
    line.runs.extend(running.values())
    return running, waiting


def _give_lanes(runs: list[Run]) -> None:
    ends: dict[int | None, list[float]] = {}
    for run in sorted(runs, key=lambda run: run.start):
        lanes = ends.setdefault(run.slot, [])
        run.lane = next((lane for lane, end in enumerate(lanes) if end <= run.start), len(lanes))
        if run.lane == len(lanes):
            lanes.append(run.end)
        else:
            lanes[run.lane] = run.end


def busy(runs: Iterable[Run]) -> float:
    """Seconds in which at least one of *runs* ran."""
    return sum(end - start for start, end in _merged(runs))


def _merged(runs: Iterable[Run]) -> Iterator[tuple[float, float]]:
    start = end = 0.0
    for run in sorted(runs, key=lambda run: run.start):
        if run.start > end:
            yield start, end
            start = run.start
        end = max(end, run.end)
    yield start, end
