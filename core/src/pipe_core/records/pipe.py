"""`Pipe`: the front door for records."""

from __future__ import annotations

import contextvars
import itertools
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipe_core.kernel.contracts import Mode
from pipe_core.kernel.errors import OptionsError, RunningError
from pipe_core.kernel.settings import checked
from pipe_core.records.attempt import Attempt
from pipe_core.records.places import shown
from pipe_core.records.plan import Wishes
from pipe_core.records.report import FlowReport
from pipe_core.records.resuming.kept_run import KeptRun, last_resumable
from pipe_core.runtime.interrupt import interruptible

if TYPE_CHECKING:
    import asyncio

_numbers = itertools.count(1)


class Pipe:
    """Streams records through hooks and a schema: good ones to a sink, bad ones with reasons to an error sink.

    ``None`` for a parameter means: as the settings say, then the default.

    Args:
        source: A path, a URL, an iterable of records, a queue, or a source object. ``(path, {option: value})`` gives
            the format's options.
        sink: A path, a URL, a list, a callable, a queue or a sink object. Default: records are only counted.
        schema: A pydantic model, a dataclass, a `TypedDict` or any type that pydantic takes. Default: no validation.
        errors: Where rejected records go, as `sink`. Default: they are counted, and the first ten kept in the report.
        pre_validation_hooks: Hooks on entries before validation, on `raw_data`.
        post_validation_hooks: Hooks on entries that passed validation, on `validated_data`.
        executor: Where the work runs: a name, a URL, ``(name, options)`` or an executor. Default ``"sync"``.
        chunk_size: Records in a chunk. Default: follows the time that chunks take.
        max_inflight: How many chunks may be read and not yet committed. Default 20, or twice the workers where
            that is more.
        max_bytes_inflight: How many bytes they may stand for. Default 64 MiB.
        ordered: Keep the order of the source. Without it chunks may overtake each other; splits of a file never do.
        codec: How chunks travel to other processes. Default ``"msgpack"``.
        compression: Compress what travels: ``"lz4"`` or None.
        mode: What to do when a target exists: ``"error"``, ``"overwrite"``, ``"append"`` or ``"ignore"`` (do nothing).
        on_error: ``"collect"`` failed records, or ``"fail"`` at the first.
        max_errors: Stop when more than so many records failed.
        max_error_rate: Stop when more than this share of the records read failed, from the hundredth on.
        max_poison: Stop when more than so many records killed every worker that touched them. Default 100.
        max_runtime: Stop when the run takes longer than so many seconds. Chunks that run have a moment to end; on
            ``"sync"`` it is looked at between chunks. Default: no limit.
        hook_timeout: Seconds for one call of a hook; `math.inf` for no limit. Default 300.
        concurrency: Calls of an async hook in flight. Default 10.
        error_payload: What the error sink shows of a record: ``"full"``, ``"redacted"`` (field names) or ``"hash"``.
        limit: Read at most so many records.
        checkpoint: The folder in which each run keeps how far it has come, so that `resume` goes on with one that
            was killed; True for ``"runs"``. Default: nothing is kept.
        checkpoint_seconds: How often that is kept. Default 2.
        observers: Names of observers, or objects with `hookimpl` methods.
        name: What run ids begin with, default ``"run"``; those of runs that are kept begin with the time.

    Raises:
        PipeError: A parameter is wrong; most are checked when a run starts, and nothing runs then.
    """

    def __init__(
        self,
        source: Any,
        sink: Any = None,
        *,
        schema: Any = None,
        errors: Any = None,
        pre_validation_hooks: Sequence[Any] = (),
        post_validation_hooks: Sequence[Any] = (),
        executor: Any = None,
        chunk_size: int | None = None,
        max_inflight: int | None = None,
        max_bytes_inflight: int | str | None = None,
        ordered: bool = True,
        codec: Any = None,
        compression: str | None = None,
        mode: Mode = "error",
        on_error: Literal["collect", "fail"] | None = None,
        max_errors: int | None = None,
        max_error_rate: float | None = None,
        max_poison: int | None = None,
        max_runtime: float | None = None,
        hook_timeout: float | None = None,
        concurrency: int | None = None,
        error_payload: Literal["full", "redacted", "hash"] | None = None,
        limit: int | None = None,
        checkpoint: bool | str | os.PathLike[str] | None = None,
        checkpoint_seconds: float | None = None,
        observers: Sequence[Any] | None = None,
        name: str | None = None,
    ) -> None:
        self._wishes = Wishes(
            source=source,
            sink=sink,
            schema=schema,
            errors=errors,
            pre=_hooks("pre_validation_hooks", pre_validation_hooks),
            post=_hooks("post_validation_hooks", post_validation_hooks),
            executor=executor,
            ordered=ordered,
            codec=codec,
            mode=mode,
            limit=limit,
            observers=observers,
            settings=checked(
                "the call",
                chunk_size=chunk_size,
                max_inflight=max_inflight,
                max_bytes_inflight=max_bytes_inflight,
                compression=compression,
                on_error=on_error,
                max_errors=max_errors,
                max_error_rate=max_error_rate,
                max_poison=max_poison,
                max_runtime=max_runtime,
                hook_timeout=hook_timeout,
                concurrency=concurrency,
                error_payload=error_payload,
                checkpoint_seconds=checkpoint_seconds,
            ),
            checkpoint=_runs_folder(checkpoint),
        )
        self.name = name
        self._lock = threading.Lock()
        self._report: FlowReport | None = None

    @property
    def checkpoint(self) -> Path | None:
        """The folder in which its runs are kept; None where they are not."""
        return self._wishes.checkpoint

    @property
    def origin(self) -> Mapping[str, Any] | None:
        """How the pipe was made, as plain data: kept with its runs, for whoever has to make it again to resume one."""
        return self._wishes.origin

    @origin.setter
    def origin(self, origin: Mapping[str, Any] | None) -> None:
        self._wishes = replace(self._wishes, origin=origin)

    @property
    def report(self) -> FlowReport | None:
        """The report of the latest run, None before the first."""
        return self._report

    # --- fronts ---

    def run(self, *, handle_sigterm: bool = False) -> FlowReport:
        """Run to the end.

        Failed records do not raise; `FlowReport.raise_for_status` does. In the main thread Ctrl-C stops the run in
        order, leaves the targets as they were and then raises `KeyboardInterrupt`.

        Args:
            handle_sigterm: Treat SIGTERM likewise, and raise `SystemExit` with 143 then.

        Raises:
            PipeError: The run failed, or could not start.
        """
        attempt = self._attempt(blocks=True)
        with interruptible(attempt.control.abort, terminate=handle_sigterm):
            attempt.prepare()
            attempt.drain()
        return attempt.report

    def resume(self, run: str | None = None, *, force: bool = False, handle_sigterm: bool = False) -> FlowReport:
        """Go on with a run that failed, was stopped or was killed, at its last checkpoint. On any executor.

        What it has written stays, and is cut off behind the checkpoint; nothing becomes visible before the end. Sinks
        that can do so have every record once (`FlowReport.delivery`). Hooks may see some records twice.

        Args:
            run: Its id, or the beginning of it; default: the last one that can be resumed.
            force: Go on also where the source, the targets, the schema or the hooks are not what they were.
            handle_sigterm: As in `run`.

        Raises:
            RunNotFoundError: There is no such run.
            RunLockedError: It goes on in another process.
            ResumeError: It is complete, or what it is to do is not what it was.
            PipeError: The run failed again, or could not start.
        """
        attempt = self._resumed(run, force=force)
        with interruptible(attempt.control.abort, terminate=handle_sigterm):
            attempt.prepare()
            attempt.drain()
        return attempt.report

    def start(self) -> FlowReport:
        """Run in the background.

        Returns:
            The live report, at once: `wait`, `pause`, `resume` and `abort` are its methods.

        Raises:
            PipeError: The run cannot start.
        """
        attempt = self._attempt()
        attempt.prepare()
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(attempt.drain_quietly,), name="pipe-run", daemon=True)
        thread.start()
        return attempt.report

    async def arun(self) -> FlowReport:
        """Run to the end without blocking the running event loop, on which async hooks, sources and sinks run.

        Cancelling the awaiting task aborts the run, waits for its clean-up and is raised again.

        Raises:
            PipeError: The run failed, or could not start.
        """
        import asyncio

        attempt = self._attempt(asyncio.get_running_loop())
        work = asyncio.ensure_future(asyncio.to_thread(attempt.prepare_and_drain))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            attempt.control.abort()
            await asyncio.wait([work])
            if not work.cancelled():
                work.exception()  # it was aborted, and that is what it says
            raise
        return attempt.report

    def __iter__(self) -> Iterator[Any]:
        """Run, and give every valid entry as soon as it is committed. Leaving the loop early aborts the run.

        In the main thread Ctrl-C does so too, and raises `KeyboardInterrupt`.
        """
        attempt = self._attempt(streams=True, blocks=True)
        groups = attempt.prepared_entries()
        try:
            while (group := attempt.interruptible(partial(next, groups, None))) is not None:
                yield from group
        finally:
            attempt.interruptible(groups.close)

    async def __aiter__(self) -> AsyncIterator[Any]:
        """As `__iter__`, without blocking the running event loop."""
        import asyncio

        loop = asyncio.get_running_loop()
        attempt = self._attempt(loop, streams=True)
        with ThreadPoolExecutor(1, thread_name_prefix="pipe-run") as thread:
            await loop.run_in_executor(thread, attempt.prepare)
            groups = attempt.entries()
            try:
                while (group := await loop.run_in_executor(thread, next, groups, None)) is not None:
                    for entry in group:
                        yield entry
            finally:
                attempt.control.abort()
                await loop.run_in_executor(thread, groups.close)

    def _attempt(
        self, loop: asyncio.AbstractEventLoop | None = None, *, streams: bool = False, blocks: bool = False
    ) -> Attempt:
        with self._lock:
            self._check_idle()
            kept = KeptRun.new(self._wishes.checkpoint) if self._wishes.checkpoint is not None else None
            name = f"{self.name or 'run'}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid():x}-{next(_numbers)}"
            name = name if kept is None else kept.run
            attempt = Attempt(self._wishes, name, loop, streams=streams, blocks=blocks, kept=kept)
            self._report = attempt.report
            return attempt

    def _resumed(self, run: str | None, *, force: bool) -> Attempt:
        with self._lock:
            self._check_idle()
            runs = self._wishes.checkpoint
            if runs is None:
                raise OptionsError("A pipe without checkpoint= keeps nothing of its runs: there is none to resume.")
            kept = KeptRun.take_up(runs, run if run is not None else last_resumable(runs))
            attempt = Attempt(self._wishes, kept.run, None, blocks=True, kept=kept, force=force)
            self._report = attempt.report
            return attempt

    def _check_idle(self) -> None:
        if self._report is not None and not self._report.is_finished:
            raise RunningError("The pipe is running already. Wait for its report, or make another pipe.")

    def __repr__(self) -> str:
        return f"<Pipe {shown(self._wishes.source)!r} -> {shown(self._wishes.sink)!r}>"


def _runs_folder(given: bool | str | os.PathLike[str] | None) -> Path | None:
    if given is None or given is False:
        return None
    if given is True:
        return Path("runs")
    try:
        return Path(given or [])  # type: ignore[arg-type]  # an empty text is a mistake, as whatever is no path
    except TypeError:
        raise OptionsError(f"checkpoint wants a folder for what is kept of runs, or True; not {given!r}.") from None


def _hooks(name: str, given: Any) -> tuple[Any, ...]:
    if isinstance(given, str | dict) or callable(given) or not hasattr(given, "__iter__"):
        raise OptionsError(f"{name} wants a list of hooks: write {name}=[{getattr(given, '__name__', given)}].")
    return tuple(given)
