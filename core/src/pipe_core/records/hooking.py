"""Running hooks over a worker's entries: one by one or many, sync or async, with each failure on its own entry."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from pipe_core.kernel.error_text import error_text
from pipe_core.kernel.errors import HookContractError, HookTimeout, RunCancelledError
from pipe_core.records.entry import Entry, EntryStatus
from pipe_core.records.hooks import BoundHook
from pipe_core.records.store import HookStore
from pipe_core.runtime.run_loop import RunLoop
from pipe_core.runtime.watchdog import Watchdog

if TYPE_CHECKING:
    import asyncio

_QUICK: Final = 2e-5
"""Seconds for one call below which the whole batch is done before anybody could have asked to stop it."""

AsyncCall = tuple[object, BoundHook, int, bool]
CALL: Final[ContextVar[AsyncCall]] = ContextVar("pipe_call")
"""The call that the running task belongs to: its runner's mark, the hook, the index of its entry or of the first one,
and whether that is the only one. For whoever looks for calls that block their event loop."""

Fail = Callable[[Entry, BoundHook, BaseException], None]


class HookRunner:
    """Runs the hooks of one worker.

    Args:
        store: The worker's store.
        loop: Where async hooks run.
        timeout: Seconds for one call of a hook.
        concurrency: How many calls of an async hook may be in flight.
        fail: Told of every entry that a hook failed, and why.
        gate: Bounds those calls for all workers of a process.
        stopping: Whether the run is being stopped; a `KeyboardInterrupt` is the user's Ctrl-C then.
        watchdog: Fed before and behind every call, where hooks that hang are ended by force.

    Attributes:
        doing: The hook that runs, its entries, and an iterator over them that stands behind the one in work; None in
            place of the iterator where the hook has them all at once. For whoever looks for calls that hang.
        mark: What its calls are known by in `CALL`.
    """

    def __init__(
        self,
        store: HookStore,
        loop: Callable[[], RunLoop],
        *,
        timeout: float,
        concurrency: int,
        fail: Fail,
        gate: Callable[[], asyncio.Semaphore],
        stopping: Callable[[], bool],
        watchdog: Watchdog,
    ) -> None:
        self._store = store
        self._loop = loop
        self._timeout = timeout
        self._concurrency = concurrency
        self._fail = fail
        self._gate = gate
        self._stopping = stopping
        self._watchdog = watchdog
        self.doing: tuple[BoundHook, Sequence[Entry], Iterator[Entry] | None] | None = None
        self.mark = object()
        self._parts: dict[int, int] = {}
        self.dropped = 0
        self.expanded = 0

    def run(self, hook: BoundHook, entries: list[Entry]) -> list[Entry]:
        """Run *hook* over *entries*; the result are those to go on with."""
        if not entries:
            return entries
        if hook.kind == "chunk":
            return self._run_chunks(hook, entries)
        return self._run_async(hook, entries) if hook.is_async else self._run_sync(hook, entries)

    # --- one entry at a time ---

    def _run_sync(self, hook: BoundHook, entries: list[Entry]) -> list[Entry]:
        # On the way of every record: one call, one look at the clock and at the flag, one append.
        call, store, timeout, clock, stopping = hook.call, self._store, self._timeout, time.monotonic, self._stopping
        watchdog = self._watchdog
        going_on: list[Entry] = []
        append = going_on.append
        left = iter(entries)
        self.doing = (hook, entries, left)
        before = clock()
        watchdog.feed(before)
        for entry in left:
            try:
                answer = call(entry, store)
            except BaseException as error:  # a hook may raise anything, SystemExit included: its entry fails
                self._failed(entry, hook, error)
                before = clock()
                watchdog.feed(before)
                continue
            now = clock()
            if now > watchdog.due:
                watchdog.feed(now)
            if now - before > _QUICK and stopping():
                raise RunCancelledError("The run was stopped.")
            if now - before > timeout:
                self._failed(entry, hook, self._overrun(hook, now - before))
            elif answer is None or answer is entry:
                append(entry)
            else:
                going_on += self._answered(hook, [entry], answer)
            before = now
        self.doing = None
        return going_on

    def _run_async(self, hook: BoundHook, entries: list[Entry]) -> list[Entry]:
        most = min(self._concurrency, len(entries))
        answers = self._loop().run(_bounded(self._awaited(hook, entry, entry._index) for entry in entries)(most))
        going_on: list[Entry] = []
        for entry, (answer, error) in zip(entries, answers, strict=True):
            if error is not None:
                self._failed(entry, hook, error)
            elif answer is None or answer is entry:
                going_on.append(entry)
            else:
                going_on += self._answered(hook, [entry], answer)
        return going_on

    async def _awaited(
        self, hook: BoundHook, subject: Any, index: int, alone: bool = True
    ) -> tuple[Any, BaseException | None]:
        async with self._gate():
            CALL.set((self.mark, hook, index, alone))
            return await self._timed(hook, subject)

    async def _timed(self, hook: BoundHook, subject: Any) -> tuple[Any, BaseException | None]:
        import asyncio

        from pipe_core.runtime.loops import cancelled_from_outside

        started = time.monotonic()
        self._watchdog.feed(started)
        try:
            async with asyncio.timeout(self._timeout if self._timeout != math.inf else None):
                answer = await hook.call(subject, self._store)
        except asyncio.CancelledError as error:
            if cancelled_from_outside():
                raise
            return None, error
        except TimeoutError as error:
            late = time.monotonic() - started >= self._timeout
            return None, self._overrun(hook, self._timeout, "it was cancelled then") if late else error
        except BaseException as error:  # would end the event loop; given to the thread that waits
            return None, error
        seconds = time.monotonic() - started
        return answer, self._overrun(hook, seconds) if seconds > self._timeout else None

    def _overrun(self, hook: BoundHook, seconds: float, how: str = "noticed when it returned") -> HookTimeout:
        return HookTimeout(f"took {seconds:.3g} s, more than hook_timeout = {self._timeout:g} s; {how}")

    # --- many entries at a time ---

    def _run_chunks(self, hook: BoundHook, entries: list[Entry]) -> list[Entry]:
        size = hook.chunk_size or len(entries)
        going_on: list[Entry] = []
        for start in range(0, len(entries), size):
            going_on += self._run_chunk(hook, entries[start : start + size])
        return going_on

    def _run_chunk(self, hook: BoundHook, chunk: list[Entry]) -> list[Entry]:
        spare = _spare(chunk) if hook.repeatable and len(chunk) > 1 else None
        answer, error = self._called(hook, chunk)
        if error is None:
            return chunk if answer is None else self._answered(hook, chunk, answer)
        if spare is None:
            for entry in chunk:
                self._failed(entry, hook, error)
            return []
        # Again, one by one and on fresh copies, so that only the culprit fails.
        going_on: list[Entry] = []
        for entry in spare:
            going_on += self._run_chunk(hook, [entry])
        return going_on

    def _called(self, hook: BoundHook, chunk: list[Entry]) -> tuple[Any, BaseException | None]:
        if hook.is_async:
            return self._loop().run(self._awaited(hook, list(chunk), chunk[0]._index, len(chunk) == 1))
        started = time.monotonic()
        self._watchdog.feed(started)
        self.doing = (hook, chunk, None)
        try:
            answer = hook.call(list(chunk), self._store)
        except BaseException as error:  # a hook may raise anything, SystemExit included: its entries fail
            if isinstance(error, KeyboardInterrupt) and self._stopping():
                raise
            return None, error.with_traceback(None)  # its frames hold the entries, and the error would hold them
        finally:
            self.doing = None
        seconds = time.monotonic() - started
        return answer, self._overrun(hook, seconds) if seconds > self._timeout else None

    # --- what a hook answered ---

    def _answered(self, hook: BoundHook, given: Sequence[Entry], answer: Any) -> list[Entry]:
        """The entries to go on with, with drops and additions counted."""
        entries = [answer] if isinstance(answer, Entry) else answer
        if not isinstance(entries, list | tuple) or not all(isinstance(entry, Entry) for entry in entries):
            raise HookContractError(
                f"The hook {hook.name} returned {_described(answer)}. A hook returns nothing, or a list of entries: "
                f"fewer drop records, more (made with entry.copy()) add some.",
                hook=hook.name,
            )
        if len({id(entry) for entry in entries}) != len(entries):
            raise HookContractError(
                f"The hook {hook.name} returned the same entry twice. Use entry.copy() to make another one.",
                hook=hook.name,
            )
        known = {id(entry) for entry in given}
        kept = sum(id(entry) in known for entry in entries)
        self.dropped += len(given) - kept
        self.expanded += len(entries) - kept
        self._number(hook, given, entries, known)
        return list(entries)

    def _number(self, hook: BoundHook, given: Sequence[Entry], entries: Sequence[Entry], known: set[int]) -> None:
        """Give entries that a hook made the place of the entry they were made of, and a part number."""
        nearest = given[0]
        for entry in entries:
            if id(entry) in known:
                nearest = entry
                continue
            if entry._index < 0:  # made from scratch: it belongs to the entry before it
                if nearest.status is EntryStatus.VALIDATED:
                    raise HookContractError(
                        f"The hook {hook.name} made an entry from scratch behind validation, so that nothing was "
                        f"validated. Use entry.copy() there.",
                        hook=hook.name,
                    )
                entry._index, entry._position, entry._run = nearest._index, nearest._position, nearest._run
            self._parts[entry._index] = entry.part = self._parts.get(entry._index, 0) + 1

    def _failed(self, entry: Entry, hook: BoundHook, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt) and self._stopping():
            raise error
        if isinstance(error, HookContractError) and not error.hook:
            raise HookContractError(f"The hook {hook.name}: {error}", hook=hook.name) from error
        self._fail(entry, hook, error)


def _spare(chunk: Sequence[Entry]) -> list[Entry] | None:
    """Copies for a second try; None where a record cannot be copied, and then the chunk fails as one."""
    try:
        return [entry.copy() for entry in chunk]
    except Exception:
        return None


def hook_error(hook: str, error: BaseException) -> dict[str, Any]:
    """The error of an entry that a hook failed."""
    kind = "HookTimeout" if isinstance(error, HookTimeout) else "HookError"
    return {"type": kind, "message": f"{hook}: {error_text(error)}"}


def refused(hook: BoundHook) -> dict[str, Any]:
    """The error of an entry that a run-scoped hook refuses."""
    return {"type": "HookError", "message": f"{hook.name}: {getattr(hook.source, 'refusal', 'refused')}"}


def _described(answer: Any) -> str:
    if isinstance(answer, list | tuple):
        odd = next(entry for entry in answer if not isinstance(entry, Entry))
        return f"a {type(answer).__name__} holding a {type(odd).__name__}"
    return f"a {type(answer).__name__}"


def _bounded(calls: Iterable[Coroutine[Any, Any, Any]]) -> Callable[[int], Coroutine[Any, Any, list[Any]]]:
    """Run *calls* with at most so many in flight; the results are in order."""

    async def run(most: int) -> list[Any]:
        import asyncio

        numbered = enumerate(calls)
        results: dict[int, Any] = {}

        async def work() -> None:
            for number, call in numbered:
                results[number] = await call

        async with asyncio.TaskGroup() as group:
            for _ in range(most):
                group.create_task(work())
        return [results[number] for number in sorted(results)]

    return run
