"""Records as files of columns, or as folders of them, which appear whole."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal

import pyarrow as pa

from pipe_arrow.column_types import Conflict, adapted, leaves, rounded, type_of, unified
from pipe_arrow.group_cutter import GroupCutter
from pipe_arrow.kind_text import kind_of, text_of
from pipe_arrow.output import FileOutput, FolderOutput, Output, columns_there, ended_parts
from pipe_arrow.plain_values import DIALECTS, MOST_FIELDS
from pipe_arrow.python_values import values
from pipe_arrow.silent_file import SilentFile
from pipe_arrow.table_encoder import TableEncoder
from pipe_arrow.writers import Writing
from pipe_core.formats.hidden_folder import restore
from pipe_core.formats.part_folder import resumed_folder
from pipe_core.formats.staged_file import StagedFile
from pipe_core.formats.staging import known_states, writing_errors
from pipe_core.kernel.contracts import Mode
from pipe_core.kernel.errors import SinkError, TargetExistsError


class TableSink:
    """Records as a file; as part files in a folder when the target ends in ``/`` or, with ``append``, is a folder.

    Args:
        path: The target.
        writing: What files are written.
        fixed: Types of columns that were given.
        suffixes: Of files of the format.
    """

    def __init__(
        self, path: str, writing: Writing, fixed: Mapping[str, pa.DataType], suffixes: tuple[str, ...]
    ) -> None:
        self._path = path
        self._writing = writing
        self._fixed = fixed
        self._suffixes = suffixes
        self._kind: pa.DataType = pa.struct([])
        self._cutter = GroupCutter(writing.group_size)
        self._output: Output | None = None
        self._encoder = TableEncoder(DIALECTS[writing.format], fixed)
        self._count = 0
        self._given: pa.DataType | None = None
        self._kept = False

    @property
    def name(self) -> str:
        """The path."""
        return self._path

    @property
    def delivery(self) -> Literal["exactly-once", "at-least-once"]:
        """Exactly once: files and folders appear whole."""
        return "exactly-once"

    @property
    def only_final(self) -> bool:
        """Whether it has a checkpoint at its end only: one file, which says at its end what is in it."""
        return not (self._path.endswith(("/", os.sep)) or os.path.isdir(self._path))

    def exists(self) -> bool:
        """Whether there is something already. What a killed run had taken away is put back before."""
        place = self._place()
        with writing_errors(self.name):
            restore(place)
        return os.path.exists(place)

    def encoder(self) -> TableEncoder:
        """What workers need to make rows."""
        return self._encoder

    def open(self, mode: Mode, fields: Sequence[str] | None = None) -> None:
        """Begin. Raises `TargetExistsError` for ``error`` and ``ignore``, and `SinkError` when it cannot be written."""
        self._kind = pa.struct([(name, self._fixed.get(name, pa.null())) for name in fields or ()])
        with self._errors():
            if self.exists() and mode in ("error", "ignore"):
                raise self._refused_target()
            self._output = self._opened(mode)

    def _opened(self, mode: Mode) -> Output:
        is_folder = os.path.isdir(self._path)
        if self._path.endswith(("/", os.sep)) or (is_folder and mode == "append"):
            place = self._place()
            if mode == "append":
                self._kind = unified(columns_there(place, self._writing, self._suffixes), self._kind)
            return FolderOutput(place, self._writing, self._suffixes, mode)
        if mode == "append":
            raise SinkError(
                f"{self.name!r} is to be appended to, but a file of the format {self._writing.format} has an end. "
                f"Write part files to a folder: end its name in '/', as in {self.name + '/'!r}.",
                sink=self.name,
            )
        if is_folder:
            raise SinkError(
                f"{self.name!r} is a folder. To replace its part files end its name in '/'; mode='append' adds some.",
                sink=self.name,
            )
        return FileOutput(self._path, self._writing)

    def write(self, payload: list[dict[str, Any]] | bytes, count: int) -> None:
        """Take the next rows. Row groups are written as soon as they are full."""
        output = self._began()
        with self._errors():
            for table in self._encoder.tables(payload):
                self._widen(table)
                for group in self._cutter.add(table, lambda: output.room):
                    output.write(group, self._columns())
                self._count += table.num_rows

    def write_table(self, table: Any) -> None:
        """Take rows as a table of Arrow, or what hands itself over as one. The types of the first ones are kept.

        Raises:
            SinkError: Its columns do not go together with those before.
        """
        output = self._began()
        with self._errors():
            whole = self._typed(table if isinstance(table, pa.Table) else pa.table(table))
            if not self._count:
                self._given = pa.struct(list(whole.schema))
            self._widen(whole)
            for group in self._cutter.add(whole, lambda: output.room):
                output.write(group, self._columns())
            self._count += whole.num_rows

    def checkpoint(self, final: bool = False) -> Mapping[str, Any]:
        """Bring the files to their end, and let them stay where they are hidden. The state for `resume`.

        In a folder the part file that is being written ends here. Where a later record needs other columns, those that
        have ended are written once more at the end.

        Raises:
            SinkError: It is one file, and not the end.
        """
        output = self._began()
        with self._errors():
            if final or isinstance(output, FolderOutput):
                self._flush(output)
            state = output.checkpoint(self._columns(), final)
            self._kept = True
            told = {"columns": text_of(self._kind), "count": self._count, "given": self._given == self._kind}
            return {"output": state, "final": final, **told}

    def resume(self, state: Mapping[str, Any], mode: Mode, fields: Sequence[str] | None = None) -> None:
        """Go on at *state*, which `checkpoint` gave. What was written behind it is removed.

        Raises:
            TargetExistsError: For ``error`` and ``ignore``: something else came to the target meanwhile.
            SinkError: What was written is gone, or the run that wrote it goes on.
        """
        with writing_errors(self.name), known_states(self.name):
            self._kind, self._count = kind_of(state["columns"]), int(state["count"])
            self._given = self._kind if state["given"] else None
            self._output = self._resumed({**state["output"], "final": state["final"]}, mode)
            self._kept = True
            if self._output is not None and mode in ("error", "ignore") and self.exists():
                self.close()
                raise self._refused_target()

    def _resumed(self, state: Mapping[str, Any], mode: Mode) -> Output | None:
        if "folder" in state:
            place, ended = self._place(), ended_parts(state)
            folder = resumed_folder(place, self._suffixes[0], self._suffixes, state)
            return None if folder is None else FolderOutput(place, self._writing, self._suffixes, mode, folder, ended)
        staged = StagedFile.resumed(self._path, state, readable=True)
        return None if staged is None else FileOutput(self._path, self._writing, SilentFile(self._path, staged))

    def commit(self) -> None:
        """Make the files durable, and visible under their names."""
        if self._output is not None:
            with self._errors():
                self._flush(self._output)
                if self._output.publish(self._columns()):
                    self._output = None
                self._kept = False

    def abort(self, keep: bool = False) -> str | None:
        """Leave the target as it was; with *keep*, what was written is at the place returned."""
        self._kept = False
        output, self._output = self._output, None
        if output is None:
            return None
        try:
            if keep:
                with self._errors():
                    self._flush(output)
                    return output.keep(self._columns())
            return None
        finally:
            with suppress(OSError):
                output.discard()

    def close(self) -> None:
        """What was neither checkpointed nor committed is aborted."""
        if not self._kept:
            self.abort()
            return
        output, self._output = self._output, None
        if output is not None:
            output.release()

    def _refused_target(self) -> TargetExistsError:
        text = f"{self.name!r} exists already. Use mode='overwrite', or another path."
        return TargetExistsError(text, sink=self.name)

    def _typed(self, table: pa.Table) -> pa.Table:
        """*table* without what it says about itself, with columns of the types that were given."""
        names = table.schema.names
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise SinkError(f"{self.name!r} would have the column {twice!r} twice. Rename one.", sink=self.name)
        fields = [pa.field(field.name, self._fixed.get(field.name, field.type)) for field in table.schema]
        return adapted(table.replace_schema_metadata(None).cast(pa.schema(fields)), self._kind)

    def _place(self) -> str:
        return self._path.rstrip("/" + os.sep) or os.sep

    def _began(self) -> Output:
        if self._output is None:
            raise SinkError(f"{self.name!r} is not open for writing.", sink=self.name)
        return self._output

    def _flush(self, output: Output) -> None:
        if self._cutter.waiting:
            output.write(self._cutter.rest(), self._columns())

    def _columns(self) -> pa.DataType:
        """The columns as they are written: those that there are, and those that somebody gave a type."""
        if self._kind == self._given and not self._fixed:
            return self._kind
        kinds = {field.name: field.type for field in self._kind}
        found = [(name, self._fixed[name] if name in self._fixed else rounded(kind)) for name, kind in kinds.items()]
        return pa.struct(found + [(name, kind) for name, kind in self._fixed.items() if name not in kinds])

    def _widen(self, table: pa.Table) -> None:
        """Find the types that hold the records so far, and those of *table*."""
        try:
            self._kind = unified(self._kind, pa.struct(list(table.schema)))
        except Conflict as conflict:
            i = self._first_misfit(table, conflict.path[0])
            raise self._refused(conflict, f"Record {self._count + i:,} of the output does not fit: there") from None
        if (count := leaves(self._kind)) > MOST_FIELDS:
            raise SinkError(
                f"{self.name!r} would have {count:,} columns, more than {MOST_FIELDS:,}. Are names used as values in "
                f"nested objects? Give such a column a type: types={{'column': pyarrow.map_(...)}}.",
                sink=self.name,
            )

    def _first_misfit(self, table: pa.Table, name: str) -> int:
        kind = self._kind.field(name).type
        for i, cell in enumerate(values(table.column(name).combine_chunks())):
            try:
                unified(kind, type_of((cell,)))
            except Conflict:
                return i
        return 0

    def _refused(self, conflict: Conflict, what: str) -> SinkError:
        column = ".".join(conflict.path)
        return SinkError(
            f"{what} the column {column!r} is {conflict.second}, before it was {conflict.first}. Give the field "
            f"one type in the schema, or name the column's type: types={{{column!r}: 'string'}}.",
            sink=self.name,
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Whatever writing raises becomes a `SinkError` that says what to do."""
        try:
            with writing_errors(self.name):
                yield
        except Conflict as conflict:
            raise SinkError(
                f"{self.name!r} cannot be written: the column {'.'.join(conflict.path)!r} has {conflict.first}, and "
                f"{conflict.second} in another record, or the format has no type for it. Give the column a type with "
                f"the option types.",
                sink=self.name,
            ) from None
        except (pa.ArrowException, ValueError, TypeError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            text = f"{self.name!r} cannot be written as {self._writing.format}: {reason}. Another type for the column?"
            raise SinkError(text, sink=self.name) from error
