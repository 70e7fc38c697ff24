"""The report of a run: live while it runs, complete when it has ended."""

from __future__ import annotations

import copy
import enum
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from pipe_core.kernel.errors import RecordsFailedError
from pipe_core.records.control import Control

EXAMPLES: Final = 3
"""Examples kept for each kind of error."""
FIRST_FAILURES: Final = 10
"""Failures kept whole, from the first."""

_KEPT: Final = (
    "read", "valid", "failed", "dropped", "expanded", "bytes_read", "chunks", "worker_deaths", "poisoned",
    "delivery",
)  # fmt: skip


class FlowStatus(enum.Enum):
    """Where a run is. The last three are final."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(slots=True)
class ErrorKind:
    """One bar of the error histogram: how often a type of error came up in a phase and at a location."""

    phase: str
    type: str
    location: str
    count: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)


class FlowReport:
    """Counts, times, errors and circumstances of a run, and the handle to control it.

    Attributes:
        run: The run's id.
        read: Records taken from the source.
        valid: Records that went to the sink.
        failed: Records that were rejected.
        dropped: Records that hooks dropped on purpose.
        expanded: Records that hooks added.
        phases: Seconds spent by phase, added up over all workers.
        executor: The executor's name.
        codec: The codec's name, None where nothing had to travel.
        worker_deaths: Workers that ended while they processed records.
        poisoned: Records that killed or hung every worker that touched them; they are among `failed`.
        transport: What travelled to workers and back, where anything did: bytes before and after compression, and the
            seconds that compressing took.
        delivery: ``"exactly-once"`` or ``"at-least-once"``: what the sinks allow.
        sink, errors: Where the records went, and where the rejected ones went.
        resumed_at: How many records were done when the run was resumed the last time; None if it never was. The counts
            and errors are those of the whole run, times and workers those since then.
        resumable_at: How many records are done of a run that was kept and has not completed; `Pipe.resume` goes on
            behind them. None where nobody can go on.
        exception: Why the run failed, else None.
        notes: What a reader should know: settings without use here, teardowns that failed, partial files.
    """

    def __init__(self, run: str = "", source: str = "", control: Control | None = None) -> None:
        self.run = run
        self.source = source
        self.sink: str | None = None
        self.errors: str | None = None
        self.read = self.valid = self.failed = self.dropped = self.expanded = 0
        self.bytes_read = 0
        self.chunks = 0
        self.worker_deaths = 0
        self.poisoned = 0
        self.transport: dict[str, float] | None = None
        self.phases: dict[str, float] = {}
        self.first_failures: list[dict[str, Any]] = []
        self.executor = ""
        self.workers = 0
        self.codec: str | None = None
        self.delivery = "exactly-once"
        self.resumed_at: int | None = None
        self.resumable_at: int | None = None
        self.exception: BaseException | None = None
        self.notes: list[str] = []
        self.started: datetime | None = None
        self._began: float | None = None
        self._ended: float | None = None
        self._status = FlowStatus.PENDING
        self._kinds: dict[tuple[str, str, str], ErrorKind] = {}
        self._known: dict[tuple[Any, ...], ErrorKind] = {}  # the same by what their errors hold
        self._control = control or Control()
        self._finished = threading.Event()
        self._listeners: list[Any] = []

    # --- reading ---

    @property
    def status(self) -> FlowStatus:
        """Where the run is."""
        if self._status is FlowStatus.RUNNING and self._control.paused:
            return FlowStatus.PAUSED
        return self._status

    @property
    def is_finished(self) -> bool:
        """Whether the run has ended, well or badly."""
        return self._finished.is_set()

    @property
    def duration(self) -> float:
        """Seconds from the start to the end, or until now."""
        if self._began is None:
            return 0.0
        return (self._ended if self._ended is not None else time.monotonic()) - self._began

    @property
    def records_per_second(self) -> float:
        """Records read for each second of the run."""
        return (self.read - (self.resumed_at or 0)) / self.duration if self.duration > 0 else 0.0

    @property
    def total_processed(self) -> int:
        """Another name for `read`."""
        return self.read

    @property
    def success_count(self) -> int:
        """Another name for `valid`."""
        return self.valid

    @property
    def error_count(self) -> int:
        """Another name for `failed`."""
        return self.failed

    @property
    def items_per_second(self) -> float:
        """Another name for `records_per_second`."""
        return self.records_per_second

    @property
    def histogram(self) -> list[ErrorKind]:
        """The kinds of errors, the most frequent first."""
        return sorted(self._kinds.values(), key=lambda kind: (-kind.count, kind.phase, kind.type, kind.location))

    @property
    def conserved(self) -> bool:
        """Whether every record is in exactly one place: ``read + expanded == valid + failed + dropped``."""
        return self.read + self.expanded == self.valid + self.failed + self.dropped

    def raise_for_status(self) -> FlowReport:
        """Raise if the run failed or any record did; otherwise return the report.

        Raises:
            RecordsFailedError: Records were rejected; the message names the most frequent reasons.
        """
        if self.exception is not None:
            raise self.exception
        if self.failed:
            top = "; ".join(f"{kind.count} {kind.type} at {kind.location or kind.phase}" for kind in self.histogram[:3])
            where = f" They are in {self.errors}." if self.errors else " Give errors=... to keep them."
            raise RecordsFailedError(f"{self.failed} of {self.read} records failed: {top}.{where}", report=self)
        return self

    # --- waiting and controlling ---

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end of the run, at most *timeout* seconds.

        Returns:
            False when the time was over before the run was.

        Raises:
            PipeError: The run failed: what `Pipe.run` would have raised.
        """
        if not self._finished.wait(timeout):
            return False
        if self.exception is not None:
            raise self.exception
        return True

    async def wait_async(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109  # the twin of wait()
        """As `wait`, without blocking the running event loop."""
        import asyncio

        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        self._when_finished(lambda: loop.call_soon_threadsafe(ended.set))
        try:
            async with asyncio.timeout(timeout):
                await ended.wait()
        except TimeoutError:
            return False
        return self.wait(0)

    def pause(self) -> None:
        """Commit nothing more until `resume`; counts stand still."""
        self._control.pause()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._control.resume()

    def abort(self) -> None:
        """Stop the run; it ends as cancelled, its targets as they were. Without effect once it has ended."""
        if not self.is_finished:
            self._control.abort()

    # --- written by the run ---

    def _start(self) -> None:
        self.started = datetime.now(UTC)
        self._began = time.monotonic()
        self._status = FlowStatus.RUNNING

    def _count_failure(self, position: int, phase: str, errors: Iterable[Mapping[str, Any]], hook: str | None) -> None:
        errors = list(errors)
        self.failed += 1
        if len(self.first_failures) < FIRST_FAILURES:
            self.first_failures.append({"position": position, "phase": phase, "errors": errors, "hook": hook})
        for error in errors:
            known = (phase, hook, error["type"], *error.get("loc", ()))
            kind = self._known.get(known)
            if kind is None:
                kind = self._known[known] = self._kind(phase, error, hook)
            kind.count += 1
            if len(kind.examples) < EXAMPLES:
                kind.examples.append({"position": position, "message": error.get("msg", error.get("message", ""))})

    def _kind(self, phase: str, error: Mapping[str, Any], hook: str | None) -> ErrorKind:
        place = ".".join(str(part) for part in error.get("loc", ()) if not isinstance(part, int))
        key = (phase, str(error["type"]), place or (hook or ""))
        return self._kinds.setdefault(key, ErrorKind(*key))

    def _spend(self, seconds: Mapping[str, float]) -> None:
        self.phases = dict(Counter(self.phases) + Counter(dict(seconds)))

    def _settle(self, status: FlowStatus, exception: BaseException | None) -> None:
        self._ended = time.monotonic()
        self.exception = exception
        self._status = status

    def _end(self) -> None:
        """Let everybody go on who waits for the end: the last thing that a run does."""
        self._finished.set()
        for listener in self._listeners:
            listener()

    def _when_finished(self, listener: Any) -> None:
        self._listeners.append(listener)
        if self._finished.is_set():
            listener()

    # --- kept at checkpoints ---

    def _state(self) -> dict[str, Any]:
        """What a resumed run must know, as plain data."""
        kept = {name: getattr(self, name) for name in _KEPT}
        kinds = [[kind.phase, kind.type, kind.location, kind.count, kind.examples] for kind in self._kinds.values()]
        state = {**kept, "phases": self.phases, "first_failures": self.first_failures, "kinds": kinds}
        return cast("dict[str, Any]", json.loads(json.dumps(state, default=str)))

    def _restore(self, state: Mapping[str, Any]) -> None:
        """Go on counting where a run stopped whose state that was."""
        for name in _KEPT:
            setattr(self, name, state[name])
        self.phases, self.first_failures = dict(state["phases"]), list(state["first_failures"])
        kinds = [ErrorKind(*kind) for kind in state["kinds"]]
        self._kinds = {(kind.phase, kind.type, kind.location): kind for kind in kinds}
        self.resumed_at = self.read

    # --- written down ---

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data, as JSON knows it."""
        return {
            "run": self.run,
            "status": self.status.value,
            "source": self.source,
            "sink": self.sink,
            "errors": self.errors,
            "read": self.read,
            "valid": self.valid,
            "failed": self.failed,
            "dropped": self.dropped,
            "expanded": self.expanded,
            "bytes_read": self.bytes_read,
            "started": self.started.isoformat() if self.started else None,
            "duration": round(self.duration, 6),
            "records_per_second": round(self.records_per_second, 1),
            "phases": {name: round(seconds, 6) for name, seconds in self.phases.items()},
            "histogram": [
                {
                    "phase": k.phase,
                    "type": k.type,
                    "location": k.location,
                    "count": k.count,
                    "examples": copy.deepcopy(k.examples),
                }
                for k in self.histogram
            ],
            "first_failures": copy.deepcopy(self.first_failures),
            "executor": self.executor,
            "workers": self.workers,
            "worker_deaths": self.worker_deaths,
            "poisoned": self.poisoned,
            "codec": self.codec,
            "transport": self.transport,
            "delivery": self.delivery,
            "chunks": self.chunks,
            "resumed_at": self.resumed_at,
            "resumable_at": self.resumable_at,
            "exception": _described(self.exception),
            "notes": list(self.notes),
        }

    def to_json(self, indent: int | None = 2) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, default=str)

    def to_html(self) -> str:
        """A page with counts and charts that needs nothing beside itself."""
        from pipe_core.records.page.document import render

        return render(self.to_dict())

    def save(self, path: str | Path) -> Path:
        """Write the report to *path*: a page for ``.html``, JSON otherwise."""
        target = Path(path)
        page = target.suffix.lower() in (".html", ".htm")
        # A lone surrogate, as in the name of an odd file, is escaped: that is right in JSON and legible on the page.
        target.write_text(self.to_html() if page else self.to_json() + "\n", "utf-8", errors="backslashreplace")
        return target

    def __repr__(self) -> str:
        counts = f"read={self.read} valid={self.valid} failed={self.failed}"
        more = "".join(f" {name}={n}" for name in ("dropped", "expanded") if (n := getattr(self, name)))
        return f"<FlowReport {self.status.value} {counts}{more} in {self.duration:.2f} s>"


def _described(error: BaseException | None) -> dict[str, str] | None:
    return None if error is None else {"type": type(error).__name__, "message": str(error)}
