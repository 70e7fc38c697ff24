"""The format `json`: one array of JSON values."""

from __future__ import annotations

from collections.abc import Mapping
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

    def find(self, pattern: str, /) -> Mapping[str, int]:
        """The files that a URL such as ``s3://bucket/part-*.csv`` means, by name, with their sizes."""
        from pipe_core.formats.remote_file import found_files

        return found_files(pattern, self._options.storage_options)

    def sink(self, target: Any, /) -> JsonSink:
        """A sink into the file *target*."""
        require_utf8(self._options.encoding)
        return JsonSink(target, self._options)
