"""Work in progress: what has become of the records of one chunk or split so far."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from pipe_core.kernel.contracts import Batch, Rejection
from pipe_core.records.entry import Entry, OpenView
from pipe_core.records.hooking import HookRunner, refused
from pipe_core.records.hooks import BoundHook
from pipe_core.records.program import Program
from pipe_core.records.result import Failure, Pending, Phase, Result
from pipe_core.records.store import HookStore


class Work:
    """Collects rows and failures, batch by batch.

    Indexes count from the first record of the chunk or split; `base` is that of the batch in work.

    Args:
        program: What the run is.
        position: The number of the first record in the source, where it is known.
    """

    def __init__(self, program: Program, position: int | None) -> None:
        self.result = Result()
        self.position = position
        self.phase: Phase = "pre"
        self._program = program
        self._decides = any(hook.kind == "run" for hook in program.hooks)
        self._rows: list[Any] = []
        self._pending: list[Pending] = []
        self._entries: list[Entry] = []

    @property
    def base(self) -> int:
        """The index of the first record of the batch in work."""
        return self.result.read

    def spent(self, phase: str, started: float) -> None:
        """Count the time since *started*."""
        seconds = self.result.seconds
        seconds[phase] = seconds.get(phase, 0.0) + time.perf_counter() - started

    # --- records that went all the way ---

    def accept(self, count: int, rows: list[Any]) -> None:
        """Records without entries, with their rows."""
        self.result.valid += count
        self._rows += rows

    def accept_entries(self, entries: list[Entry], rows: list[Any]) -> None:
        """Entries, with their rows where somebody wants rows."""
        wanted = self._program.wants_entries
        if self._decides:
            for entry, row in zip(entries, rows or [None] * len(entries), strict=True):
                kept = entry if wanted else None
                self._pending.append(Pending(entry._index, entry.part, entry._verdicts or (), row, None, kept))
            return
        self.accept(len(entries), rows)
        if wanted:
            self._entries += entries

    # --- records that did not ---

    def reject(self, index: int, rejection: Rejection) -> None:
        """A record that the source could not read."""
        errors = [{"type": rejection.type, "message": rejection.message}]
        self._keep(Failure(index, "source", errors, self._error_row("source", errors, rejection.raw, None, None)))

    def fail(self, index: int, phase: Phase, errors: list[dict[str, Any]], batch: Batch, data: Any) -> None:
        """A record without an entry was rejected; *data* is what it had become."""
        row = self._error_row(phase, errors, batch.raw(index - self.base), data, None)
        self._keep(Failure(index, phase, errors, row))

    def fail_entry(self, entry: Entry, phase: Phase, batch: Batch, hook: str | None = None) -> None:
        """An entry was rejected. Its row for the error sink is made now, while the record is here."""
        errors = list(entry.errors)
        row = self._error_row(phase, errors, batch.raw(entry._index - self.base), shown(entry), hook)
        self._keep(Failure(entry._index, phase, errors, row, hook, entry.part), entry._verdicts or ())

    def _keep(self, failure: Failure, verdicts: Sequence[tuple[Any, Any]] = ()) -> None:
        if self._decides:
            self._pending.append(Pending(failure.index, failure.part, verdicts, None, failure))
        else:
            self.result.failures.append(failure)

    def _error_row(self, phase: Phase, errors: list[dict[str, Any]], raw: Any, data: Any, hook: str | None) -> Any:
        program = self._program
        if program.error_row is None:
            return None
        raw, data = program.shown(raw), program.shown(data)
        return program.error_row(
            {"phase": phase, "errors": errors, "raw": raw, "data": data, "hook": hook, "attempt": 1}
        )

    # --- records that the driver decides on ---

    def ask(self, hook: BoundHook, entries: list[Entry], runner: HookRunner, batch: Batch) -> list[Entry]:
        """The worker's half of a run-scoped hook: a small value of each entry, and its error row in case of refusal."""
        errors = [refused(hook)]

        def note(entry: Entry, store: HookStore) -> None:
            refusal = None
            value = hook.call(entry, store)
            if getattr(hook.source, "may_fail", False):
                raw = batch.raw(entry._index - self.base)
                refusal = self._error_row(self.phase, errors, raw, shown(entry), hook.name)
            entry._verdicts = (*(entry._verdicts or ()), (value, refusal))

        return runner.run(BoundHook(hook.name, "entry", note, False, hook.priority, hook.source), entries)

    def finished(self) -> Result:
        """The result, in the order of the source."""
        result = self.result
        if self._decides:
            result.pending = sorted(self._pending, key=lambda one: (one.index, one.part))
            return result
        if len(result.failures) > 1:
            result.failures.sort(key=lambda failure: (failure.index, failure.part))
        if self._program.wants_entries:
            result.entries = self._entries
        if self._rows and self._program.encoder is not None:
            result.payload = self._program.encoder.join(self._rows)
        return result


def shown(entry: Entry) -> Any:
    """What an entry's record had become, for the error row."""
    view = entry.raw_data if entry.validated_data is None else entry.validated_data
    return dict(view) if isinstance(view, OpenView) else view
