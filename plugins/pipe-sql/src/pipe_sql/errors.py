"""The error of a record whose values a table cannot keep."""

from __future__ import annotations

from pipe_core import PipeError


class UnstorableError(PipeError, ValueError):
    """A value that the database cannot keep as it is. Fails its record only. `column` is where it was to go."""

    def __init__(self, message: str, *, column: str) -> None:
        super().__init__(message)
        self.column = column
