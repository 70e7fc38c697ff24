"""A reader: the thread that reads a source which can block, so that the run never does."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

from pipe_core.kernel.contracts import Chunk, SizeNow, Source
from pipe_core.kernel.errors import SourceError

_NOTHING: Final = object()
_SKIPPED: Final = 10_000
"""How many records are read at a time to be left out."""

IDLE_SECONDS: Final = 0.05
"""A chunk is closed when its first record has waited so long."""


class Reader:
    """Reads a live source in a thread of its own, and closes chunks when they are full or idle.

    It is ahead of the run by two chunks at most; then it waits.

    Invariant: whatever was read and not yet taken is in `_ready` (whole chunks, of sources that give chunks) or in
    `_items` (records, of sources that give records one by one). Both are deques: the reading thread only appends and
    the run only takes from the left, which needs no lock.

    Args:
        source: An opened source.
        size: Records in a full chunk.
        wake: Called when there may be something to take.
        idle: Seconds after which a chunk is closed that is not full; `math.inf` where its size must hold.
        skip: How many records from the first are not wanted.
    """

    def __init__(
        self, source: Source, size: int, wake: Callable[[], None], *, idle: float = IDLE_SECONDS, skip: int = 0
    ) -> None:
        self._source = source
        self._size = size
        self._wake = wake
        self._idle = idle
        self._skip = skip
        self._ready: deque[Chunk] = deque()
        self._items: deque[Any] = deque()
        self._since = 0.0
        self._room = threading.Condition()
        self._stopped = False
        self._over = False
        self.failure: SourceError | None = None
        self._thread = threading.Thread(target=self._read, name="pipe-reader", daemon=True)
        self._thread.start()

    # --- the run's side ---

    @property
    def ended(self) -> bool:
        """Whether there is nothing to take any more."""
        return self._over and not self._ready and not self._items

    def resize(self, size: int) -> None:
        """Close chunks at *size* records from now on."""
        self._size = size

    def take(self) -> Chunk | None:
        """The next chunk: a full one, or what has waited long enough, or what is left at the end."""
        over = self._over  # looked at first: what was read before the end is seen below
        if self._ready:
            chunk = self._ready.popleft()
        elif (waiting := len(self._items)) and (over or waiting >= self._size or self.due() == 0.0):
            items = [self._items.popleft() for _ in range(min(waiting, self._size))]
            chunk = cast(Chunk, self._source.chunk_of(items))  # type: ignore[attr-defined]  # whoever has items has it
        else:
            return None
        with self._room:
            self._room.notify()
        return chunk

    def due(self) -> float | None:
        """Seconds until what has arrived is due, or None when nothing waits."""
        if not self._items or self._idle == math.inf:
            return None
        return max(0.0, self._since + self._idle - time.monotonic())

    def stop(self) -> bool:
        """Ask the thread to end. False when it is blocked in the source."""
        with self._room:
            self._stopped = True
            self._room.notify()
        if (interrupt := getattr(self._source, "interrupt", None)) is not None:
            interrupt()
        self._thread.join(timeout=0.3)
        return not self._thread.is_alive()

    # --- the thread's side ---

    def _read(self) -> None:
        try:
            if (items := getattr(self._source, "items", None)) is not None:
                self._read_items(items())
            else:
                self._read_chunks()
        except SourceError as error:
            self.failure = error
        except BaseException as error:  # a source of the user's may raise anything; it ends the run with its reason
            self.failure = source_error(self._source, error)
        finally:
            self._over = True
            self._wake()

    def _read_items(self, records: Iterator[Any]) -> None:
        # On the way of every record of a generator.
        items = self._items
        for _ in range(self._skip):
            if next(records, _NOTHING) is _NOTHING:
                raise too_short(self._source, self._skip)
            if self._stopped:
                return
        for record in records:
            items.append(record)
            waiting = len(items)  # looked at behind the append: whoever took everything before it is woken again
            if waiting == 1:
                self._since = time.monotonic()
                self._wake()
            elif waiting == self._size:
                self._wake()
            elif waiting > 2 * self._size:
                self._wait(lambda: len(items) > self._size)
            if self._stopped:
                break
        if self._stopped and hasattr(records, "close"):
            records.close()

    def _read_chunks(self) -> None:
        for chunk in chunks_behind(self._source, self._skip, lambda: self._size):
            self._ready.append(chunk)
            self._wake()
            self._wait(lambda: len(self._ready) >= 2)
            if self._stopped:
                break

    def _wait(self, full: Callable[[], bool]) -> None:
        with self._room:
            while full() and not self._stopped:
                self._room.wait()


def chunks_behind(source: Source, skip: int, size: SizeNow) -> Iterator[Chunk]:
    """The chunks of *source* behind its first *skip* records, which are read and left out.

    Raises:
        SourceError: It has not so many.
    """
    left = skip
    chunks = source.chunks(lambda: min(left, _SKIPPED) if left else size())
    while left:
        chunk = next(chunks, None)
        if chunk is None:
            raise too_short(source, skip)
        left -= len(chunk)
    yield from chunks


def too_short(source: Source, skip: int) -> SourceError:
    """The error of a run that goes on behind the end of its source."""
    return SourceError(
        f"The source {source.name} has ended before its record {skip:,}, behind which the run was to go on. Is it the "
        f"one that the run began with? Run the pipe anew.",
        source=source.name,
    )


def source_error(source: Source, error: BaseException) -> SourceError:
    """The error of a run whose source raised *error*."""
    failure = SourceError(
        f"The source {source.name} raised {type(error).__name__}: {error}. The records before it were processed.",
        source=source.name,
    )
    failure.__cause__ = error
    return failure
