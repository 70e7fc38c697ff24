"""The state of an executor as OpenMetrics text, which Prometheus and its relatives read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from pipe_core.kernel.errors import OptionsError
from pipe_core.tasks.event_executor import EventExecutor
from pipe_core.tasks.statistics import ExecutorStats, Percentiles

if TYPE_CHECKING:
    from pipe_core.tasks.task_executor import TaskExecutor

CONTENT_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
"""What a server says of the text."""

_LABEL: Final = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_OURS: Final = ("executor", "status", "quantile")

_Sample = tuple[str, Mapping[str, str], float]


def openmetrics(executor: TaskExecutor | EventExecutor, /, **labels: Any) -> str:
    """What `get_stats` or `status_counts` says, in the text format OpenMetrics 1.0.

    Args:
        executor: Whose.
        **labels: More labels of every sample, beside ``executor``, its name.

    Raises:
        OptionsError: A label's name cannot be one, or is taken.
    """
    for name in labels:
        if name in _OURS or not _LABEL.fullmatch(name):
            raise OptionsError(f"{name!r} cannot be a label: it is taken, or not of letters, digits and underscores.")
    own = {"executor": executor.name, **{name: str(value) for name, value in labels.items()}}
    families = _events(executor) if isinstance(executor, EventExecutor) else _tasks(executor)
    return "".join(line + "\n" for family in families for line in _lines(*family, own)) + "# EOF\n"


_Family = tuple[str, str, str, list[_Sample]]
"""Name, type, help, samples."""


def _tasks(executor: TaskExecutor) -> Iterator[_Family]:
    stats = executor.get_stats()
    ended = {
        "completed": stats.completed_tasks,
        "failed": stats.failed_tasks,
        "cancelled": stats.cancelled_tasks,
        "aborted": stats.aborted_tasks,
    }
    yield _counter("pipe_tasks_submitted", "Calls that were accepted.", stats.submitted_tasks)
    yield _by_status("pipe_tasks_ended", "counter", "Calls that have ended, by how.", ended)
    yield _counter("pipe_tasks_rejected", "Calls that were not accepted.", stats.rejected_tasks)
    yield _counter("pipe_tasks_retries", "Attempts behind the first ones.", stats.retries)
    yield _counter("pipe_tasks_steals", "Calls that went to another worker than they were meant for.", stats.steals)
    yield _gauge("pipe_tasks_waiting", "Calls that wait.", stats.queued_tasks)
    yield _gauge("pipe_tasks_running", "Calls that run.", stats.active_threads)
    yield _gauge("pipe_tasks_slots", "Calls that can run at once.", executor.slots)
    yield _gauge("pipe_tasks_uptime_seconds", "Seconds since the start.", stats.uptime)
    yield from _times(stats)


def _times(stats: ExecutorStats) -> Iterator[_Family]:
    ran = stats.completed_tasks + stats.failed_tasks + stats.retries
    waits = _quantiles(stats.queue_wait) if ran + stats.active_threads else []
    yield "pipe_tasks_queue_wait_seconds", "summary", "How long the last 1,000 calls waited.", waits
    total: _Sample = ("_sum", {}, stats.total_execution_time)
    runs = [*(_quantiles(stats.run_time) if ran else []), total]
    yield "pipe_tasks_run_time_seconds", "summary", "How long the last 1,000 calls ran; the sum is of all.", runs


def _events(executor: EventExecutor) -> Iterator[_Family]:
    yield _counter("pipe_events_appended", "Events that were appended.", executor._book.ledger.added)
    yield _by_status("pipe_events", "gauge", "Events that are known, by status.", executor.status_counts())


def _counter(name: str, text: str, value: float) -> _Family:
    return name, "counter", text, [("_total", {}, value)]


def _gauge(name: str, text: str, value: float) -> _Family:
    return name, "gauge", text, [("", {}, value)]


def _by_status(name: str, kind: str, text: str, counts: Mapping[str, int]) -> _Family:
    suffix = "_total" if kind == "counter" else ""
    return name, kind, text, [(suffix, {"status": status}, count) for status, count in counts.items()]


def _quantiles(times: Percentiles) -> list[_Sample]:
    shares = ((0.5, times.p50), (0.9, times.p90), (0.99, times.p99), (1.0, times.max))
    return [("", {"quantile": repr(share)}, value) for share, value in shares]


def _lines(name: str, kind: str, text: str, samples: Iterable[_Sample], own: Mapping[str, str]) -> Iterator[str]:
    yield f"# TYPE {name} {kind}"
    if name.endswith("_seconds"):
        yield f"# UNIT {name} seconds"
    yield f"# HELP {name} {text}"
    for suffix, labels, value in samples:
        pairs = ",".join(f'{key}="{_escaped(said)}"' for key, said in {**own, **labels}.items())
        yield f"{name}{suffix}{{{pairs}}} {value!r}"


def _escaped(text: str) -> str:
    whole = text.encode("utf-8", "backslashreplace").decode()
    return whole.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
