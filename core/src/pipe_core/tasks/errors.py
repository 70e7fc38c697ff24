"""Errors about events."""

from __future__ import annotations

from pipe_core.kernel.errors import PipeError


class EventClassError(PipeError, TypeError):
    """A subclass of `Event` is written in a way that cannot work."""


class EventExistsError(PipeError, ValueError):
    """An event was appended a second time."""


class PermissionRejected(PipeError, PermissionError):
    """An event was never started, because its permission check said so, or failed."""

    retryable = False
