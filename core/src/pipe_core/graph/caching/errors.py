"""Why a result is not kept, and why a cache cannot be used."""

from __future__ import annotations

from pipe_core.kernel.errors import PipeError


class CacheError(PipeError):
    """Something kept a cache from being used. The result itself, where there is one, is as good as without a cache."""


class UnsignableError(CacheError, TypeError):
    """A value, or a function, cannot be told apart from others by what it consists of, so nothing of it is kept.

    Attributes:
        path: Leads to the part that cannot be signed, as in ``[3].client``; empty for the value itself.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class NotKeptError(CacheError, TypeError):
    """A value cannot be kept: neither written nor copied."""


class CacheAccessError(CacheError, OSError):
    """The folder of a cache cannot be read or written, or its index is damaged.

    Attributes:
        path: The folder.
    """

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path

    def __str__(self) -> str:  # OSError has its own idea of str()
        return str(self.args[0])
