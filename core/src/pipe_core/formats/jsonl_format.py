"""The format `jsonl`: one JSON value a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipe_core.formats.encodings import require_utf8
from pipe_core.formats.file_sink import FileSink
from pipe_core.formats.jsonl_rows import JsonlEncoder
from pipe_core.formats.jsonl_source import JsonlSource
from pipe_core.formats.options import JsonlOptions


class JsonlFormat:
    """Reads and writes JSON lines."""

    def __init__(self, options: JsonlOptions) -> None:
        self._options = options

    def source(self, target: Any, /) -> JsonlSource:
        """A source over the file *target*."""
        return JsonlSource(target, self._options)

    def find(self, pattern: str, /) -> Mapping[str, int]:
        """The files that a URL such as ``s3://bucket/part-*.csv`` means, by name, with their sizes."""
        from pipe_core.formats.remote_file import found_files

        return found_files(pattern, self._options.storage_options)

    def sink(self, target: Any, /) -> FileSink:
        """A sink into the file *target*."""
        require_utf8(self._options.encoding)
        return FileSink(target, JsonlEncoder(), self._options.storage_options)
