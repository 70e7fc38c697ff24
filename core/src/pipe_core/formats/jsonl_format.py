"""The format `jsonl`: one JSON value a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pipe_core.formats.encodings import require_utf8
from pipe_core.formats.file_sink import FileSink
from pipe_core.formats.jsonl_rows import JsonlEncoder
from pipe_core.formats.jsonl_source import JsonlSource
from pipe_core.formats.options import JsonlOptions
from pipe_core.formats.part_folder import part_files
from pipe_core.formats.path_sinks import sink_of
from pipe_core.kernel.contracts import Sink


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

    def parts(self, folder: str, /) -> Mapping[str, int]:
        """The part files in *folder*, in order, with their sizes."""
        return part_files(folder, JsonlParts.suffixes)

    def sink(self, target: Any, /) -> Sink:
        """A sink into the file *target*, or into part files in the folder *target*."""
        require_utf8(self._options.encoding)
        return sink_of(target, JsonlParts(self._options), self._options.via)


@dataclass(frozen=True)
class JsonlParts:
    """Files of JSON lines that are written on workers."""

    options: JsonlOptions
    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")

    def sink(self, path: Any, columns: tuple[str, ...] | None = None, /) -> FileSink:
        """A sink into the file *path*. JSON lines have no columns."""
        return FileSink(path, JsonlEncoder(), self.options.storage_options)

    def lines(self, payload: bytes, /) -> bytes:
        """The lines."""
        return payload

    def columns(self, payload: bytes, /) -> None:
        """None: there are no columns."""
        return
