"""The format `csv`: rows of cells with a header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipe_core.formats.csv_sink import CsvSink
from pipe_core.formats.csv_source import CsvSource
from pipe_core.formats.options import CsvOptions


class CsvFormat:
    """Reads and writes CSV."""

    def __init__(self, options: CsvOptions) -> None:
        self._options = options

    def source(self, target: Any, /) -> CsvSource:
        """A source over the file *target*."""
        return CsvSource(target, self._options)

    def find(self, pattern: str, /) -> Mapping[str, int]:
        """The files that a URL such as ``s3://bucket/part-*.csv`` means, by name, with their sizes."""
        from pipe_core.formats.remote_file import found_files

        return found_files(pattern, self._options.storage_options)

    def sink(self, target: Any, /) -> CsvSink:
        """A sink into the file *target*."""
        return CsvSink(target, self._options)
