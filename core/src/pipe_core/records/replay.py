"""Dead letters: the records of an error sink as a source, to be tried again when schema or hooks were corrected."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pipe_core.kernel.errors import SourceError
from pipe_core.records.legible import NOTHING_SHOWN
from pipe_core.records.places import as_source
from pipe_core.runtime.run_loop import RunLoop

_HASH: Final = re.compile("[0-9a-f]{32}")


class Replay:
    """The records that an error sink was given, as they were read the first time.

    Args:
        rejected: The error sink of a run: a path, or what else `Pipe` takes as a source.

    Raises:
        PipeError: It is no source.
    """

    def __init__(self, rejected: Any) -> None:
        self._rejected = rejected
        self.name = as_source(rejected, RunLoop()).name

    def __iter__(self) -> Iterator[Any]:
        """The records, in the order of the rows.

        Raises:
            SourceError: A row is no rejected record, or shows too little of it.
        """
        source = as_source(self._rejected, RunLoop())
        try:
            source.open()
            position = 0
            for chunk in source.chunks(lambda: 1_000):
                for batch in chunk.batches(1_000):
                    for index, row in enumerate(batch.records):
                        yield self._record(row if index not in batch.rejected else None, position)
                        position += 1
        finally:
            source.close()

    def _record(self, row: Any, position: int) -> Any:
        if not isinstance(row, Mapping) or not {"raw", "phase", "errors"} <= row.keys():
            raise self._wrong(
                f"Row {position:,} of {self.name} is no rejected record: it has no raw, phase and errors. Name the "
                f"file that errors= or --errors wrote.",
                position,
            )
        raw = row["raw"]
        if isinstance(raw, str) and raw[:1] in ("{", "[") and row["phase"] != "source":  # in a cell of a table
            raw = _from_text(raw)
        if row["phase"] != "source" and _is_hidden(raw):
            raise self._wrong(
                f"Row {position:,} of {self.name} does not hold its record: error_payload was 'redacted' or 'hash'. "
                f"Run the pipe over its source again, or keep records whole with error_payload='full'.",
                position,
            )
        return raw

    def _wrong(self, text: str, position: int) -> SourceError:
        return SourceError(text, source=self.name, position=position)

    def __repr__(self) -> str:
        return f"<Replay {self.name}>"


def _is_hidden(raw: Any) -> bool:
    """Whether that is what rows of the payloads ``redacted`` and ``hash`` show of a record."""
    if isinstance(raw, Mapping):
        return bool(raw) and set(map(str, raw.values())) == {NOTHING_SHOWN}
    return raw == NOTHING_SHOWN or (isinstance(raw, str) and _HASH.fullmatch(raw) is not None)


def _from_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
