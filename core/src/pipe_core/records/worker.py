"""The worker: one pure way from a chunk or split to rows for the sink and failed records, on every executor."""

from __future__ import annotations

import inspect
import operator
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pipe_core.kernel.contracts import Batch, Readable, Rejection
from pipe_core.kernel.errors import HookContractError, RunError, SourceError
from pipe_core.records.entry import Entry, EntryStatus, OpenView, added_keys, view_of
from pipe_core.records.hooking import HookRunner, hook_error
from pipe_core.records.hooks import BoundHook
from pipe_core.records.program import Program
from pipe_core.records.result import Failure, Pending, Phase, Result
from pipe_core.records.schema import ExtendedSerializer, PlainSerializer
from pipe_core.records.store import HookStore
from pipe_core.records.validate import apply, reasons, text
from pipe_core.runtime.loops import LoopThread


def process(readable: Readable, program: Program, position: int | None = None, most: int | None = None) -> Result:
    """Process one chunk or split.

    Args:
        readable: What to read.
        program: What to do with it.
        position: The number of its first record in the source, where that is known.
        most: Stop behind so many records.
    """
    try:
        worker = program.worker()
    except RunError as error:
        return Result(fatal=error)
    return worker.process(readable, position, most)


class Worker:
    """Everything bound once for many chunks: validator, hooks, encoders, store.

    Args:
        program: What the run is.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._store = HookStore()
        self._own_loop: LoopThread | None = None
        self._is_set_up: list[BoundHook] = []
        self._validate = program.schema.validate if program.schema else None
        serializer = program.schema or PlainSerializer()
        self._row = program.encoder.bind(serializer) if program.encoder else None
        self._long_row = program.encoder.bind(ExtendedSerializer(serializer)) if program.encoder else None
        self._plain_row = program.encoder.bind(PlainSerializer()) if program.encoder else None
        self._closed = program.schema.closed if program.schema else None
        self._uses_entries = bool(program.hooks) or program.wants_entries
        self._run_hooks = tuple(hook for hook in program.hooks if hook.kind == "run")

    # --- life ---

    def setup(self) -> None:
        """Set up the hooks, in order.

        Raises:
            RunError: One failed; those before it were torn down again.
        """
        for hook in self._program.hooks:
            try:
                self._call(getattr(hook.source, "setup", None))
            except BaseException as error:  # user code; ends the run with its reason
                self.teardown()
                raise RunError(
                    f"The hook {hook.name} failed in setup: {type(error).__name__}: {text(error)}"
                ) from error
            self._is_set_up.append(hook)

    def teardown(self) -> list[BaseException]:
        """Tear down the hooks that were set up, in reverse order, each once. What goes wrong is returned."""
        problems: list[BaseException] = []
        while self._is_set_up:
            hook = self._is_set_up.pop()
            try:
                self._call(getattr(hook.source, "teardown", None))
            except BaseException as error:  # the others still get their turn
                error.add_note(f"in teardown of the hook {hook.name}")
                problems.append(error)
        if self._own_loop is not None:
            self._own_loop.close()
            self._own_loop = None
        return problems

    def _call(self, function: Callable[[HookStore], Any] | None) -> None:
        if function is not None and inspect.isawaitable(answer := function(self._store)):
            self._loop().run(_as_coroutine(answer))

    def _loop(self) -> LoopThread:
        if self._program.loop is not None:
            return self._program.loop
        if self._own_loop is None:
            self._own_loop = LoopThread()
        return self._own_loop

    # --- the way of a chunk ---

    def process(self, readable: Readable, position: int | None, most: int | None) -> Result:
        """Read, run hooks, validate, run hooks, make rows."""
        work = _Work(self._program, position)
        try:
            for batch in self._batches(readable, most, work):
                if self._uses_entries:
                    self._process_entries(batch, work)
                else:
                    self._process_plain(batch, work)
                work.result.read += len(batch.records)
                if self._program.stopping():
                    break
        except (SourceError, HookContractError) as error:
            work.result.fatal = error
        work.result.extent = getattr(readable, "extent", None)
        return work.finished()

    def _batches(self, readable: Readable, most: int | None, work: _Work) -> Iterator[Batch]:
        batches = readable.batches(self._program.batch_size)
        left = most
        while left is None or left > 0:
            started = time.perf_counter()
            batch = next(batches, None)
            work.spent("read", started)
            if batch is None:
                return
            if left is not None:
                batch = _cut(batch, left)
                left -= len(batch.records)
            yield batch

    def _process_plain(self, batch: Batch, work: _Work) -> None:
        # The way of nearly every record: two C loops and nothing else.
        records, indexes = _accepted(batch, work)
        models, invalid = self._validated(records, work)
        rows, unwritten = self._encoded(models, work)
        work.rows += rows
        work.result.valid += len(models) - len(unwritten)
        if invalid or unwritten:
            good = _without(indexes, invalid)
            for k, error in invalid:
                work.fail(indexes[k], "validation", reasons(error), batch, batch.records[indexes[k]])
            for k, error in unwritten:
                work.fail(good[k], "encode", [_plain_error(error)], batch, batch.records[good[k]])

    def _process_entries(self, batch: Batch, work: _Work) -> None:
        records, indexes = _accepted(batch, work)
        entries = list(map(Entry, records, indexes))
        if work.position is not None:
            for entry in entries:
                entry._position, entry._run = work.position + work.result.read + entry._index, self._program.run
        runner = self._runner(batch, work)
        entries = self._hooked(self._program.pre, entries, runner, work, "pre")
        entries = self._validated_entries(entries, batch, work)
        entries = self._hooked(self._program.post, entries, runner, work, "post")
        self._encoded_entries(entries, batch, work)
        work.result.dropped += runner.dropped
        work.result.expanded += runner.expanded

    # --- stations ---

    def _hooked(
        self, hooks: Sequence[BoundHook], entries: list[Entry], runner: HookRunner, work: _Work, phase: Phase
    ) -> list[Entry]:
        if not hooks:
            return entries
        started = time.perf_counter()
        work.phase = phase
        for hook in hooks:
            entries = (
                work.valued(hook, entries, runner, self._store) if hook.kind == "run" else runner.run(hook, entries)
            )
        work.spent(phase, started)
        return entries

    def _runner(self, batch: Batch, work: _Work) -> HookRunner:
        def fail(entry: Entry, hook: BoundHook, error: BaseException) -> None:
            reason = hook_error(hook.name, error)
            entry.status = EntryStatus.FAILED
            entry.errors.append(reason)
            entry.metadata[f"hook_error_{hook.name}"] = text(error)
            work.fail(entry._index, work.phase, entry.errors, batch, _shown(entry), hook.name, entry)

        return HookRunner(
            self._store,
            self._loop,
            timeout=self._program.hook_timeout,
            concurrency=self._program.concurrency,
            fail=fail,
            interrupted=self._program.stopping,
        )

    def _validated(self, records: list[Any], work: _Work) -> tuple[list[Any], list[tuple[int, BaseException]]]:
        if self._validate is None:
            return records, []
        started = time.perf_counter()
        done = apply(self._validate, records, self._program.stopping)
        work.spent("validation", started)
        return done

    def _validated_entries(self, entries: list[Entry], batch: Batch, work: _Work) -> list[Entry]:
        values, invalid = self._validated([entry.raw_data for entry in entries], work)
        if invalid:
            for k, error in invalid:
                entry = entries[k]
                entry.status = EntryStatus.FAILED
                entry.errors.extend(reasons(error))
                work.fail(entry._index, "validation", entry.errors, batch, entry.raw_data, None, entry)
            entries = _without(entries, invalid)
        validated = EntryStatus.VALIDATED
        if self._closed is not None:
            for entry, value in zip(entries, values, strict=True):
                entry._value = value
                entry.validated_data = value.__dict__  # as view_of() has it, without the call
                entry.status = validated
        else:
            for entry, value in zip(entries, values, strict=True):
                entry._set_value(value)
                entry.status = validated
        return entries

    def _encoded(self, values: list[Any], work: _Work) -> tuple[list[Any], list[tuple[int, BaseException]]]:
        if self._row is None:
            return [], []
        started = time.perf_counter()
        done = apply(self._row, values, self._program.stopping)
        work.spent("encode", started)
        return done

    def _encoded_entries(self, entries: list[Entry], batch: Batch, work: _Work) -> None:
        if self._program.post and self._row is not None:
            rows, unwritten = self._encoded_as_changed(entries, work)
        else:
            rows, unwritten = self._encoded([entry._value for entry in entries], work)
        for k, error in unwritten:
            entry = entries[k]
            entry.status = EntryStatus.FAILED
            entry.errors.append(_plain_error(error))
            work.fail(entry._index, "encode", entry.errors, batch, _shown(entry), None, entry)
        if unwritten:
            entries = _without(entries, unwritten)
        work.take(entries, rows)

    def _encoded_as_changed(
        self, entries: list[Entry], work: _Work
    ) -> tuple[list[Any], list[tuple[int, BaseException]]]:
        """Rows of entries that hooks may have added keys to, or given other data."""
        values = [entry._value for entry in entries]
        if self._untouched(entries, values):
            return self._encoded(values, work)
        started = time.perf_counter()
        done = apply(self._changed_row, entries, self._program.stopping)
        work.spent("encode", started)
        return done

    def _changed_row(self, entry: Entry) -> Any:
        assert self._row is not None and self._long_row is not None and self._plain_row is not None  # asked before
        value, view = entry._value, entry.validated_data
        if isinstance(view, OpenView) or view is view_of(value):
            added = added_keys(value, view)
            return self._long_row((value, added)) if added else self._row(value)
        return self._plain_row(view)

    def _untouched(self, entries: list[Entry], values: list[Any]) -> bool:
        """Whether the ordinary rows say all: hooks added no key and put nothing in place of the validated data."""
        if self._closed is None:
            return False
        views = [entry.validated_data for entry in entries]
        own = all(map(operator.is_, views, map(_OWN_FIELDS, values)))
        return own and set(map(len, views)) <= {self._closed}


_OWN_FIELDS = operator.attrgetter("__dict__")


class _Work:
    """What has been done of one chunk or split."""

    def __init__(self, program: Program, position: int | None) -> None:
        self.result = Result()
        self.rows: list[Any] = []
        self.position = position
        self.phase: Phase = "pre"
        self._program = program
        self._decides = any(hook.kind == "run" for hook in program.hooks)
        self._values: dict[int, list[Any]] = {}
        self._refusals: dict[int, list[Any]] = {}
        self._pending: list[Pending] = []
        self._entries: list[Entry] = []

    def spent(self, phase: str, started: float) -> None:
        """Count the time since *started*."""
        seconds = self.result.seconds
        seconds[phase] = seconds.get(phase, 0.0) + time.perf_counter() - started

    def fail(
        self,
        index: int,
        phase: Phase,
        errors: list[dict[str, Any]],
        batch: Batch,
        data: Any,
        hook: str | None = None,
        entry: Entry | None = None,
    ) -> None:
        """A record was rejected: make its row for the error sink while the record is here."""
        row = self._error_row(phase, errors, batch.raw(index), data, hook)
        place = self.result.read + index
        failure = Failure(place, phase, list(errors), row, hook, entry.part if entry else 0)
        if self._decides:
            key = id(entry)
            values, refusals = self._values.pop(key, []), self._refusals.pop(key, [])
            self._pending.append(Pending(place, failure.part, tuple(values), None, failure, tuple(refusals)))
        else:
            self.result.failures.append(failure)

    def _error_row(self, phase: Phase, errors: list[dict[str, Any]], raw: Any, data: Any, hook: str | None) -> Any:
        program = self._program
        if program.error_encoder is None:
            return None
        shown = program.shown
        return program.error_row(
            {"phase": phase, "errors": errors, "raw": shown(raw), "data": shown(data), "hook": hook, "attempt": 1}
        )

    def reject(self, index: int, rejection: Rejection) -> None:
        """A record that the source could not read."""
        errors = [{"type": rejection.type, "message": rejection.message}]
        row = self._error_row("source", errors, rejection.raw, None, None)
        failure = Failure(self.result.read + index, "source", errors, row)
        if self._decides:
            self._pending.append(Pending(failure.index, 0, (), None, failure))
        else:
            self.result.failures.append(failure)

    def valued(self, hook: BoundHook, entries: list[Entry], runner: HookRunner, store: HookStore) -> list[Entry]:
        """The worker's half of a run-scoped hook: a value for each entry."""

        def note(entry: Entry, _: HookStore) -> None:
            self._values.setdefault(id(entry), []).append(hook.call(entry, store))
            error = hook_error(hook.name, RuntimeError("refused by the run-scoped hook"))
            row = self._error_row(self.phase, [error], entry.raw_data, _shown(entry), hook.name)
            self._refusals.setdefault(id(entry), []).append(row)

        bound = BoundHook(hook.name, "entry", note, False, hook.priority, hook.source)
        return runner.run(bound, entries)

    def take(self, entries: list[Entry], rows: list[Any]) -> None:
        """Entries that went all the way, with their rows."""
        if self._program.wants_entries:
            for entry in entries:
                entry._index += self.result.read
        if not self._decides:
            self.rows += rows
            self.result.valid += len(entries)
            if self._program.wants_entries:
                self._entries += entries
            return
        base = 0 if self._program.wants_entries else self.result.read
        for entry, row in zip(entries, rows or [None] * len(entries), strict=True):
            values = tuple(self._values.pop(id(entry), ()))
            refusals = tuple(self._refusals.pop(id(entry), ()))
            kept = entry if self._program.wants_entries else None
            self._pending.append(Pending(base + entry._index, entry.part, values, row, None, refusals, kept))

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
        if self.rows and self._program.encoder is not None:
            result.payload = self._program.encoder.join(self.rows)
        return result


def _accepted(batch: Batch, work: _Work) -> tuple[list[Any], Sequence[int]]:
    """The records that could be read and their indexes; the others are rejected here."""
    if not batch.rejected:
        return batch.records, range(len(batch.records))
    for index, rejection in batch.rejected.items():
        work.reject(index, rejection)
    indexes = [index for index in range(len(batch.records)) if index not in batch.rejected]
    return [batch.records[index] for index in indexes], indexes


def _cut(batch: Batch, most: int) -> Batch:
    if len(batch.records) <= most:
        return batch
    rejected = {index: rejection for index, rejection in batch.rejected.items() if index < most}
    return Batch(batch.records[:most], batch.raw, rejected)


def _without(values: Sequence[Any], failed: Sequence[tuple[int, BaseException]]) -> list[Any]:
    bad = {k for k, _ in failed}
    return [value for k, value in enumerate(values) if k not in bad]


def _plain_error(error: BaseException) -> dict[str, Any]:
    return {"type": type(error).__name__, "message": text(error)}


def _shown(entry: Entry) -> Any:
    """What the record had become, for the error row."""
    view = entry.raw_data if entry.validated_data is None else entry.validated_data
    return dict(view) if isinstance(view, OpenView) else view


async def _as_coroutine(awaitable: Any) -> Any:
    return await awaitable
