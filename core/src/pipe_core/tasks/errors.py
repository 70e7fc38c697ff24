"""Errors about events."""

from __future__ import annotations

from pipe_core.kernel.errors import PipeError


class EventClassError(PipeError, TypeError):
    """A subclass of `Event` is written in a way that cannot work."""


class EventExistsError(PipeError, ValueError):
    """An event was appended a second time."""


class HistoryError(PipeError):
    """Transitions can no longer be kept, or what was kept cannot be read.

    Attributes:
        kept: How many were kept before.
    """

    def __init__(self, message: str, *, kept: int = 0) -> None:
        super().__init__(message)
        self.kept = kept


class PermissionRejected(PipeError, PermissionError):
    """An event was never started, because its permission check said so, or failed.

    Attributes:
        retryable: Whether a fresh event may fare better: not unless the check failed for a passing reason.
    """

    retryable = False
