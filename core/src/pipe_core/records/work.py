"""Work in progress: what has become of the records of one chunk or split so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pipe_core.kernel.contracts import Batch, Rejection
from pipe_core.records.entry import Entry
from pipe_core.records.hooking import HookRunner, refused
from pipe_core.records.hooks import BoundHook
from pipe_core.records.program import Program
from pipe_core.records.result import Failure, Pending, Phase, Result
from pipe_core.records.store import HookStore
from pipe_core.records.validate import apply
from pipe_core.records.views import OpenView, SlotView


class Work:
    """Collects rows and failures, batch by batch.

    Indexes count from the first record of the chunk or split; `base` is that of the batch in work.

    Args:
        program: What the run is.
        position: The number of the first record in the source, where it is known.
        check: Raises for a value that cannot travel, where that has to be looked at.
    """

    def __init__(self, program: Program, position: int | None, check: Callable[[Any], None] | None = None) -> None:
        self.result = Result()
        self.position = position
        self.phase: Phase = "pre"
        self._program = program
        self._check = check
        self._decides = any(hook.kind == "run" for hook in program.hooks)
        self._payloads: list[Any] = []
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
        if rows and self._program.encoder is not None:
            self._payloads.append(self._program.encoder.join(rows))  # now, while the rows are in the cache

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
            self._pending.append(Pending(failure.index, failure.part, self._travelling(verdicts), None, failure))
        else:
            self.result.failures.append(failure)

    def _travelling(self, verdicts: Sequence[tuple[Any, Any]]) -> Sequence[tuple[Any, Any]]:
        """Those before the first value that cannot travel: it failed its record, and later hooks are not asked."""
        if self._check is None:
            return verdicts
        _, stuck = apply(self._check, [value for value, _ in verdicts], self._program.stopping)
        return verdicts[: stuck[0][0]] if stuck else verdicts

    def _error_row(self, phase: Phase, errors: list[dict[str, Any]], raw: Any, data: Any, hook: str | None) -> Any:
        return self._program.failed_row(phase, errors, raw, data, hook)

    # --- records that the driver decides on ---

    def ask(self, hook: BoundHook, entries: list[Entry], runner: HookRunner, batch: Batch) -> list[Entry]:
        """The worker's half of a run-scoped hook: a small value of each entry, and its error row in case of refusal."""

        def keep(entry: Entry, value: Any) -> None:
            refusal = None
            if getattr(hook.source, "may_fail", False):
                raw = batch.raw(entry._index - self.base)
                refusal = self._error_row(self.phase, [refused(hook)], raw, shown(entry), hook.name)
            entry._verdicts = (*(entry._verdicts or ()), (value, refusal))

        def note(entry: Entry, store: HookStore) -> None:
            keep(entry, hook.call(entry, store))

        async def note_async(entry: Entry, store: HookStore) -> None:
            keep(entry, await hook.call(entry, store))

        return runner.run(replace(hook, kind="entry", call=note_async if hook.is_async else note), entries)

    # --- batches ---

    def mark(self) -> Mark:
        """Where the work stands, to come back to with `reset`."""
        return Mark(len(self._payloads), len(self._pending), len(self._entries), len(self.result.failures))

    def reset(self, mark: Mark) -> None:
        """Forget what has been done since *mark*: the batch in work does not count."""
        del self._payloads[mark.payloads :], self._pending[mark.pending :], self._entries[mark.entries :]
        del self.result.failures[mark.failures :]

    def finished(self) -> Result:
        """The result, in the order of the source."""
        result = self.result
        if self._decides:
            result.pending = _merged(self._pending)
            return result
        if len(result.failures) > 1:
            result.failures.sort(key=lambda failure: (failure.index, failure.part))
        if self._program.wants_entries:
            result.entries = self._entries
        if self._payloads and self._program.encoder is not None:
            result.payload = self._program.encoder.merge(self._payloads)
        return result


class Mark(NamedTuple):
    """How long the lists of a `Work` were."""

    payloads: int
    pending: int
    entries: int
    failures: int


def _merged(pending: list[Pending]) -> list[Pending]:
    """Entries in the order in which hooks left them, each failure before the entries behind it in the source."""
    failures = sorted((one for one in pending if one.failure is not None), key=lambda one: (one.index, one.part))
    failures.reverse()
    merged: list[Pending] = []
    for one in pending:
        if one.failure is None:
            while failures and failures[-1].index < one.index:
                merged.append(failures.pop())
            merged.append(one)
    return merged + failures[::-1]


def shown(entry: Entry) -> Any:
    """What an entry's record had become, for the error row."""
    view = entry.raw_data if entry.validated_data is None else entry.validated_data
    return dict(view) if isinstance(view, OpenView | SlotView) else view
