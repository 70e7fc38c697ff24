"""Opening: the source and the sinks of a run, checked and taken before anything runs."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipe_core.kernel.contracts import Mode, ResumableSink, Sink, Source
from pipe_core.kernel.errors import SourceError
from pipe_core.records.hooks import BoundHook
from pipe_core.records.schema import ErrorSerializer, Schema

if TYPE_CHECKING:
    from pipe_core.records.resuming.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Ends:
    """Where records come from and where they go."""

    source: Source
    sink: Sink | None
    errors: Sink | None

    def open_source(self, opened: contextlib.ExitStack, schema: Schema | None, pre: Sequence[BoundHook]) -> None:
        """Open the source, which *opened* closes again. Raises `SourceError`."""
        opened.callback(self.source.close)
        self.source.open()
        _check_header(self.source, schema, pre)

    def open_sinks(
        self, opened: contextlib.ExitStack, schema: Schema | None, mode: Mode, begun: Checkpoint | None, *, keeps: bool
    ) -> None:
        """Open the sinks, or let them go on at a checkpoint. What nobody comes to use, *opened* gives back.

        Args:
            opened: Closes and aborts them.
            schema: Says the fields.
            mode: What to do with a target that exists.
            begun: The checkpoint; None to begin.
            keeps: Whether there will be checkpoints.

        Raises:
            SinkError: One cannot be written.
        """
        mode = "overwrite" if mode == "ignore" else mode
        for sink, fields, state, counted in (
            (self.errors, ErrorSerializer.fields, None if begun is None else begun.errors, "failed"),
            (self.sink, schema.fields if schema else None, None if begun is None else begun.sink, "valid"),
        ):
            if sink is None:
                continue
            if state is not None and isinstance(sink, ResumableSink):
                sink.resume(state, mode, fields)
                opened.callback(sink.close)
                continue
            if keeps and hasattr(sink, "expect_checkpoints"):
                sink.expect_checkpoints()
            if begun is not None and hasattr(sink, "count_from"):
                sink.count_from(int(begun.report[counted]))
            sink.open(mode if begun is None else "append", fields)
            opened.callback(sink.close)
            opened.callback(sink.abort)


def _check_header(source: Source, schema: Schema | None, pre: Sequence[BoundHook]) -> None:
    """Find a wrong delimiter or a missing header before every single record is rejected for it."""
    fields = source.fields
    if fields is None or schema is None or pre or not schema.required or schema.required.intersection(fields):
        return
    header = ", ".join(repr(field) for field in fields[:6])
    wanted = ", ".join(sorted(schema.required)[:6])
    raise SourceError(
        f"No required field of {schema.name} ({wanted}) is in the header of {source.name}, which is: {header}. "
        + _header_hint(fields),
        source=source.name,
    )


def _header_hint(fields: Sequence[str]) -> str:
    for character, word in ((";", ";"), ("\t", "\\t"), ("|", "|"), (",", ",")):
        if len(fields) == 1 and character in fields[0]:
            return f"It looks as if the delimiter were '{word}': give the option delimiter='{word}'."
    return "If the file has no header, give the option fieldnames=[...]; otherwise choose another schema."
