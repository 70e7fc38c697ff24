"""The error of a record that cannot become a message."""

from __future__ import annotations

from pipe_core import PipeError


class UnsendableError(PipeError, ValueError):
    """A record that no message can be made of. Fails that record only."""
