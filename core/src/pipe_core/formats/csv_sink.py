"""CSV as a sink: the header, and the lines that the workers made."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Any, Final

from pipe_core.formats.csv_encoder import CsvEncoder, CsvStyle, Lines, LineWriter
from pipe_core.formats.csv_source import CsvSource
from pipe_core.formats.delimiter import delimiter_of
from pipe_core.formats.encodings import plain_name
from pipe_core.formats.file_sink import FileSink
from pipe_core.formats.options import CsvOptions
from pipe_core.kernel.errors import SinkError

_MARKED: Final = {
    "utf-8-sig": ("utf-8", codecs.BOM_UTF8),
    "utf-16": ("utf-16-le", codecs.BOM_UTF16_LE),
    "utf-32": ("utf-32-le", codecs.BOM_UTF32_LE),
}
"""Encodings whose files begin with a byte order mark: how the text behind it is encoded, and the mark."""


class CsvSink(FileSink):
    """Records as a CSV file. Lines end with a newline; a header is written once, also when a file is appended to.

    Args:
        target: A path, a URL, or ``-`` for standard output.
        options: How it is written.
        columns: Those of the part files before this one, which are those of this one.
    """

    def __init__(self, target: Any, options: CsvOptions, columns: tuple[str, ...] | None = None) -> None:
        plain_name(options.encoding)  # an unknown one is refused here
        name = codecs.lookup(options.encoding).name
        encoding, self._mark = _MARKED.get(name, (name, b""))
        self._options = options
        self._style = CsvStyle(
            encoding=encoding,
            delimiter=options.delimiter or delimiter_of(str(target)),
            quotechar=options.quotechar,
            escapechar=options.escapechar,
            on_extra=options.on_extra,
            formula=options.formula,
        )
        self._fields: tuple[str, ...] | None = None
        self._lines: LineWriter | None = None
        self._present: tuple[str, ...] | None = None
        self._before = columns
        super().__init__(target, CsvEncoder(self._style, options.fieldnames), options.storage_options)
        self._newline = "\n".encode(encoding)

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The columns, as soon as they are known."""
        return self._fields

    def columns_there(self) -> tuple[str, ...] | None:
        """The columns that the file at the target names; None where it names none, or files are to have no header."""
        if not self._options.write_header:
            return None
        source = CsvSource(self._path, self._options.model_copy(update={"fieldnames": None, "header": "first"}))
        try:
            source.open()
            return source.fields
        finally:
            source.close()

    def _check_append(self) -> None:
        super()._check_append()
        self._present = self.columns_there()

    def _begin(self) -> None:
        self._put(self._mark)

    def _bytes(self, payload: Lines | list[dict[str, Any]]) -> bytes:
        if not isinstance(payload, list):
            columns, lines = payload
            return self._header(tuple(columns)) + lines
        if not payload:
            return b""
        fields = self._fields or self._options.fieldnames or self._present or self._before or tuple(payload[0])
        header = self._header(fields)
        if self._lines is None:
            self._lines = LineWriter(self._style, fields)
        try:
            return header + b"".join(map(self._lines.record, payload))
        except ValueError as error:
            raise SinkError(f"A record does not fit {self.name!r}: {error}.", sink=self.name) from error

    def _header_of(self, columns: tuple[str, ...] | None) -> bytes:
        return b"" if columns is None else self._header(columns)

    def _progress(self) -> Mapping[str, Any]:
        return {"fields": self._fields, "present": self._present}

    def _go_on(self, state: Mapping[str, Any]) -> None:
        self._fields, self._present = (
            None if names is None else tuple(names) for names in (state["fields"], state["present"])
        )

    def _end(self) -> None:
        fields = self._options.fieldnames or self._before or self._known_fields
        if self._fields is None and fields is not None:
            self._put(self._header(fields))

    def _header(self, fields: tuple[str, ...]) -> bytes:
        if fields == self._fields:
            return b""
        before = self._present if self._fields is None else self._fields
        known = self._before if before is None else before
        if known is not None and known != fields:
            text = f"{self.name!r} has the columns {list(known)}, the records have {list(fields)}."
            raise SinkError(f"{text} Name the columns with fieldnames, or write another file.", sink=self.name)
        self._fields = fields
        written = before is not None or not self._options.write_header
        return b"" if written else LineWriter(self._style, fields).header()
