"""The records that cannot be read: what each kind is called and how it is told."""

from __future__ import annotations

import csv
from typing import Final

from pipe_core.kernel.contracts import Rejection

SHOWN: Final = 1000
"""Bytes of a record that is too large which a rejection shows."""


def ragged_row(row: list[str], width: int) -> Rejection:
    """A row of CSV with too many or too few cells."""
    return Rejection("RaggedRow", f"The row has {len(row)} cells, the header has {width}.", row)


def bad_encoding(encoding: str, raw: object) -> Rejection:
    """Bytes that are no text in the encoding. *raw* shows them in hexadecimal."""
    return Rejection("BadEncoding", f"The record has bytes that are not {encoding}.", raw)


def nul_byte(row: list[str]) -> Rejection:
    """A row of CSV with a NUL character."""
    return Rejection("NulByte", "The record has a NUL character; a binary file, UTF-16, or a damaged disk?", row)


def open_quote(line: str) -> Rejection:
    """A quote was opened and not closed within the file or the limits. Only its first line is given up."""
    message = "A quote is opened here and not closed before the end of the file or the largest record allowed."
    return Rejection("OpenQuote", message, line)


def field_too_large(line: str) -> Rejection:
    """A cell is larger than the csv module of this Python takes."""
    message = f"A cell has more than {csv.field_size_limit():,} characters, the limit of Python's csv module."
    return Rejection("FieldTooLarge", message, line)


def record_too_large(length: int, limit: int, head: bytes) -> Rejection:
    """A record has more bytes than `max_record_bytes`. Only its beginning is kept."""
    message = f"The record has {length:,} bytes, max_record_bytes is {limit:,}."
    return Rejection("RecordTooLarge", message, shown(head[: min(limit, SHOWN)]))


def shown(data: bytes) -> str:
    """Bytes as text for a report: what is not UTF-8 in hexadecimal."""
    return data.decode("utf-8", "backslashreplace")
