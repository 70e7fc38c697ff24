"""Facts about a run before it begins: how much there is to read, and what a sample of it took.

The beginning of a file, a table or a list is read once more for that. What can be read only once (generators, queues,
standard input) is never touched before the run, and neither are sinks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence, Set, Sized
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from pipe_core.kernel.errors import CodecError
from pipe_core.records.advice.rules import Facts
from pipe_core.records.advice.sample import MOST, Sample, SampleFailed, sample_apart
from pipe_core.records.hooks import BoundHook, bind_hooks
from pipe_core.records.places import COMPRESSED, as_sink, as_source, target_of
from pipe_core.records.program import Program
from pipe_core.records.schema import Schema
from pipe_core.runtime.cores import cores
from pipe_core.runtime.run_loop import RunLoop

if TYPE_CHECKING:
    from pipe_core.kernel.contracts import Readable, Source
    from pipe_core.records.plan import Wishes

FEW_RECORDS: Final = 100
FEW_BYTES: Final = 4_000
"""With hooks: so little that it is done before a sample would be."""
SMALL_RECORDS: Final = 5_000
SMALL_BYTES: Final = 1_000_000
"""With a schema only."""
PIECE_BYTES: Final = 64 * 1024
BATCH: Final = 100
"""Records in a batch of the sample, where a hook takes many at a time, or waits for many at a time."""
UNPACKED: Final = 4
"""How many bytes a byte of a compressed file stands for, about."""


def find_facts(wishes: Wishes, loop: RunLoop, *, thorough: bool = False) -> Facts:
    """What can be known of a run before it begins, but for what is configured.

    Args:
        wishes: What the pipe shall do.
        loop: The run's.
        thorough: Take a sample even of input that is small by its size.

    Raises:
        PipeError: The source or the schema is wrong.
    """
    source = as_source(wishes.source, loop)
    hooks = _hooks(wishes, source, loop)
    concurrency = int(wishes.setting("concurrency").value)
    facts = Facts(
        cores=cores(),
        asynchronous=any(hook.is_async for hook in hooks[0] + hooks[1]),
        # On one worker, too, calls for entries wait together: so they do in the sample.
        overlap=concurrency if any(hook.is_async and hook.kind != "chunk" for hook in hooks[0] + hooks[1]) else 1,
        concurrency=concurrency,
    )
    reason = _untouchable(wishes.source, source)
    if reason is not None:
        return _uncounted(facts, wishes, source, reason)
    program = Program(
        run="sample",
        schema=Schema(wishes.schema) if wishes.schema is not None else None,
        pre=hooks[0],
        post=hooks[1],
        concurrency=concurrency,
    )
    source.open()
    try:
        return _looked_at(facts, wishes, source, program, thorough)
    finally:
        source.close()


def _hooks(wishes: Wishes, source: Source, loop: RunLoop) -> tuple[tuple[BoundHook, ...], tuple[BoundHook, ...]]:
    sink = as_sink(wishes.sink, loop)
    pre = bind_hooks(getattr(source, "pre_hooks", ()), wishes.pre, getattr(sink, "pre_hooks", ()))
    post = bind_hooks(getattr(source, "post_hooks", ()), wishes.post, getattr(sink, "post_hooks", ()))
    return pre, post


def _untouchable(given: Any, source: Source) -> str | None:
    """Why the source must not be read before the run; None where it can be read again."""
    if source is given:
        return "the source is an object that only the run opens"
    if source.live:
        return "the input is live"
    target = target_of(given)
    if isinstance(target, str | os.PathLike | Sequence | Set):
        return None
    return f"a {type(target).__name__} may not give its records a second time"


def _uncounted(facts: Facts, wishes: Wishes, source: Source, reason: str) -> Facts:
    target = target_of(wishes.source)
    known = isinstance(target, Sized) and source is not wishes.source and not source.live
    records = _least(len(target) if known else None, wishes.limit)
    return replace(facts, live=bool(source.live), records=records, unsampled=reason)


def _looked_at(facts: Facts, wishes: Wishes, source: Source, program: Program, thorough: bool) -> Facts:
    batch = _batch(program.hooks, wishes)
    splits = source.splits(lambda: PIECE_BYTES)
    pieces: Iterator[Any] = source.chunks(lambda: max(MOST, batch or 0)) if splits is None else splits
    if splits is not None:
        facts = replace(facts, splittable=True, size=source.size)
    else:
        facts = replace(facts, records=source.size, size=_on_disk(wishes.source) if source.size is None else None)
    try:
        if not thorough and _is_small(facts, program, wishes.limit):
            records = _least(facts.records, wishes.limit)
            return replace(facts, few=True, records=records, unsampled="there is too little for a sample")
        piece = next(pieces, None)
        if piece is None:
            return replace(facts, few=True, records=0, unsampled="there are no records")
        return _sampled(facts, wishes, program, piece, batch)
    finally:
        if (close := getattr(pieces, "close", None)) is not None:
            close()


def _is_small(facts: Facts, program: Program, limit: int | None) -> bool:
    records, size = (FEW_RECORDS, FEW_BYTES) if program.hooks else (SMALL_RECORDS, SMALL_BYTES)
    most = _least(facts.records, limit)
    return (most is not None and most <= records) or (facts.size is not None and facts.size <= size)


def _least(records: int | None, limit: int | None) -> int | None:
    return min((one for one in (records, limit) if one is not None), default=None)


def _sampled(facts: Facts, wishes: Wishes, program: Program, piece: Readable, batch: int | None) -> Facts:
    begun = time.time()
    try:
        found = sample_apart(program, piece, batch)
    except CodecError as error:
        return replace(facts, stuck=str(error), unsampled=str(error))
    except SampleFailed as failure:
        return replace(facts, unsampled=str(failure), dies=str(failure) if failure.died else None)
    records, at_least = _count(facts, piece, found, wishes)
    limited = wishes.limit is not None and (records is None or records >= wishes.limit)
    return replace(
        facts,
        records=_least(records, wishes.limit),
        at_least=at_least and not limited,
        sampled=found.tried,
        failed=found.failed,
        cpu=found.cpu,
        waiting=found.waiting,
        start=max(0.0, found.ready - begun),
    )


def _batch(hooks: Sequence[BoundHook], wishes: Wishes) -> int | None:
    """How many records hooks must have at a time; None where no hook can tell."""
    sizes = [hook.chunk_size for hook in hooks if hook.chunk_size is not None]
    if not sizes and any(hook.kind == "chunk" or hook.is_async for hook in hooks):
        return int(wishes.setting("chunk_size").value or BATCH)
    return sizes[0] if sizes else None


def _count(facts: Facts, piece: Any, found: Sample, wishes: Wishes) -> tuple[int | None, bool]:
    """About how many records there are, and whether there may be many more."""
    if facts.records is not None:
        return facts.records, False
    if facts.splittable:
        pieces = max(1.0, (facts.size or 0) / max(1, piece.bytes))
        return round(found.count * pieces), not found.whole
    if facts.size is None or not found.text:
        return None, False
    return max(found.count, round(facts.size * _unpacked(wishes.source) / found.text)), False


def _on_disk(given: Any) -> int | None:
    """The bytes of a file that can only be read from its beginning."""
    target = target_of(given)
    try:
        return os.path.getsize(target) if isinstance(target, str | os.PathLike) else None
    except OSError:  # no file of this machine
        return None


def _unpacked(given: Any) -> int:
    return UNPACKED if PurePath(target_of(given)).suffix.lower() in COMPRESSED else 1
