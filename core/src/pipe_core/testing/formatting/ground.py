"""What all tests of the format kit stand on: making formats, writing with them and reading again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import cloudpickle
import pytest
from pydantic_core import to_json, to_jsonable_python

from pipe_core.kernel.access import get_format
from pipe_core.kernel.contracts import Batch, Format, Mode, Payload, Readable, Row, Sink, Source, Split
from pipe_core.testing.kit import Conformance

SMALL: Final = 8 * 1024
"""Bytes that a pickled split or encoder may have: it travels once for every piece."""


class PlainSerializer:
    """Writes dicts down as they are.

    Args:
        fields: The names of the fields, or None when they are not known.
    """

    def __init__(self, fields: Sequence[str] | None) -> None:
        self.fields = fields

    def json(self, value: Any) -> bytes:
        """The value as JSON bytes."""
        return to_json(value)

    def python(self, value: Any) -> Any:
        """The value itself."""
        return value

    def jsonable(self, value: Any) -> Any:
        """The value as data that JSON knows."""
        return to_jsonable_python(value)


class Ground(Conformance):
    """Attributes and tools of `FormatConformance`."""

    format: ClassVar[str]
    suffix: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    records: ClassVar[Sequence[dict[str, Any]]] = [
        {"id": str(i), "text": text * (i % 3 + 1), "empty": ""}
        for i, text in enumerate(
            ["plain", "comma, quote \" and 'tick'", "zwölf € 🎈", "line\nend", "crlf\r\nend", "\u2028", " space ", "-1"]
            * 25
        )
    ]
    appends: ClassVar[bool] = True

    # --- what a subclass may change ---

    def make_format(self) -> Format:
        """The format under test."""
        return get_format(self.format, **self.options)

    def target(self, folder: Path) -> Path:
        """A place to write to."""
        return folder / f"data{self.suffix}"

    def content(self, path: Path) -> Any:
        """What is at the target, equal until somebody changes it. A format that makes folders says what counts."""
        return path.read_bytes()

    def occupy(self, path: Path) -> None:
        """Put something at the target that `overwrite` replaces."""
        path.write_bytes(b"precious")

    # --- what the tests are made of ---

    def write(self, path: Path, *, pieces: int = 3, mode: Mode = "error") -> None:
        """Write the records in some pieces, and commit."""
        sink = self.make_format().sink(path)
        sink.open(mode)
        self._put(sink, pieces)
        sink.commit()
        sink.close()

    def read(self, path: Path, *, chunk: int = 7, size: int = 3) -> list[Any]:
        """All records, through chunks."""
        source = self._opened(path)
        try:
            return [record for chunk_ in source.chunks(lambda: chunk) for record in records_of(chunk_, size)]
        finally:
            source.close()

    def split(self, path: Path, size: int) -> list[Split]:
        """The splits of a file; skips the test where the format has none."""
        source = self._opened(path)
        try:
            splits = source.splits(lambda: size)
            if splits is None:
                pytest.skip(f"{self.format} is not read in splits")
            return list(splits)
        finally:
            source.close()

    # --- helpers ---

    def _opened(self, path: Path) -> Source:
        source = self.make_format().source(path)
        source.open()
        return source

    def _put(self, sink: Sink, pieces: int) -> None:
        encoder = sink.encoder()
        row = encoder.bind(PlainSerializer(tuple(self.records[0])))
        step = max(1, len(self.records) // max(1, pieces))
        for start in range(0, len(self.records) if pieces else 0, step):
            rows: list[Row] = [row(record) for record in self.records[start : start + step]]
            payload: Payload = encoder.join(rows)
            sink.write(payload, len(rows))


def records_of(readable: Readable, size: int) -> Iterator[Any]:
    """The records of a chunk or split, read in batches of *size*."""
    return records_in(readable.batches(size))


def records_in(batches: Iterable[Batch]) -> Iterator[Any]:
    """The records of *batches*, none of which was rejected."""
    for batch in batches:
        assert not batch.rejected
        yield from batch.records


def travelled(value: Any) -> Any:
    """*value* as it arrives in another process."""
    return cloudpickle.loads(cloudpickle.dumps(value))
