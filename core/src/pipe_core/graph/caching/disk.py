"""`DiskCache`: results in a folder, shared by all processes that are given it."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, time
from types import TracebackType
from typing import Any, Final, Self
from weakref import WeakValueDictionary

from pipe_core.graph.caching.claims import Claimed, Claims
from pipe_core.graph.caching.entries import DamagedEntryError, Entries, ForeignEntryError, UnwritableError
from pipe_core.graph.caching.errors import CacheAccessError
from pipe_core.graph.caching.files import CacheFiles
from pipe_core.graph.caching.index import CacheIndex
from pipe_core.graph.caching.memory import MISSING, MemoryCache, check_limits
from pipe_core.graph.caching.parts import Parts, nearest
from pipe_core.kernel.errors import OptionsError

logger = logging.getLogger("pipe_core")

_INLINE_BYTES: Final = 16 * 1024
"""Entries up to here are in the index: a file of their own would take longer."""
_MOST_USES: Final = 100
_USES_SECONDS: Final = 1.0
"""After so many uses, or so long, they are written down. Until then other processes do not know of them."""
_SPARE: Final = 0.9
"""How full the cache is after something had to go, so that not each new entry makes another one go."""
_MOST_PARTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class CacheSize:
    """How much a cache holds on disk.

    Attributes:
        entries: How many results.
        bytes: Of how many bytes.
    """

    entries: int
    bytes: int


class DiskCache:
    """Keeps results in a folder. To other processes it goes as its path.

    What can be written: what the codec ``msgpack`` takes (plain data, dates, decimals, paths, and objects of the
    classes in *types*), numpy arrays and arrow tables, and lists, tuples and dictionaries of these. Unless pickles are
    allowed, everything else is kept as in a `MemoryCache`, for the process. An entry that is damaged is no entry.

    The folder has to be on a disk of the machine; processes of other machines have one of their own.

    Args:
        path: The folder. It is made when it is needed.
        max_bytes: How large all results may be together; then those go first that were used longest ago.
        max_age: For how many seconds a result is kept. Default: for good.
        types: Classes whose objects may be written: enums, pydantic models, dataclasses and NamedTuples.
        pickle: Whether everything else is pickled. Opening a pickle runs what its writer likes, so each is signed with
            *key*, and none is opened that is not. The key goes along to worker processes.
        key: At least 16 bytes that nobody else knows. Not in the folder, please.
        max_in_memory: How many results are kept in memory that cannot be written; then those go first that were used
            longest ago.

    Raises:
        OptionsError: *path* is a file, a limit is not above 0, one of *types* cannot be written, or there is only one
            of *pickle* and *key*.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int | None = None,
        max_age: float | None = None,
        types: Sequence[type] = (),
        pickle: bool = False,
        key: bytes | None = None,
        max_in_memory: int = 1_000,
    ) -> None:
        check_limits(max_bytes=max_bytes, max_age=max_age)
        self.path: Final = os.path.abspath(os.path.expanduser(path))
        if os.path.exists(self.path) and not os.path.isdir(self.path):
            raise OptionsError(f"A DiskCache wants a folder, and {self.path} is a file.")
        _check_key(pickle, key)
        self.max_bytes: Final = max_bytes
        self.max_age: Final = max_age
        self._options = (max_bytes, max_age, tuple(types), key, max_in_memory)
        self._entries = Entries(types, key)
        self._files = CacheFiles(self.path)
        self._index = CacheIndex(os.path.join(self.path, "index.sqlite"))
        self._memory = MemoryCache(max_in_memory, max_age=max_age)
        self._claims = Claims(self._index, self.has)
        self._lock = threading.Lock()
        self._uses: dict[str, float] = {}
        self._noted = monotonic()
        self._is_ready = False

    # --- results ---

    def get(self, signature: str, default: Any = None, /) -> Any:
        """The result under *signature*; *default* where there is none. What is damaged is removed.

        Raises:
            CacheAccessError: The folder cannot be read.
        """
        if len(self._memory):
            found = self._memory.get(signature, MISSING)
            if found is not MISSING:
                return found
        with self._access() as index:
            row = index.find(signature)
            if row is None:
                return default
            if row.made < self._since:
                self._files.remove(index.remove(signature, row))
                return default
            try:
                data = row.data if row.file is None else self._files.read(row.file)
                value = self._entries.open(signature, data or b"")
            except FileNotFoundError:  # somebody has just removed it
                index.remove(signature, row)
                return default
            except DamagedEntryError:
                logger.warning("An entry of the cache %s is damaged, and is made again: %s", self.path, signature)
                self._files.remove(index.remove(signature, row))
                return default
            except ForeignEntryError as why:
                logger.debug("An entry of the cache %s is of no use here: %s (%s)", self.path, why, signature)
                return default
            self._used(index, signature)
        return value

    def put(self, signature: str, value: Any, parts: Parts | None = None, /) -> str | None:
        """Keep *value* under *signature*, and give up the claim on it.

        Returns:
            None, or why it is kept in the memory of this process only.

        Raises:
            CacheAccessError: The folder cannot be written.
            NotKeptError: It can neither be written nor be copied.
        """
        try:
            data = self._entries.seal(signature, value)
            if self.max_bytes is not None and len(data) > self.max_bytes:
                raise UnwritableError(f"its {len(data):,} bytes are more than max_bytes={self.max_bytes:,}")
        except UnwritableError as why:
            try:
                self._memory.put(signature, value, parts)
            finally:
                self.release(signature)
            return str(why)
        with self._access() as index:
            file = self._files.write(data) if len(data) > _INLINE_BYTES else None
            entry = {
                "signature": signature,
                "node": parts and parts.node,
                "parts": parts and json.dumps([dict(parts.code), dict(parts.inputs)]),
                "made": time(),
                "size": len(data),
                "file": file,
                "data": data if file is None else None,
            }
            old, size = index.keep(entry, self._uses_so_far())
            if old is not None:
                self._files.remove([old])
            if self.max_bytes is not None and size > self.max_bytes:
                self._files.remove(index.shrink(int(self.max_bytes * _SPARE), self._since))
        if len(self._memory):
            self._memory.remove(signature)
        return None

    def has(self, signature: str, /) -> bool:
        """Whether there is a result under *signature*.

        Raises:
            CacheAccessError: The folder cannot be read.
        """
        if self._memory.has(signature):
            return True
        with self._access() as index:
            return index.has(signature, self._since)

    def remove(self, signature: str, /) -> None:
        """Keep nothing under *signature*."""
        self._memory.remove(signature)
        with self._access() as index:
            self._files.remove(index.remove(signature))

    def clear(self) -> None:
        """Keep nothing, whoever has put it there, and forget all claims."""
        self._memory.clear()
        with self._access() as index:
            self._files.remove(index.clear())
            self._sweep(index, everywhere=True)

    def shrink(self) -> None:
        """Remove what is too old, and what is too much.

        What is too old is removed, too, when it is asked for, and once by each process that uses the folder. What is
        too much, when it becomes so.
        """
        with self._access() as index:
            index.note_uses(self._uses_so_far())
            self._files.remove(index.shrink(self.max_bytes, self._since))

    def size(self) -> CacheSize:
        """How much there is on disk."""
        with self._access() as index:
            return CacheSize(*index.totals())

    def nearest(self, parts: Parts) -> Parts | None:
        """What the kept result of the same node was made of that differs least from *parts*; see `why`.

        Looks at the latest 1,000 of them.
        """
        with self._access() as index:
            found = [json.loads(one) for one in index.parts(parts.node, _MOST_PARTS)]
        kept = [Parts(parts.node, code, inputs) for code, inputs in found]
        here = self._memory.nearest(parts)
        return nearest(parts, kept if here is None else [here, *kept])

    # --- claims ---

    def claim(self, signature: str, *, wait: float = 0.0, lease: float = 300.0) -> Claimed:
        """Say that the caller is about to make the result under *signature*, so that nobody else does.

        A claim is over when the result is put, when it is released, when its process has ended, however, and in any
        case after *lease* seconds. Nothing but time is lost where two make the same result.

        Args:
            signature: Of the result.
            wait: For how many seconds to wait for somebody else who is making it. Do not wait in the thread of an event
                loop, nor where the same thread would make the result.
            lease: For how many seconds the result is the caller's to make.

        Returns:
            `Claimed.MINE`: make it. `Claimed.KEPT`: get it. `Claimed.THEIRS`: somebody else still makes it.
        """
        with self._access():
            return self._claims.claim(signature, wait, lease)

    def release(self, signature: str) -> None:
        """Give up a claim: the result has not been made. What this process has not claimed stays claimed."""
        with self._access():
            self._claims.release(signature)

    # --- itself ---

    def close(self) -> None:
        """Close its files. It may be used again."""
        if self._uses:
            with self._access() as index:
                index.note_uses(self._uses_so_far())
        self._index.close()

    def __enter__(self) -> Self:
        """Use it for a block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        return f"<DiskCache {self.path}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, (self.path, *self._options)

    @property
    def _since(self) -> float:
        return 0.0 if self.max_age is None else time() - self.max_age

    @contextmanager
    def _access(self) -> Iterator[CacheIndex]:
        try:
            if not self._is_ready:
                self._files.prepare()
                self._sweep(self._index)
                if self.max_age is not None:
                    self._files.remove(self._index.shrink(None, self._since))
                self._is_ready = True
            yield self._index
        except sqlite3.Error as error:
            raise CacheAccessError(
                f"The index of the cache {self.path} cannot be used: {error}. If it is damaged, remove the folder; "
                f"what it held is made again.",
                path=self.path,
            ) from error
        except OSError as error:
            if isinstance(error, CacheAccessError):
                raise
            raise CacheAccessError(
                f"The cache {self.path} cannot be used: {error.strerror or error}. Check the folder's permissions and "
                f"the room on its disk, or name another folder.",
                path=self.path,
            ) from error

    def _used(self, index: CacheIndex, signature: str) -> None:
        with self._lock:
            self._uses[signature] = time()
            is_time = len(self._uses) >= _MOST_USES or monotonic() > self._noted + _USES_SECONDS
        if is_time:
            index.note_uses(self._uses_so_far())

    def _uses_so_far(self) -> dict[str, float]:
        with self._lock:
            uses, self._uses = self._uses, {}
            self._noted = monotonic()
        return uses

    def _sweep(self, index: CacheIndex, everywhere: bool = False) -> None:
        """Remove files of processes that were killed: in one folder of many, a different one each time."""
        left = self._files.left(everywhere)
        if left:
            self._files.remove(index.unknown(left))


# Within a process, one for each folder and its options: what travels with each call must not open it each time.
_open: WeakValueDictionary[tuple[Any, ...], DiskCache] = WeakValueDictionary()


def _opened(path: str, *options: Any) -> DiskCache:
    found = _open.get((path, *options))
    if found is None:
        max_bytes, max_age, types, key, max_in_memory = options
        found = DiskCache(
            path,
            max_bytes=max_bytes,
            max_age=max_age,
            types=types,
            pickle=key is not None,
            key=key,
            max_in_memory=max_in_memory,
        )
        _open[path, *options] = found
    return found


_KEY_BYTES: Final = 16


def _check_key(pickle: bool, key: bytes | None) -> None:
    if pickle and key is None:
        raise OptionsError(
            f"pickle=True wants a key=, at least {_KEY_BYTES} bytes: opening a pickle runs what its writer likes, so "
            f"only those are opened that were signed with yours. secrets.token_bytes(32) makes one: keep it."
        )
    if key is not None and not pickle:
        raise OptionsError("key= signs pickles, and there are none without pickle=True.")
    given: Any = key
    if given is not None and (not isinstance(given, bytes) or len(given) < _KEY_BYTES):
        raise OptionsError(f"key= wants at least {_KEY_BYTES} bytes.")
