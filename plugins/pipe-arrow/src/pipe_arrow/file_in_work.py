"""A file that is being written while the types of its columns are still being found out.

Row groups go to the disk as they come, with the types that were known then. When a later record needs a wider type
(there were only nulls, or only integers, or a column less), a second staged file is begun with it. At the end one
staged file with the right types becomes the output as it is; of others the output is made by reading them once more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from pipe_arrow.column_types import widened_table
from pipe_arrow.group_cutter import GroupCutter
from pipe_arrow.silent_file import SilentFile
from pipe_arrow.writers import TableWriter, Writing


class _Staged:
    """A staged file of certain types."""

    def __init__(self, output: SilentFile, writing: Writing, kind: pa.DataType) -> None:
        self.output = output
        self.writing = writing
        self.kind = kind
        self._writer: TableWriter | None = writing.opened(output, kind)

    def write(self, tables: list[pa.Table]) -> None:
        assert self._writer is not None  # it was not finished
        with self._own_failure():
            self._writer.write(pa.concat_tables([widened_table(table, self.kind) for table in tables]).combine_chunks())

    def finish(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with self._own_failure():
                writer.close()
                self.output.flush()

    @contextmanager
    def _own_failure(self) -> Iterator[None]:
        """Raises why not everything was written, whatever the writer made of it."""
        try:
            yield
        except Exception as error:
            if self.output.failure is None:
                raise
            raise self.output.failure from error
        if self.output.failure is not None:
            raise self.output.failure


class FileInWork:
    """One output file.

    Args:
        target: Its path.
        writing: What it is.
    """

    def __init__(self, target: str, writing: Writing) -> None:
        self._target = target
        self._writing = writing
        self._fresh: SilentFile | None = SilentFile(target)  # now, so that a folder that is missing shows
        self._staged: list[_Staged] = []
        self.rows = 0

    def write(self, tables: list[pa.Table], kind: pa.DataType) -> None:
        """Take a row group. *kind* is the struct of its columns and of those before.

        Raises:
            Conflict: An integer in it is no float, or the format has no such type.
        """
        if not self._staged or self._staged[-1].kind != kind:
            if self._staged:
                self._staged[-1].finish()
            self._begun(self._writing.staged, kind)
        self._staged[-1].write(tables)
        self.rows += sum(table.num_rows for table in tables)

    def finish(self, kind: pa.DataType) -> SilentFile:
        """The file at its end, with columns as `publish` has them. `write` cannot be called any more.

        Raises:
            Conflict: An integer is no float.
        """
        return self._finished(kind, self._writing)

    def publish(self, kind: pa.DataType) -> None:
        """Make the file appear, with columns as the struct *kind* has them. `write` cannot be called any more.

        Raises:
            Conflict: An integer is no float.
        """
        self._publish(kind, self._writing)

    def publish_staged(self, kind: pa.DataType) -> None:
        """As `publish`, but as files are written that are read once more before the end: `Writing.staged`."""
        self._publish(kind, self._writing.staged)

    def keep(self, kind: pa.DataType) -> str:
        """Leave what was written beside the target; the result says where."""
        place = self._finished(kind, self._writing).keep()
        self._staged = []
        return place

    def discard(self) -> None:
        """Remove what was written."""
        for output in [staged.output for staged in self._staged] + ([self._fresh] if self._fresh else []):
            output.discard()
        self._staged, self._fresh = [], None

    def _publish(self, kind: pa.DataType, writing: Writing) -> None:
        self._finished(kind, writing).publish()
        self._staged = []

    def _finished(self, kind: pa.DataType, writing: Writing) -> SilentFile:
        for staged in self._staged:
            staged.finish()
        if len(self._staged) == 1 and self._staged[0].kind == kind and self._writing.staged == writing:
            return self._staged[0].output
        parts = self._staged
        whole = self._begun(writing, kind)
        cutter = GroupCutter(self._writing.group_size)
        for part in parts:
            with part.writing.reading.opened(part.output.path) as file:
                for i in range(len(file.groups)):
                    for group in cutter.add(pa.Table.from_batches(file.batches(i), file.schema)):
                        whole.write(group)
        if cutter.waiting:
            whole.write(cutter.rest())
        whole.finish()
        for part in parts:
            part.output.discard()
        self._staged = [whole]
        return whole.output

    def _begun(self, writing: Writing, kind: pa.DataType) -> _Staged:
        output, self._fresh = self._fresh or SilentFile(self._target), None
        try:
            staged = _Staged(output, writing, kind)
        except BaseException:
            output.discard()
            raise
        self._staged = [*self._staged, staged]  # so that `discard` finds it
        return staged
