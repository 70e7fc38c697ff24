"""A JSON file as a source: chunks of the bytes of its records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pipe_core.formats.encodings import UTF8
from pipe_core.formats.group import regrouped
from pipe_core.formats.input_file import InputFile, reading_errors
from pipe_core.formats.json_cursor import BrokenJson, JsonCursor
from pipe_core.formats.json_scan import JsonScan
from pipe_core.formats.json_values import JsonLayout, LinesChunk
from pipe_core.formats.options import JsonOptions
from pipe_core.kernel.contracts import SizeNow
from pipe_core.kernel.errors import SourceError


class JsonSource:
    """The elements of a JSON array, or the one value of a file that is no array. Never in memory as a whole.

    Args:
        target: A path, a URL, or ``-`` for standard input.
        options: Where the array is, the encoding, and the limits.
    """

    travels: ClassVar[tuple[type, ...]] = (LinesChunk,)

    def __init__(self, target: Any, options: JsonOptions) -> None:
        self._file = InputFile(target, options.encoding, options.storage_options)
        self._prefix = options.names
        self._layout = JsonLayout(UTF8, options.max_record_bytes, options.max_fields, options.max_depth)

    @property
    def name(self) -> str:
        """The path."""
        return self._file.name

    @property
    def live(self) -> bool:
        """Whether reading may block for long: standard input, pipes."""
        return self._file.live

    @property
    def fields(self) -> None:
        """None: there is no header."""
        return

    @property
    def size(self) -> None:
        """None: how many records there are is known at the end."""
        return

    def open(self) -> None:
        """Check that it can be read. Raises `SourceError`."""
        self._file.open()

    def splits(self, size: SizeNow) -> None:
        """None: where a record begins is only known from the beginning."""
        return

    def chunks(self, size: SizeNow) -> Iterator[LinesChunk]:
        """Chunks of ``size()`` records. A live source gives what has arrived."""
        count = 0
        with reading_errors(self.name, lambda: count):
            scan = JsonScan(JsonCursor(self._file.utf8()), self._prefix, self._layout.longest)
            try:
                for group in regrouped(scan.groups(), size, patient=not self.live):
                    count += len(group.items)
                    yield LinesChunk(group.items, self._layout, dict(group.rejected))
            except BrokenJson as error:
                text = f"{self.name!r} is broken behind {count:,} records: {error}"
                raise SourceError(text, source=self.name, position=count) from error

    def fingerprint(self) -> Mapping[str, Any]:
        """See `FingerprintedSource`: size, time and a hash of the first 64 KiB."""
        return self._file.fingerprint()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
