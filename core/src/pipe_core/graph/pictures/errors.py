"""What goes wrong with pictures."""

from __future__ import annotations

from pipe_core.graph.errors import GraphError


class PictureError(GraphError):
    """A picture cannot be drawn or written in this way.

    Attributes:
        missing: The module that would be needed, if it is that.
    """

    def __init__(self, message: str, *, missing: str | None = None) -> None:
        super().__init__(message)
        self.missing = missing
