"""The format `csv`: rows of cells with a header."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pipe_core.formats.csv_encoder import Lines
from pipe_core.formats.csv_sink import CsvSink
from pipe_core.formats.csv_source import CsvSource
from pipe_core.formats.options import CsvOptions
from pipe_core.formats.part_folder import part_files
from pipe_core.formats.path_sinks import sink_of
from pipe_core.kernel.contracts import Sink


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

    def parts(self, folder: str, /) -> Mapping[str, int]:
        """The part files in *folder*, in order, with their sizes."""
        return part_files(folder, CsvParts.suffixes)

    def sink(self, target: Any, /) -> Sink:
        """A sink into the file *target*, or into part files in the folder *target*."""
        return sink_of(target, CsvParts(self._options), self._options.via)


@dataclass(frozen=True)
class CsvParts:
    """Files of CSV that are written on workers."""

    options: CsvOptions
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv")

    def sink(self, path: str, columns: tuple[str, ...] | None = None, /) -> CsvSink:
        """A sink into the file *path*, with its header."""
        return CsvSink(path, self.options, columns)

    def lines(self, payload: Lines | list[dict[str, Any]], /) -> bytes:
        """The lines; none of records whose columns are those of the first record of all."""
        return b"" if isinstance(payload, list) else payload[1]

    def columns(self, payload: Lines | list[dict[str, Any]], /) -> tuple[str, ...] | None:
        """The columns of the lines."""
        return None if isinstance(payload, list) else tuple(payload[0])
