"""A format: its sources and its sinks."""

from __future__ import annotations

import os
from typing import Any

from pipe_arrow.avro_source import AvroSource
from pipe_arrow.fixed_types import fixed_types
from pipe_arrow.options import ArrowOptions, TableOptions
from pipe_arrow.reading import Reading
from pipe_arrow.table_sink import TableSink
from pipe_arrow.table_source import TableSource
from pipe_arrow.writers import Writing
from pipe_core.formats.paths import path_of
from pipe_core.kernel.contracts import Source
from pipe_core.kernel.errors import OptionsError

_SUFFIXES = {
    "parquet": (".parquet", ".pq"),
    "orc": (".orc",),
    "feather": (".feather", ".arrow", ".ipc"),
    "avro": (".avro",),
}
_COMPRESSED = (".gz", ".lz4", ".zst")


class TableFormat:
    """Reads and writes files of columns.

    Args:
        name: The format's name.
        options: How.
    """

    def __init__(self, name: str, options: TableOptions) -> None:
        self._name = name
        self._options = options
        self._fixed = fixed_types(options.types)

    def source(self, target: Any, /) -> Source:
        """A source over the file *target*, or over the files in the folder *target*."""
        path, options = self._path(target), self._options
        if not isinstance(options, ArrowOptions):
            return AvroSource(path, _SUFFIXES[self._name])
        how = Reading(
            self._name,
            columns=options.columns,
            truncate=options.nanoseconds == "truncate",
            verify=getattr(options, "verify_checksums", True),
        )
        return TableSource(path, how, _SUFFIXES[self._name])

    def sink(self, target: Any, /) -> TableSink:
        """A sink into the file *target*, or into part files in the folder *target*."""
        writing = Writing(self._name, self._options)
        return TableSink(self._path(target), writing, self._fixed, _SUFFIXES[self._name])

    def _path(self, target: Any) -> str:
        path = path_of(target)
        if path == "-":
            raise OptionsError(
                f"{self._name} is read and written in files, not in streams: its end says what is in it. Give a path.",
                problems={"target": "is a stream"},
            )
        if "://" in path:
            raise OptionsError(
                f"{path!r} is a URL, and the format {self._name} reads and writes local files. Copy it first.",
                problems={"target": "is a URL"},
            )
        if path.lower().endswith(_COMPRESSED):
            suffix = os.path.splitext(path)[1]
            raise OptionsError(
                f"{path!r} ends in {suffix}, but files of the format {self._name} are compressed inside. Leave "
                f"{suffix} out; the option compression says how.",
                problems={"target": f"ends in {suffix}"},
            )
        return path
