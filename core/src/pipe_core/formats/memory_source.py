"""Lists, other iterables and queues as sources."""

from __future__ import annotations

import hashlib
import json
import queue
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, Final

from pipe_core.formats.options import MemoryOptions
from pipe_core.kernel.contracts import Batch, SizeNow
from pipe_core.kernel.copies import fresh
from pipe_core.kernel.ctrl_c import is_ctrl_c
from pipe_core.kernel.errors import CodecError, OptionsError, SourceError

_PRINTED: Final = 100
"""Records that a fingerprint is made of."""
_GLANCE: Final = 0.1
"""Seconds after which a read of an empty queue looks whether it is still wanted."""


@dataclass(slots=True)
class RecordsChunk:
    """Consecutive records, as they were given."""

    records: list[Any]

    def __len__(self) -> int:
        return len(self.records)

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of at most *size* records. Mappings in them are fresh dicts, copied to their depth where possible."""
        for start in range(0, len(self.records), size):
            yield _batch(self.records[start : start + size])

    def pack(self) -> list[Any]:
        """The records. Mappings among them become the dicts that they stand for."""
        if set(map(type, self.records)) <= {dict}:
            return [self.records]
        try:
            return [[dict(item) if isinstance(item, Mapping) else item for item in self.records]]
        except BaseException as error:  # user code: the class of a mapping
            if is_ctrl_c(error):
                raise
            raise CodecError(f"A record cannot be made a dict: {type(error).__name__}") from error

    @classmethod
    def unpack(cls, records: list[Any]) -> RecordsChunk:
        """The chunk of *records*."""
        return cls(records)


class MemorySource:
    """The items of a Python object.

    A collection with a length is read when the run asks for it. Everything else may block and is live. `raw` is the
    item itself.

    Args:
        target: An iterable of records, or a queue with a blocking ``get``.
        options: The sentinel of a queue.
    """

    travels: ClassVar[tuple[type, ...]] = (RecordsChunk,)

    def __init__(self, target: Any, options: MemoryOptions) -> None:
        self._is_queue = not isinstance(target, Iterable) and callable(getattr(target, "get", None))
        if not self._is_queue and (not isinstance(target, Iterable) or isinstance(target, str | bytes | Mapping)):
            kind = type(target).__name__
            text = f"The format 'memory' reads an iterable of records or a queue, not {kind}."
            raise OptionsError(text, problems={"target": f"is {kind}"})
        self._target = target
        self._sentinel = options.sentinel
        self._interrupted = False

    @property
    def name(self) -> str:
        """The type of the object."""
        return f"<{type(self._target).__name__}>"

    @property
    def live(self) -> bool:
        """Whether reading may block for long: everything without a length."""
        return not isinstance(self._target, Sized) or self._is_queue

    @property
    def fields(self) -> None:
        """None: there is no header."""
        return

    @property
    def size(self) -> int | None:
        """The number of records, where there is a length."""
        return None if self.live else len(self._target)

    def open(self) -> None:
        """There is nothing to check."""

    def splits(self, size: SizeNow) -> None:
        """None: the records are on the driver."""
        return

    def chunks(self, size: SizeNow) -> Iterator[RecordsChunk]:
        """Chunks of ``size()`` records. Waits until they are full: `items` is for who cannot wait."""
        items = self.items()
        failure = None
        while failure is None:
            records: list[Any] = []
            count = max(size(), 1)
            try:
                records.extend(islice(items, count))
            except SourceError as error:  # raised again below, behind what was read before it
                failure = error
            if records:
                yield RecordsChunk(records)
            if failure is None and len(records) < count:
                return
        raise failure

    def items(self) -> Iterator[Any]:
        """The records one by one. What the object raises becomes a `SourceError`."""
        count = 0
        try:
            for item in self._from_queue() if self._is_queue else self._target:
                count += 1
                yield item
        except Exception as error:
            text = f"{self.name} raised {type(error).__name__} behind {count:,} records: {error}"
            raise SourceError(text, source=self.name, position=count) from error

    def chunk_of(self, items: list[Any]) -> RecordsChunk:
        """A chunk of what `items` gave."""
        return RecordsChunk(items)

    def fingerprint(self) -> Mapping[str, Any]:
        """See `FingerprintedSource`: of lists and the like their length, and a hash of the first records."""
        if not isinstance(self._target, list | tuple | set | frozenset):
            return {}  # to look at it could be to take something out of it
        return {"length": len(self._target), "head": _digest(list(islice(self._target, _PRINTED)))}

    def close(self) -> None:
        """Close a generator, so that its clean-up runs now."""
        close = getattr(self._target, "close", None)
        if isinstance(self._target, Iterator) and callable(close):
            close()

    def _from_queue(self) -> Iterator[Any]:
        while True:
            try:
                item = self._target.get(timeout=_GLANCE)
            except queue.Empty:
                if self._interrupted:
                    return
                continue
            if item is self._sentinel or self._ends(item):
                return
            yield item

    def interrupt(self) -> None:
        """End a read that waits, soon, and take nothing more."""
        self._interrupted = True

    def _ends(self, item: Any) -> bool:
        return type(item) is type(self._sentinel) and bool(item == self._sentinel)


def _digest(records: list[Any]) -> str:
    """A hash of what JSON can say of *records*, which is the same in every process."""
    try:
        text = json.dumps(records, default=lambda one: type(one).__name__, skipkeys=True)
    except (ValueError, RecursionError):  # in circles, or deep
        return ""
    return hashlib.sha256(text.encode()).hexdigest()


def _batch(items: list[Any]) -> Batch:
    records, rejected = fresh(items)
    return Batch(records, items.__getitem__, rejected)
