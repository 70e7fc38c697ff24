"""What a table says of itself: its files, its columns, and what this package cannot read or write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable

from pipe_core.kernel.errors import SinkError, SourceError
from pipe_delta.options import Window
from pipe_delta.place import Place
from pipe_delta.windows import may_hold

_READABLE: Final = frozenset(
    {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck", "columnMapping", "deletionVectors"}
)
"""Of the last two a table may only be able, without making use of them."""
_WRITABLE: Final = _READABLE | {
    "appendOnly",
    "invariants",
    "checkConstraints",
    "changeDataFeed",
    "generatedColumns",
    "identityColumns",
    "domainMetadata",
}
"""Those in the upper lines are looked for one by one."""
_MAPPING: Final = "delta.columnMapping.mode"
_CHANGES: Final = "delta.enableChangeDataFeed"


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file of a table.

    Attributes:
        path: Relative to the table.
        log_path: The same as the table's log has it.
        bytes: How large it is.
        time: When it was written, in milliseconds: files are read in this order.
        rows: How many records it has; None where the table does not say.
        partition: The values of the columns that are not in it.
        least: The smallest values of columns, as far as the table says.
        most: The largest ones.
    """

    path: str
    log_path: str
    bytes: int
    time: int
    rows: int | None
    partition: Mapping[str, Any]
    least: Mapping[str, Any] = field(default_factory=dict)
    most: Mapping[str, Any] = field(default_factory=dict)

    def may_hold(self, window: Window) -> bool:
        """Whether it may have records of the window."""
        if window.column in self.partition:
            value = self.partition[window.column]
            return value is not None and may_hold(window, value, value)
        return may_hold(window, self.least.get(window.column), self.most.get(window.column))


def schema_of(table: DeltaTable) -> pa.Schema:
    """The columns of a table as Arrow has them."""
    return pa.schema(table.schema().to_arrow())


def files_of(table: DeltaTable) -> list[TableFile]:
    """The files of a table, in the order in which they were written."""
    columns = list(table.metadata().partition_columns)
    files = []
    for row in pa.table(table.get_add_actions(flatten=False)).to_pylist():
        partition = row.get("partition") or {}
        files.append(
            TableFile(
                path=unquote(row["path"]),
                log_path=row["path"],
                bytes=row["size_bytes"],
                time=row["modification_time"],
                rows=row.get("num_records"),
                partition={name: partition.get(name) for name in columns},
                least=row.get("min") or {},
                most=row.get("max") or {},
            )
        )
    return sorted(files, key=lambda file: (file.time, file.path))


def check_readable(place: Place, table: DeltaTable) -> None:
    """Refuse a table with something that this package does not read.

    Raises:
        SourceError: It has such a thing.
    """
    reason = _unreadable(table)
    if reason is not None:
        raise SourceError(
            f"The Delta table {place.name!r} {reason}, which this format does not read. Rewrite the table without it, "
            f"or read it with deltalake and give what that returns as the source.",
            source=place.name,
            position=0,
        )


def _unreadable(table: DeltaTable) -> str | None:
    unknown = set(table.protocol().reader_features or ()) - _READABLE
    if unknown:
        return f"has the feature {', '.join(sorted(unknown))}"
    if table.metadata().configuration.get(_MAPPING, "none") != "none":
        return "has columns with other names in its files (columnMapping)"
    if "deletionVectors" in (table.protocol().reader_features or ()) and _has_deletions(table):
        return "has files of which records were deleted (deletionVectors)"
    return None


def _has_deletions(table: DeltaTable) -> bool:
    return bool(pa.RecordBatchReader.from_stream(table.deletion_vectors()).read_all().num_rows)


def check_writable(place: Place, table: DeltaTable, *, replaces: bool) -> None:
    """Refuse a table that asks more of who writes to it than this package does.

    Args:
        place: Where it is.
        table: The table.
        replaces: Whether files are taken out of it.

    Raises:
        SinkError: It does.
    """
    reason = _unreadable(table) or _unwritable(table)
    if reason is None and replaces and table.metadata().configuration.get("delta.appendOnly") == "true":
        reason = "may only be appended to (delta.appendOnly)"
    if reason is not None:
        text = f"The Delta table {place.name!r} {reason}, so this format does not write it. Write it with deltalake."
        raise SinkError(text, sink=place.name)


def _unwritable(table: DeltaTable) -> str | None:
    settings = table.metadata().configuration
    unknown = set(table.protocol().writer_features or ()) - _WRITABLE
    if unknown:
        return f"has the feature {', '.join(sorted(unknown))}"
    if any(name.startswith("delta.constraints.") for name in settings):
        return "checks its records (delta.constraints)"
    if settings.get(_CHANGES) == "true":
        return f"keeps its changes ({_CHANGES})"
    for column in table.schema().fields:
        for key in column.metadata:
            if key.startswith(("delta.generation", "delta.identity", "delta.invariants")):
                return f"has rules for the column {column.name!r} ({key})"
    return None
