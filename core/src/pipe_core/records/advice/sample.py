"""The sample: the first records of a source go through hooks and schema in a process of their own, and are timed.

It is a process of its own, and a short one, because what user code does there must not show in the run: a hook that
counts in a global, a library that is set up twice, a record that kills. No executor is needed for it. What hooks do to
the world (calls of a service, rows in a database) happens once more for these records.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, Final

from pipe_core.kernel.contracts import Batch, Outcome, Readable
from pipe_core.kernel.errors import PipeError
from pipe_core.records.program import Program
from pipe_core.records.worker import process
from pipe_core.runtime import wire

MOST: Final = 200
"""Records that are tried."""
SECONDS: Final = 0.2
"""Seconds after which no further batch is begun."""
READING_SECONDS: Final = 0.3
"""Seconds after which the rest of the piece is not counted."""
PATIENCE: Final = 3.0
"""Seconds after which a sample is taken for what it is, with the record in work as if it had ended."""
LONGEST: Final = 15.0
"""Seconds after which the process is ended, whatever it does: imports and `setup` count here."""

_BATCHES: Final = (1, 1, 2, 4, 8, 16, 32, 64)
_READY: Final = b"+"


@dataclass(frozen=True, slots=True)
class Sample:
    """What the first records took.

    Attributes:
        count: Records in the piece.
        whole: Whether it was read to its end.
        text: Bytes that a record takes as JSON, about.
        tried: Records that went through hooks and schema.
        failed: How many of them failed.
        cpu: Seconds of computing for one of them.
        waiting: Seconds of waiting for one of them.
        ready: When the process was ready, as `time.time` has it.
    """

    count: int
    whole: bool
    text: float
    tried: int
    failed: int
    cpu: float
    waiting: float
    ready: float


class SampleFailed(Exception):
    """There is no sample; says why. `died` says that the process ended by what it was given."""

    def __init__(self, reason: str, *, died: bool = False) -> None:
        super().__init__(reason)
        self.died = died


# --- on the driver ---


def sample_apart(program: Program, readable: Readable, size: int | None) -> Sample:
    """`measure` in a process of its own.

    Raises:
        CodecError: Something cannot travel to another process.
        SampleFailed: There is no sample.
    """
    frame = wire.pack_call(measure, (program, readable, size), {})
    outcome = _run_apart(frame)
    if isinstance(outcome.error, PipeError):
        raise SampleFailed(str(outcome.error)) from outcome.error
    if outcome.error is not None:
        raise SampleFailed(f"{type(outcome.error).__name__}: {outcome.error}") from outcome.error
    found: Sample = outcome.value
    if not found.tried and found.count:
        raise SampleFailed(f"hooks were still in their setup after {PATIENCE:.0f} s")
    return found


def _run_apart(frame: bytes) -> Outcome:
    command = [sys.executable, "-P", "-c", f"from {__name__} import main; main()"]
    given = json.dumps(sys.path).encode() + b"\n" + frame
    try:
        done = subprocess.run(
            command, input=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        raise SampleFailed(f"it did not end within {LONGEST:.0f} s") from None
    except OSError as error:
        raise SampleFailed(f"no process could be started for it: {error}") from error
    if done.stdout[:1] != _READY:
        raise SampleFailed(f"no process could be started for it: {sys.executable} ended with {done.returncode}")
    if done.returncode or not done.stdout[1:]:
        from pipe_core.runtime.exits import exit_text

        raise SampleFailed(exit_text(done.returncode), died=True)
    return wire.open_answer(done.stdout[1:])


# --- in the process ---


def main() -> None:
    """Answer the one call that comes on standard input."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what user code prints is not for anybody
    answers.write(_READY)
    answers.flush()
    logging.disable()  # the run itself will log what there is to log
    path, _, frame = sys.stdin.buffer.read().partition(b"\n")
    sys.path[:] = json.loads(path)
    with open(os.devnull, "w", encoding="ascii") as nowhere:
        # Ends this process also where its driver is gone and user code lets no other thread run.
        faulthandler.dump_traceback_later(LONGEST + 5, exit=True, file=nowhere)
        answers.write(wire.run_frame(frame))
        answers.close()
        os._exit(0)  # without waiting for whatever user code has left running


def measure(program: Program, readable: Readable, size: int | None) -> Sample:
    """Run the first records of *readable* through *program*, and time them.

    Args:
        program: Hooks and schema.
        readable: A chunk or split.
        size: The number of records in a batch, where a hook can tell; None for batches that grow from one record on.
    """
    ready, clock, failures = time.time(), _Clock(), list[BaseException]()
    beginning = _Beginning()

    def work() -> None:
        try:
            _try_records(program, beginning, readable, size, clock)
        except BaseException as error:  # told to the driver, as of any call
            failures.append(error)

    thread = threading.Thread(target=work, name="pipe-sample", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if failures:
        raise failures[0]
    cpu, waiting, tried = clock.result()
    return Sample(beginning.count, beginning.whole, beginning.text, tried, clock.failed, cpu, waiting, ready)


def _try_records(program: Program, beginning: _Beginning, readable: Readable, size: int | None, clock: _Clock) -> None:
    batches = beginning.read(readable, size)
    try:
        _process(program, _Records(), 0)  # of none, which sets up the hooks
        begun, position = time.perf_counter(), 0
        for batch in batches:
            clock.start(len(batch.records))
            clock.failed += _process(program, _Records(batch), position)
            clock.stop()
            position += len(batch.records)
            if time.perf_counter() - begun > SECONDS:
                break
    finally:
        program.close()


def _process(program: Program, records: _Records, position: int) -> int:
    """Process *records*; how many of them failed."""
    result = process(records, program, position)
    if result.fatal is not None:
        raise result.fatal
    return len(result.failures) + sum(one.failure is not None for one in result.pending or ())


class _Records:
    """A readable of the batches that it is made of, whatever size is asked for."""

    def __init__(self, *batches: Batch) -> None:
        self._batches = batches

    def batches(self, size: int) -> Iterator[Batch]:
        """They."""
        return iter(self._batches)


class _Beginning:
    """The first records of a piece, and how many it has."""

    def __init__(self) -> None:
        self.count = 0
        self.whole = False
        self.text = 0.0

    def read(self, readable: Readable, size: int | None) -> list[Batch]:
        """Batches as they will be tried. What comes behind them is counted only."""
        wanted = repeat(size) if size is not None else chain(_BATCHES, repeat(_BATCHES[-1]))
        begun, kept = time.perf_counter(), list[Batch]()
        for batch in readable.batches(max(MOST, size or 0)):
            if not self.count:
                kept = list(_cut(batch, wanted))
                self.text = _text(batch)
            self.count += len(batch.records)
            if time.perf_counter() - begun > READING_SECONDS:
                return kept
        self.whole = True
        return kept


def _cut(batch: Batch, sizes: Iterator[int]) -> Iterator[Batch]:
    start = 0
    while start < len(batch.records):
        end = start + next(sizes)
        rejected = {i - start: why for i, why in batch.rejected.items() if start <= i < end}
        yield Batch(batch.records[start:end], _shifted(batch.raw, start), rejected)
        start = end


def _shifted(raw: Callable[[int], Any], start: int) -> Callable[[int], Any]:
    return lambda i: raw(start + i)


def _text(batch: Batch) -> float:
    records = batch.records[:MOST]
    return sum(len(json.dumps(record, default=str, skipkeys=True)) for record in records) / max(1, len(records))


class _Clock:
    """Tells computing and waiting apart, batch by batch.

    Seconds that the process did not compute are waiting only if it gave up its core by itself: on a busy machine it
    also waits for its turn, and that is no reason for more threads.
    """

    def __init__(self) -> None:
        self.failed = 0
        self._lock = threading.Lock()
        self._parts: list[tuple[int, float, float]] = []
        self._running: tuple[int, float, float, int | None] | None = None

    def start(self, records: int) -> None:
        """So many records begin."""
        self._running = (records, time.perf_counter(), time.process_time(), _pauses())

    def stop(self) -> None:
        """They have ended."""
        with self._lock:
            self._parts += self._unfinished()
            self._running = None

    def result(self) -> tuple[float, float, int]:
        """Seconds of computing and of waiting for a record, and of how many that was found.

        The first batch does not count where others follow: what is loaded or connected once is not the records'.
        """
        with self._lock:
            parts = self._parts + self._unfinished()
        counted = parts[1:] or parts
        records = sum(part[0] for part in counted)
        if not records:
            return 0.0, 0.0, 0
        cpu, waiting = (sum(part[i] for part in counted) / records for i in (1, 2))
        return cpu, waiting, sum(part[0] for part in parts)

    def _unfinished(self) -> list[tuple[int, float, float]]:
        """The batch in work, as if it ended now."""
        if self._running is None:
            return []
        records, began, cpu_before, pauses = self._running
        cpu = time.process_time() - cpu_before
        waited = pauses is None or _pauses() != pauses
        return [(records, cpu, max(0.0, time.perf_counter() - began - cpu) if waited else 0.0)]


def _pauses() -> int | None:
    """How often this process gave up its core by itself; None where the system does not tell."""
    with contextlib.suppress(ImportError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    return None
