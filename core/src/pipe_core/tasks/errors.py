"""Errors about events."""

from __future__ import annotations

from pipe_core.kernel.errors import PipeError


class EventClassError(PipeError, TypeError):
    """A subclass of `Event` is written in a way that cannot work."""
