"""What a cache of results is, and one in the memory of a process."""

from __future__ import annotations

import enum
import threading
from collections import OrderedDict
from collections.abc import Iterator
from time import time
from typing import Any, Final, Protocol, runtime_checkable

from pipe_core.graph.caching.errors import NotKeptError
from pipe_core.graph.caching.parts import Parts, nearest
from pipe_core.kernel.copies import detached
from pipe_core.kernel.error_text import error_text
from pipe_core.kernel.errors import OptionsError


class Missing(enum.Enum):
    """The type of `MISSING`."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
"""What to give `Cache.get` as a default that no result can be: None may be one."""


@runtime_checkable
class Cache(Protocol):
    """Where results are kept under signatures. May be used by several threads at once."""

    def get(self, signature: str, default: Any = None, /) -> Any:
        """The result under *signature*; *default* where there is none."""

    def put(self, signature: str, value: Any, parts: Parts | None = None, /) -> str | None:
        """Keep *value* under *signature*.

        Args:
            signature: Names the result, whatever process asks.
            value: The result. Nothing that happens to it afterwards may change what is kept.
            parts: What the signature was made of, to explain later ones.

        Returns:
            None, or why others will not find it: where it is kept for this process alone.

        Raises:
            CacheError: It cannot be kept.
        """

    def has(self, signature: str, /) -> bool:
        """Whether there is a result under *signature*."""


class MemoryCache:
    """Keeps results in this process. To other processes it goes empty.

    Args:
        max_entries: How many results are kept; then those go first that were used longest ago. Default: all.
        max_age: For how many seconds a result is kept. Default: for good.
        copies: Whether a copy is kept, and handed out each time, so that nobody can change what is kept. Without it,
            the very object is, which is faster, and right as long as nobody changes it.

    Raises:
        OptionsError: A limit is not above 0.
    """

    def __init__(self, max_entries: int | None = None, *, max_age: float | None = None, copies: bool = True) -> None:
        check_limits(max_entries=max_entries, max_age=max_age)
        self.max_entries = max_entries
        self.max_age = max_age
        self.copies = copies
        self._entries: OrderedDict[str, tuple[float, Any, Parts | None]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, signature: str, default: Any = None, /) -> Any:
        """The result under *signature*; *default* where there is none."""
        with self._lock:
            found = self._living(signature)
            if found is None:
                return default
            self._entries.move_to_end(signature)
        return detached(found[1]) if self.copies and type(found[1]) not in _SHARED else found[1]

    def put(self, signature: str, value: Any, parts: Parts | None = None, /) -> str | None:
        """Keep *value* under *signature*.

        Raises:
            NotKeptError: It cannot be copied, or can be read only once.
        """
        kept = self._kept(value)
        with self._lock:
            self._entries[signature] = (time(), kept, parts)
            self._entries.move_to_end(signature)
            while self.max_entries is not None and len(self._entries) > self.max_entries:
                self._entries.popitem(last=False)
        return None

    def has(self, signature: str, /) -> bool:
        """Whether there is a result under *signature*."""
        with self._lock:
            return self._living(signature) is not None

    def remove(self, signature: str, /) -> None:
        """Keep nothing under *signature*."""
        with self._lock:
            self._entries.pop(signature, None)

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._entries.clear()

    def nearest(self, parts: Parts) -> Parts | None:
        """What the kept result of the same node was made of that differs least from *parts*; see `why`."""
        with self._lock:
            kept = list(self._entries.values())
        return nearest(parts, (one for _, _, one in reversed(kept) if one is not None))

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    def __repr__(self) -> str:
        return f"<MemoryCache: {len(self)} results>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _memory_cache, (self.max_entries, self.max_age, self.copies)

    def _living(self, signature: str) -> tuple[float, Any, Parts | None] | None:
        found = self._entries.get(signature)
        if found is not None and self.max_age is not None and found[0] + self.max_age < time():
            del self._entries[signature]
            return None
        return found

    def _kept(self, value: Any) -> Any:
        if type(value) in _SHARED:
            return value
        if not self.copies:
            if isinstance(value, Iterator):
                raise NotKeptError(f"A {type(value).__qualname__} can be read only once, so it is not kept.")
            return value
        try:
            return detached(value)
        except Exception as error:  # somebody else's code
            raise NotKeptError(
                f"A {type(value).__qualname__} is not kept, as it cannot be copied: {error_text(error)}. "
                f"MemoryCache(copies=False) keeps the very object, for results that nobody changes."
            ) from error


_SHARED: Final = frozenset({type(None), bool, int, float, complex, str, bytes})
"""Types whose objects cannot be changed, and hold no others."""


def _memory_cache(max_entries: int | None, max_age: float | None, copies: bool) -> MemoryCache:
    return MemoryCache(max_entries, max_age=max_age, copies=copies)


def check_limits(**limits: float | None) -> None:
    """Refuse limits under which nothing is kept.

    Raises:
        OptionsError: One is not above 0.
    """
    for name, limit in limits.items():
        if limit is not None and not limit > 0:
            raise OptionsError(f"{name} is {limit}: it must be above 0. Leave it out for no limit.")
