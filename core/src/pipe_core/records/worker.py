"""The worker: one pure way from a chunk or split to rows for the sink and failed records, on every executor."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pipe_core.kernel.contracts import Batch, Readable
from pipe_core.kernel.error_text import error_text
from pipe_core.kernel.errors import HookContractError, RunError, SourceError
from pipe_core.records.entry import Entry, EntryStatus
from pipe_core.records.hook_life import HookLife
from pipe_core.records.hooking import HookRunner, hook_error
from pipe_core.records.hooks import BoundHook
from pipe_core.records.program import Program
from pipe_core.records.result import Phase, Result
from pipe_core.records.rows import Rows
from pipe_core.records.validate import Failed, apply, plain_reasons, reasons, without
from pipe_core.records.work import Work
from pipe_core.runtime import beat
from pipe_core.runtime.watchdog import Watchdog


def process(
    readable: Readable,
    program: Program,
    position: int | None = None,
    most: int | None = None,
    check: Callable[[Any], None] | None = None,
) -> Result:
    """Process one chunk or split.

    Args:
        readable: What to read.
        program: What to do with it.
        position: The number of its first record in the source, where that is known.
        most: Stop behind so many records.
        check: Raises for a row that cannot travel; that record fails then.
    """
    try:
        worker = _own_worker(program)
    except RunError as error:
        return Result(fatal=error)
    return worker.process(readable, position, most, check)


def _own_worker(program: Program) -> Worker:
    """The worker of the calling thread, made and set up at its first call."""
    me = threading.get_ident()
    worker = program.workers.get(me)
    if isinstance(worker, Worker) and worker.life.is_left:
        program.retired.append(worker)
        worker = None
    if not isinstance(worker, Worker):
        worker = program.workers[me] = Worker(program)  # before its setup, so that it is torn down whatever happens
        worker.life.setup()
    return worker


class Worker:
    """Everything bound once for many chunks: hooks, validator, encoders.

    Args:
        program: What the run is.

    Attributes:
        life: Sets up the hooks and tears them down.
        readable: What is read; None between two calls.
        runner: Runs the hooks over the batch in work.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self.life = HookLife(program)
        self._validate = program.schema.validate if program.schema else None
        self._rows = Rows(program, program.encoder) if program.encoder else None
        self._needs_positions = any(hook.needs_position for hook in program.hooks)
        self._uses_entries = bool(program.hooks) or program.wants_entries
        self._numbers = {id(hook): number for number, hook in enumerate(program.hooks, 1)}
        self._watchdog = Watchdog(program.hook_timeout if program.hard_timeout and program.hooks else math.inf)
        self.readable: Readable | None = None
        self.runner: HookRunner | None = None

    def cancel(self) -> None:
        """As `HookLife.cancel`."""
        self.life.cancel()

    def teardown(self) -> list[BaseException]:
        """As `HookLife.teardown`."""
        return self.life.teardown()

    # --- the way of a chunk ---

    def process(
        self, readable: Readable, position: int | None, most: int | None, check: Callable[[Any], None] | None = None
    ) -> Result:
        """Read, run hooks, validate, run hooks, make rows."""
        self.readable = readable
        work = Work(self._program, position, check)
        try:
            for batch in self._batches(readable, most, work):
                if self._uses_entries:
                    self._process_entries(batch, work)
                else:
                    self._process_plain(batch, work)
                work.end()
                if self._program.stopping():
                    break
        except SourceError as error:
            work.result.fatal = error
        except HookContractError as error:
            work.reset()
            work.result.fatal = error
        finally:
            self._watchdog.rest()
            self.readable = self.runner = None
        return work.finished()

    def _batches(self, readable: Readable, most: int | None, work: Work) -> Iterator[Batch]:
        batches = readable.batches(self._program.batch_size)
        left = most
        while left is None or left > 0:
            started = time.perf_counter()
            batch = next(batches, None)
            work.spent("read", started)
            beat.row[beat.AT] = work.result.read
            if batch is None:
                work.result.extent = getattr(readable, "extent", None)
                return
            if left is not None:
                batch = _cut(batch, left)
                left -= len(batch.records)
            yield batch

    def _process_plain(self, batch: Batch, work: Work) -> None:
        # The way of nearly every record: two C loops and nothing else.
        records, indexes = work.begin(batch)
        models, invalid = self._validated(records, work)
        rows, unwritten = self._rows.of_values(models, work) if self._rows is not None else ([], [])
        work.accept(len(models) - len(unwritten), rows)
        for k, error in invalid:
            work.fail(indexes[k], "validation", reasons(error), records[k])
        if unwritten:
            good = without(range(len(records)), invalid)
            for k, error in unwritten:
                work.fail(indexes[good[k]], "encode", plain_reasons(error), records[good[k]])

    def _process_entries(self, batch: Batch, work: Work) -> None:
        entries = list(map(Entry, *work.begin(batch)))
        runner = self._runner(work)
        entries = self._hooked(self._program.pre, entries, runner, work, "pre")
        entries = self._validated_entries(entries, work)
        entries = work.travelling(self._hooked(self._program.post, entries, runner, work, "post"))
        rows, unwritten = self._rows.of_entries(entries, work) if self._rows is not None else ([], [])
        work.accept_entries(work.fail_unwritten(entries, unwritten), rows)
        work.result.dropped += runner.dropped
        work.result.expanded += runner.expanded

    # --- stations ---

    def _hooked(
        self, hooks: Sequence[BoundHook], entries: list[Entry], runner: HookRunner, work: Work, phase: Phase
    ) -> list[Entry]:
        if not hooks:
            return entries
        started = time.perf_counter()
        work.phase = phase
        for hook in hooks:
            beat.row[beat.HOOK] = self._numbers[id(hook)]
            self._show_positions(hook, entries, work)
            entries = work.ask(hook, entries, runner) if hook.kind == "run" else runner.run(hook, entries)
        beat.row[beat.HOOK] = 0
        work.spent(phase, started)
        return entries

    def _show_positions(self, hook: BoundHook, entries: list[Entry], work: Work) -> None:
        """Let the hook see positions if it says that it needs them, and only then."""
        if self._needs_positions and work.position is not None:
            for entry in entries:
                entry._position = work.position + entry._index if hook.needs_position else None
                entry._run = self._program.run

    def _runner(self, work: Work) -> HookRunner:
        def fail(entry: Entry, hook: BoundHook, error: BaseException) -> None:
            entry.metadata[f"hook_error_{hook.name}"] = error_text(error)
            work.fail_entry(entry, work.phase, [hook_error(hook.name, error)], hook.name)

        self.runner = HookRunner(
            self.life.store,
            self.life.loop,
            timeout=self._program.hook_timeout,
            concurrency=self._program.concurrency,
            fail=fail,
            gate=lambda: self._program.gate,
            stopping=self._program.stopping,
            watchdog=self._watchdog,
        )
        return self.runner

    def _validated(self, records: list[Any], work: Work) -> tuple[list[Any], Failed]:
        if self._validate is None:
            return records, []
        started = time.perf_counter()
        done = apply(self._validate, records, self._program.stopping)
        work.spent("validation", started)
        return done

    def _validated_entries(self, entries: list[Entry], work: Work) -> list[Entry]:
        values, invalid = self._validated([entry.raw_data for entry in entries], work)
        if invalid:
            for k, error in invalid:
                work.fail_entry(entries[k], "validation", reasons(error))
            entries = without(entries, invalid)
        validated, schema = EntryStatus.VALIDATED, self._program.schema
        if schema is not None and schema.are_closed(values):
            for entry, value in zip(entries, values, strict=True):
                entry._value = value
                entry.validated_data = value.__dict__  # as view_of() has it, without the call
                entry.status = validated
        else:
            for entry, value in zip(entries, values, strict=True):
                entry._set_value(value)
                entry.status = validated
        return entries


def _cut(batch: Batch, most: int) -> Batch:
    if len(batch.records) <= most:
        return batch
    rejected = {index: rejection for index, rejection in batch.rejected.items() if index < most}
    return Batch(batch.records[:most], batch.raw, rejected)
