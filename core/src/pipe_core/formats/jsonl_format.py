"""The format `jsonl`: one JSON value a line."""

from __future__ import annotations

from typing import Any

from pipe_core.formats.file_sink import FileSink
from pipe_core.formats.jsonl_rows import JsonlEncoder
from pipe_core.formats.options import JsonlOptions


class JsonlFormat:
    """Reads and writes JSON lines."""

    def __init__(self, options: JsonlOptions) -> None:
        self._options = options

    def sink(self, target: Any, /) -> FileSink:
        """A sink into the file *target*."""
        return FileSink(target, JsonlEncoder())
