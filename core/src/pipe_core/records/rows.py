"""Rows: what records have become is written down as the sink wants it, also where hooks changed it."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from typing import Any, Final

from pipe_core.kernel.contracts import Encoder, Serializer
from pipe_core.records.entry import Entry
from pipe_core.records.program import Program
from pipe_core.records.schema import ExtendedSerializer, PlainSerializer, QuietSerializer
from pipe_core.records.validate import Failed, apply
from pipe_core.records.views import added_keys, is_view_of
from pipe_core.records.work import Work

_OWN_FIELDS: Final = operator.attrgetter("__dict__")


class Rows:
    """Makes the rows of one worker.

    Args:
        program: The run's program.
        encoder: The sink's half of it.
    """

    def __init__(self, program: Program, encoder: Encoder) -> None:
        self._program = program
        self._schema = schema = program.schema
        self._fields = schema.fields if schema else None
        serializer: Serializer = schema or PlainSerializer()
        if schema is not None and program.error_payload != "full":
            serializer = QuietSerializer(schema)
        self._row = encoder.bind(serializer)
        self._long_row = encoder.bind(ExtendedSerializer(serializer))
        self._plain_row = encoder.bind(PlainSerializer(self._fields))  # the same columns for all rows

    def of_values(self, values: list[Any], work: Work) -> tuple[list[Any], Failed]:
        """The rows of validated values, and which of these cannot be written down."""
        return self._made(self._row, values, work)

    def of_entries(self, entries: list[Entry], work: Work) -> tuple[list[Any], Failed]:
        """The rows of entries that hooks may have added keys to, or given other data."""
        values = [entry._value for entry in entries]
        if not self._program.post or self._untouched(entries, values):
            return self._made(self._row, values, work)
        return self._made(self._changed_row, entries, work)

    def _made(self, row: Callable[[Any], Any], values: list[Any], work: Work) -> tuple[list[Any], Failed]:
        started = time.perf_counter()
        done = apply(row if work.check is None else _checked(row, work.check), values, self._program.stopping)
        work.spent("encode", started)
        return done

    def _changed_row(self, entry: Entry) -> Any:
        value, view = entry._value, entry.validated_data
        if not is_view_of(value, view):
            return self._plain_row(view)
        added = added_keys(value, view, self._fields)
        return self._long_row((value, added)) if added else self._row(value)

    def _untouched(self, entries: list[Entry], values: list[Any]) -> bool:
        """Whether the ordinary rows say all: hooks added no key and put nothing in place of the validated data."""
        if self._schema is None or not self._schema.are_closed(values):
            return False
        views = [entry.validated_data for entry in entries]
        own = all(map(operator.is_, views, map(_OWN_FIELDS, values)))
        return own and set(map(tuple, views)) == {self._schema.closed}


def _checked(row: Callable[[Any], Any], check: Callable[[Any], None]) -> Callable[[Any], Any]:
    def made(value: Any) -> Any:
        made = row(value)
        check(made)
        return made

    return made
