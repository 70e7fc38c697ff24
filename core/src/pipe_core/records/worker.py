"""The worker: one pure way from a chunk or split to rows for the sink and failed records, on every executor."""

from __future__ import annotations

import inspect
import math
import operator
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pipe_core.kernel.contracts import Batch, Readable
from pipe_core.kernel.errors import HookContractError, RunError, SourceError
from pipe_core.records.entry import Entry, EntryStatus
from pipe_core.records.hooking import HookRunner, hook_error
from pipe_core.records.hooks import BoundHook
from pipe_core.records.program import Program
from pipe_core.records.result import Phase, Result
from pipe_core.records.schema import ExtendedSerializer, PlainSerializer
from pipe_core.records.store import HookStore
from pipe_core.records.validate import apply, reasons, text
from pipe_core.records.views import added_keys, is_view_of
from pipe_core.records.work import Work
from pipe_core.runtime import beat
from pipe_core.runtime.run_loop import LoopLeft, RunLoop
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
    if isinstance(worker, Worker) and worker.is_left:
        program.retired.append(worker)
        worker = None
    if not isinstance(worker, Worker):
        worker = program.workers[me] = Worker(program)  # before its setup, so that it is torn down whatever happens
        worker.setup()
    return worker


class Worker:
    """Everything bound once for many chunks: validator, hooks, encoders, store.

    Args:
        program: What the run is.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._store = HookStore()
        self._run_loop = program.loop  # for good: what hooks made in their setup may belong to it
        self._own_loop: RunLoop | None = None
        self._is_set_up: list[BoundHook] = []
        self._validate = program.schema.validate if program.schema else None
        serializer = program.schema or PlainSerializer()
        self._row = program.encoder.bind(serializer) if program.encoder else None
        self._long_row = program.encoder.bind(ExtendedSerializer(serializer)) if program.encoder else None
        plain = PlainSerializer(program.schema.fields if program.schema else None)  # the same columns for all rows
        self._plain_row = program.encoder.bind(plain) if program.encoder else None
        self._closed = program.schema.closed if program.schema else None
        self._kind = program.schema.kind if program.schema else None
        self._fields = program.schema.fields if program.schema else None
        self._needs_positions = any(hook.needs_position for hook in program.hooks)
        self._uses_entries = bool(program.hooks) or program.wants_entries
        self._run_hooks = tuple(hook for hook in program.hooks if hook.kind == "run")
        self._numbers = {id(hook): number for number, hook in enumerate(program.hooks, 1)}
        self._watchdog = Watchdog(program.hook_timeout if program.hard_timeout and program.hooks else math.inf)
        self._check: Callable[[Any], None] | None = None
        self.readable: Readable | None = None
        self.runner: HookRunner | None = None

    # --- life ---

    @property
    def is_left(self) -> bool:
        """Whether the run goes on with another event loop than this worker."""
        return self._run_loop is not self._program.loop

    def setup(self) -> None:
        """Set up the hooks, in order.

        Raises:
            RunError: One failed; those before it were torn down again.
            LoopLeft: Another call blocks the event loop.
        """
        for hook in _once_each(self._program.hooks):
            try:
                self._call(getattr(hook.source, "setup", None))
            except LoopLeft:
                raise
            except BaseException as error:  # user code; ends the run with its reason
                self.teardown()
                raise RunError(
                    f"The hook {hook.name} failed in setup: {type(error).__name__}: {text(error)}"
                ) from error
            self._is_set_up.append(hook)

    def teardown(self) -> list[BaseException]:
        """Tear down the hooks that were set up, in reverse order, each once. What goes wrong is returned."""
        problems: list[BaseException] = []
        if self._own_loop is not None:
            self._own_loop.settle()
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

    def cancel(self) -> None:
        """Cancel what its own loop waits for. From any thread."""
        if self._own_loop is not None:
            self._own_loop.cancel()

    def _call(self, function: Callable[[HookStore], Any] | None) -> None:
        if function is not None and inspect.isawaitable(answer := function(self._store)):
            coroutine = answer if inspect.iscoroutine(answer) else _as_coroutine(answer)
            self._loop().run(coroutine, cleanup=True)

    def _loop(self) -> RunLoop:
        if self._run_loop is not None:
            return self._run_loop
        if self._own_loop is None:
            self._own_loop = RunLoop(stopping=lambda: self._program.stopping())
        return self._own_loop

    # --- the way of a chunk ---

    def process(
        self, readable: Readable, position: int | None, most: int | None, check: Callable[[Any], None] | None = None
    ) -> Result:
        """Read, run hooks, validate, run hooks, make rows."""
        self.readable, self._check = readable, check
        work = Work(self._program, position, check)
        mark = work.mark()
        try:
            for batch in self._batches(readable, most, work):
                mark = work.mark()
                if self._uses_entries:
                    self._process_entries(batch, work)
                else:
                    self._process_plain(batch, work)
                work.result.read += len(batch.records)
                if self._program.stopping():
                    break
        except SourceError as error:
            work.result.fatal = error
        except HookContractError as error:
            work.reset(mark)
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
        records, indexes = _accepted(batch, work)
        models, invalid = self._validated(records, work)
        rows, unwritten = self._encoded(models, work)
        work.accept(len(models) - len(unwritten), rows)
        for k, error in invalid:
            work.fail(indexes[k], "validation", reasons(error), batch, records[k])
        if unwritten:
            good = _without(range(len(records)), invalid)
            for k, error in unwritten:
                work.fail(indexes[good[k]], "encode", [_plain_error(error)], batch, records[good[k]])

    def _process_entries(self, batch: Batch, work: Work) -> None:
        records, indexes = _accepted(batch, work)
        entries = list(map(Entry, records, indexes))
        runner = self._runner(batch, work)
        entries = self._hooked(self._program.pre, entries, runner, batch, work, "pre")
        entries = self._validated_entries(entries, batch, work)
        entries = self._hooked(self._program.post, entries, runner, batch, work, "post")
        self._encoded_entries(entries, batch, work)
        work.result.dropped += runner.dropped
        work.result.expanded += runner.expanded

    # --- stations ---

    def _hooked(
        self,
        hooks: Sequence[BoundHook],
        entries: list[Entry],
        runner: HookRunner,
        batch: Batch,
        work: Work,
        phase: Phase,
    ) -> list[Entry]:
        if not hooks:
            return entries
        started = time.perf_counter()
        work.phase = phase
        for hook in hooks:
            beat.row[beat.HOOK] = self._numbers[id(hook)]
            self._show_positions(hook, entries, work)
            run = hook.kind == "run"
            entries = work.ask(hook, entries, runner, batch) if run else runner.run(hook, entries)
        beat.row[beat.HOOK] = 0
        work.spent(phase, started)
        return entries

    def _show_positions(self, hook: BoundHook, entries: list[Entry], work: Work) -> None:
        """Let the hook see positions if it says that it needs them, and only then."""
        if self._needs_positions and work.position is not None:
            for entry in entries:
                entry._position = work.position + entry._index if hook.needs_position else None
                entry._run = self._program.run

    def _runner(self, batch: Batch, work: Work) -> HookRunner:
        def fail(entry: Entry, hook: BoundHook, error: BaseException) -> None:
            reason = hook_error(hook.name, error)
            entry.status = EntryStatus.FAILED
            entry.errors.append(reason)
            entry.metadata[f"hook_error_{hook.name}"] = text(error)
            work.fail_entry(entry, work.phase, batch, hook.name)

        self.runner = HookRunner(
            self._store,
            self._loop,
            timeout=self._program.hook_timeout,
            concurrency=self._program.concurrency,
            fail=fail,
            gate=lambda: self._program.gate,
            stopping=self._program.stopping,
            watchdog=self._watchdog,
        )
        return self.runner

    def _validated(self, records: list[Any], work: Work) -> tuple[list[Any], list[tuple[int, BaseException]]]:
        if self._validate is None:
            return records, []
        started = time.perf_counter()
        done = apply(self._validate, records, self._program.stopping)
        work.spent("validation", started)
        return done

    def _validated_entries(self, entries: list[Entry], batch: Batch, work: Work) -> list[Entry]:
        values, invalid = self._validated([entry.raw_data for entry in entries], work)
        if invalid:
            for k, error in invalid:
                entry = entries[k]
                entry.status = EntryStatus.FAILED
                entry.errors.extend(reasons(error))
                work.fail_entry(entry, "validation", batch)
            entries = _without(entries, invalid)
        validated = EntryStatus.VALIDATED
        if self._closed is not None and set(map(type, values)) == {self._kind}:
            for entry, value in zip(entries, values, strict=True):
                entry._value = value
                entry.validated_data = value.__dict__  # as view_of() has it, without the call
                entry.status = validated
        else:
            for entry, value in zip(entries, values, strict=True):
                entry._set_value(value)
                entry.status = validated
        return entries

    def _encoded(self, values: list[Any], work: Work) -> tuple[list[Any], list[tuple[int, BaseException]]]:
        if self._row is None:
            return [], []
        started = time.perf_counter()
        row = self._row if self._check is None else _checked(self._row, self._check)
        done = apply(row, values, self._program.stopping)
        work.spent("encode", started)
        return done

    def _encoded_entries(self, entries: list[Entry], batch: Batch, work: Work) -> None:
        if self._check is not None:
            entries = self._travelling(self._check, entries, batch, work)
        if self._program.post and self._row is not None:
            rows, unwritten = self._encoded_as_changed(entries, work)
        else:
            rows, unwritten = self._encoded([entry._value for entry in entries], work)
        work.accept_entries(_written(entries, unwritten, batch, work), rows)

    def _travelling(self, check: Callable[[Any], None], entries: list[Entry], batch: Batch, work: Work) -> list[Entry]:
        """Those of *entries* that can travel, where entries themselves or what run-scoped hooks made of them do."""

        def travels(entry: Entry) -> None:
            for value, _ in entry._verdicts or ():
                check(value)
            if self._program.wants_entries:
                check(entry)

        _, stuck = apply(travels, entries, self._program.stopping)
        return _written(entries, stuck, batch, work)

    def _encoded_as_changed(
        self, entries: list[Entry], work: Work
    ) -> tuple[list[Any], list[tuple[int, BaseException]]]:
        """Rows of entries that hooks may have added keys to, or given other data."""
        values = [entry._value for entry in entries]
        if self._untouched(entries, values):
            return self._encoded(values, work)
        started = time.perf_counter()
        row = self._changed_row if self._check is None else _checked(self._changed_row, self._check)
        done = apply(row, entries, self._program.stopping)
        work.spent("encode", started)
        return done

    def _changed_row(self, entry: Entry) -> Any:
        assert self._row is not None  # who comes here has looked
        assert self._long_row is not None
        assert self._plain_row is not None
        value, view = entry._value, entry.validated_data
        if not is_view_of(value, view):
            return self._plain_row(view)
        added = added_keys(value, view, self._fields)
        return self._long_row((value, added)) if added else self._row(value)

    def _untouched(self, entries: list[Entry], values: list[Any]) -> bool:
        """Whether the ordinary rows say all: hooks added no key and put nothing in place of the validated data."""
        if self._closed is None or set(map(type, values)) != {self._kind}:
            return False
        views = [entry.validated_data for entry in entries]
        own = all(map(operator.is_, views, map(_OWN_FIELDS, values)))
        return own and set(map(tuple, views)) == {self._closed}


def _checked(row: Callable[[Any], Any], check: Callable[[Any], None]) -> Callable[[Any], Any]:
    def made(value: Any) -> Any:
        made = row(value)
        check(made)
        return made

    return made


def _written(
    entries: list[Entry], unwritten: Sequence[tuple[int, BaseException]], batch: Batch, work: Work
) -> list[Entry]:
    """*entries* without those that could not be written down, which fail."""
    for k, error in unwritten:
        entry = entries[k]
        entry.status = EntryStatus.FAILED
        entry.errors.append(_plain_error(error))
        work.fail_entry(entry, "encode", batch)
    return _without(entries, unwritten) if unwritten else entries


_OWN_FIELDS = operator.attrgetter("__dict__")


def _accepted(batch: Batch, work: Work) -> tuple[list[Any], Sequence[int]]:
    """The records that could be read and their indexes; the others are rejected here."""
    base = work.base
    if not batch.rejected:
        return batch.records, range(base, base + len(batch.records))
    for i, rejection in batch.rejected.items():
        work.reject(base + i, rejection)
    good = [i for i in range(len(batch.records)) if i not in batch.rejected]
    return [batch.records[i] for i in good], [base + i for i in good]


def _once_each(hooks: Sequence[BoundHook]) -> list[BoundHook]:
    """The hooks, one that is given on both sides only once."""
    return list({id(hook.source): hook for hook in hooks}.values())


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


async def _as_coroutine(awaitable: Any) -> Any:
    return await awaitable
