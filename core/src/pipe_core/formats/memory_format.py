"""The format `memory`: Python's own objects as sources and sinks."""

from __future__ import annotations

from typing import Any

from pipe_core.formats.memory_sink import MemorySink
from pipe_core.formats.memory_source import MemorySource
from pipe_core.formats.options import MemoryOptions


class MemoryFormat:
    """Reads lists, other iterables and queues; writes into lists, functions and queues."""

    def __init__(self, options: MemoryOptions) -> None:
        self._options = options

    def source(self, target: Any, /) -> MemorySource:
        """A source over the items of *target*."""
        return MemorySource(target, self._options)

    def sink(self, target: Any, /) -> MemorySink:
        """A sink that appends to a list, calls a function, or puts into a queue."""
        return MemorySink(target)
