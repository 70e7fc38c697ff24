"""Work in progress: what has become of the records of one chunk or split so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pipe_core.kernel.contracts import Batch, Rejection
from pipe_core.records.entry import Entry, EntryStatus
from pipe_core.records.hooking import HookRunner, refused
from pipe_core.records.hooks import BoundHook
from pipe_core.records.program import Program
from pipe_core.records.result import Failure, Pending, Phase, Result
from pipe_core.records.store import HookStore
from pipe_core.records.validate import Failed, apply, plain_reasons, without
from pipe_core.records.views import OpenView, SlotView


class Work:
    """Collects rows and failures, batch by batch.

    Indexes count from the first record of the chunk or split.

    Args:
        program: What the run is.
        position: The number of the first record in the source, where it is known.
        check: Raises for a value that cannot travel, where that has to be looked at.

    Attributes:
        phase: Where the entries in work are.
    """

    def __init__(self, program: Program, position: int | None, check: Callable[[Any], None] | None = None) -> None:
        self.result = Result()
        self.position = position
        self.check = check
        self.phase: Phase = "pre"
        self._program = program
        self._batch: Batch
        self._base = 0
        self._mark = Mark()
        self._decides = any(hook.kind == "run" for hook in program.hooks)
        self._payloads: list[Any] = []
        self._pending: list[Pending] = []
        self._entries: list[Entry] = []

    def spent(self, phase: str, started: float) -> None:
        """Count the time since *started*."""
        seconds = self.result.seconds
        seconds[phase] = seconds.get(phase, 0.0) + time.perf_counter() - started

    # --- batches ---

    def begin(self, batch: Batch) -> tuple[list[Any], Sequence[int]]:
        """The records of the next batch that could be read and their indexes; the others are rejected here."""
        self._batch = batch
        self._mark = Mark(len(self._payloads), len(self._pending), len(self._entries), len(self.result.failures))
        base = self._base = self.result.read
        if not batch.rejected:
            return batch.records, range(base, base + len(batch.records))
        for i, rejection in batch.rejected.items():
            self._reject(base + i, rejection)
        good = [i for i in range(len(batch.records)) if i not in batch.rejected]
        return [batch.records[i] for i in good], [base + i for i in good]

    def end(self) -> None:
        """The batch in work is done."""
        self.result.read += len(self._batch.records)

    def reset(self) -> None:
        """Forget what has been done since `begin`: the batch in work does not count."""
        mark = self._mark
        del self._payloads[mark.payloads :], self._pending[mark.pending :], self._entries[mark.entries :]
        del self.result.failures[mark.failures :]

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

    def _reject(self, index: int, rejection: Rejection) -> None:
        """A record that the source could not read."""
        errors = [{"type": rejection.type, "message": rejection.message}]
        self._keep(Failure(index, "source", errors, self._error_row("source", errors, rejection.raw, None, None)))

    def fail(self, index: int, phase: Phase, errors: list[dict[str, Any]], data: Any) -> None:
        """A record without an entry was rejected; *data* is what it had become."""
        row = self._error_row(phase, errors, self._batch.raw(index - self._base), data, None)
        self._keep(Failure(index, phase, errors, row))

    def fail_entry(self, entry: Entry, phase: Phase, errors: list[dict[str, Any]], hook: str | None = None) -> None:
        """An entry was rejected. Its row for the error sink is made now, while the record is here."""
        entry.status = EntryStatus.FAILED
        entry.errors.extend(errors)
        known = list(entry.errors)
        row = self._error_row(phase, known, self._batch.raw(entry._index - self._base), shown(entry), hook)
        self._keep(Failure(entry._index, phase, known, row, hook, entry.part), entry._verdicts or ())

    def fail_unwritten(self, entries: list[Entry], unwritten: Failed) -> list[Entry]:
        """*entries* without those that could not be written down, or cannot travel: they are rejected."""
        for k, error in unwritten:
            self.fail_entry(entries[k], "encode", plain_reasons(error))
        return without(entries, unwritten) if unwritten else entries

    def travelling(self, entries: list[Entry]) -> list[Entry]:
        """Those of *entries* that can travel, where entries themselves or what run-scoped hooks made of them do."""
        check = self.check
        if check is None:
            return entries

        def travels(entry: Entry) -> None:
            for value, _ in entry._verdicts or ():
                check(value)
            if self._program.wants_entries:
                check(entry)

        return self.fail_unwritten(entries, apply(travels, entries, self._program.stopping)[1])

    def _keep(self, failure: Failure, verdicts: Sequence[tuple[Any, Any]] = ()) -> None:
        if self._decides:
            self._pending.append(Pending(failure.index, failure.part, self._travelling(verdicts), None, failure))
        else:
            self.result.failures.append(failure)

    def _travelling(self, verdicts: Sequence[tuple[Any, Any]]) -> Sequence[tuple[Any, Any]]:
        """Those before the first value that cannot travel: it failed its record, and later hooks are not asked."""
        if self.check is None:
            return verdicts
        _, stuck = apply(self.check, [value for value, _ in verdicts], self._program.stopping)
        return verdicts[: stuck[0][0]] if stuck else verdicts

    def _error_row(self, phase: Phase, errors: list[dict[str, Any]], raw: Any, data: Any, hook: str | None) -> Any:
        return self._program.failed_row(phase, errors, raw, data, hook)

    # --- records that the driver decides on ---

    def ask(self, hook: BoundHook, entries: list[Entry], runner: HookRunner) -> list[Entry]:
        """The worker's half of a run-scoped hook: a small value of each entry, and its error row in case of refusal."""

        def keep(entry: Entry, value: Any) -> None:
            refusal = None
            if getattr(hook.source, "may_fail", False):
                raw = self._batch.raw(entry._index - self._base)
                refusal = self._error_row(self.phase, [refused(hook)], raw, shown(entry), hook.name)
            entry._verdicts = (*(entry._verdicts or ()), (value, refusal))

        def note(entry: Entry, store: HookStore) -> None:
            keep(entry, hook.call(entry, store))

        async def note_async(entry: Entry, store: HookStore) -> None:
            keep(entry, await hook.call(entry, store))

        return runner.run(replace(hook, kind="entry", call=note_async if hook.is_async else note), entries)

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

    payloads: int = 0
    pending: int = 0
    entries: int = 0
    failures: int = 0


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
