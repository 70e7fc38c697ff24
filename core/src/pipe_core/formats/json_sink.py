"""A JSON file as a sink: an array with one record a line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipe_core.formats.file_sink import FileSink
from pipe_core.formats.jsonl_rows import JsonlEncoder
from pipe_core.formats.options import JsonOptions
from pipe_core.kernel.contracts import Mode
from pipe_core.kernel.errors import SinkError


class JsonEncoder(JsonlEncoder):
    """One JSON value a record, as in JSON lines, but with commas between them."""

    __slots__ = ()

    def join(self, rows: Sequence[bytes]) -> bytes:
        """The rows with commas between them."""
        return b",\n".join(rows)

    def merge(self, payloads: Sequence[bytes]) -> bytes:
        """The same between batches."""
        return b",\n".join(filter(None, payloads))


class JsonSink(FileSink):
    """Records as a JSON array, inside objects when the options have a prefix. Cannot be appended to.

    Args:
        target: A path, a URL, or ``-`` for standard output.
        options: Where the array is.
    """

    def __init__(self, target: Any, options: JsonOptions) -> None:
        super().__init__(target, JsonEncoder(), options.storage_options)
        self._names = options.names
        self._is_empty = True

    @property
    def only_final(self) -> bool:
        """Whether all of it must be written before it is durable: in a stream, where a `commit` ends the array."""
        return not self.resumable

    def open(self, mode: Mode, fields: Sequence[str] | None = None) -> None:
        """Begin. Refuses ``append``: the array has an end."""
        if mode == "append":
            text = f"{self.name!r} is to be appended to, but a JSON array has an end. Use the format jsonl."
            raise SinkError(text, sink=self.name)
        super().open(mode, fields)

    def _begin(self) -> None:
        self._put(b"".join(b"{%b:" % json.dumps(name).encode() for name in self._names) + b"[")

    def _progress(self) -> Mapping[str, Any]:
        return {"is_empty": self._is_empty}

    def _go_on(self, state: Mapping[str, Any]) -> None:
        self._is_empty = state["is_empty"]

    def _bytes(self, payload: bytes) -> bytes:
        if not payload:
            return b""
        separator = b"\n" if self._is_empty else b",\n"
        self._is_empty = False
        return separator + payload

    def _end(self) -> None:
        self._put((b"" if self._is_empty else b"\n") + b"]" + b"}" * len(self._names) + b"\n")
