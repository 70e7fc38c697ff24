"""Facts: what observers are told about runs, tasks and rejected records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run, as observers see it. `live` is the run's live report: read it, do not change it.

    Each chunk is handed over in `context`. Variables that an observer sets there, by ``context.run``, are seen by
    schema and hooks in this process; those of `pipe_core.runtime.trace` in others too.
    """

    id: str
    kind: str
    name: str
    executor: str
    total: int | None = None
    unit: str = "records"
    live: Any = None
    context: Context | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A task of a run. Times are seconds of `time.perf_counter`."""

    id: int
    kind: str
    status: str
    attempt: int = 1
    started: float | None = None
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class EntryFailure:
    """A record that was rejected: where, in which phase, and why."""

    position: int
    phase: str
    errors: Sequence[Mapping[str, Any]]
    hook: str | None = None
