"""The format `json`: one array of JSON values."""

from __future__ import annotations

from typing import Any

from pipe_core.formats.encodings import require_utf8
from pipe_core.formats.json_sink import JsonSink
from pipe_core.formats.json_source import JsonSource
from pipe_core.formats.options import JsonOptions


class JsonFormat:
    """Reads and writes JSON arrays."""

    def __init__(self, options: JsonOptions) -> None:
        self._options = options

    def source(self, target: Any, /) -> JsonSource:
        """A source over the file *target*."""
        return JsonSource(target, self._options)

    def sink(self, target: Any, /) -> JsonSink:
        """A sink into the file *target*."""
        require_utf8(self._options.encoding)
        return JsonSink(target, self._options)
