"""Sharing a value with many calls: its bytes travel to a worker once, under their digest."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from pipe_core.kernel.errors import CodecError
from pipe_core.runtime.wire import dumps

T = TypeVar("T")

_pulled: dict[str, Any] = {}
_pulling = threading.Lock()


class Shared(Generic[T]):
    """A handle on a shared value. Small; pickles as digest and place, never as the value."""

    __slots__ = ("_place", "_value", "digest")

    def __init__(self, digest: str, place: Any, value: Any = None) -> None:
        self.digest = digest
        self._place = place
        self._value = value

    def get(self) -> T:
        """The value. On a worker the first call pulls it."""
        if self._place is None:
            return cast(T, self._value)
        if self.digest not in _pulled:
            import cloudpickle

            with _pulling:  # once, and one value for all threads of a worker
                if self.digest not in _pulled:
                    _pulled[self.digest] = cloudpickle.loads(self._place(self.digest))
        return cast(T, _pulled[self.digest])

    @property
    def pulled(self) -> bool:
        """Whether this process has pulled the value."""
        return self.digest in _pulled

    def forget(self) -> None:
        """Let this process forget the value; another `get` pulls it again."""
        _pulled.pop(self.digest, None)

    def __reduce__(self) -> tuple[Any, ...]:
        if self._place is None:
            raise CodecError("A value shared in one process cannot leave it: share it with the executor that runs it.")
        return Shared, (self.digest, self._place)


def share(value: T, put: Callable[[str, bytes], Any] | None) -> Shared[T]:
    """A handle on *value*.

    Args:
        value: What to share.
        put: Keeps bytes under a digest and returns a callable that pulls them on a worker; None in one process.

    Raises:
        CodecError: The value cannot travel.
    """
    if put is None:
        return Shared(f"{id(value):x}", None, value)
    try:
        data = dumps(value)
    except Exception as error:
        raise CodecError(f"A value (a {type(value).__name__}) cannot be shared with processes: {error}") from error
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    return Shared(digest, put(digest, data))
