"""Replacing a window: files with records of it go, and what they had outside of it comes again in files of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from pipe_delta.arrival import Arrivals
from pipe_delta.data_files import DataFile, Layout, write_files
from pipe_delta.options import Window
from pipe_delta.partitions import partition_text
from pipe_delta.place import Place
from pipe_delta.reading import Piece, Reading
from pipe_delta.table_files import TableFile, files_of, schema_of
from pipe_delta.windows import mask


def replaced(
    place: Place, table: DeltaTable, window: Window, layout: Layout, arrivals: Arrivals
) -> tuple[list[RemoveAction], list[AddAction]]:
    """What takes a window out of a table.

    Args:
        place: Where the table is.
        table: The table.
        window: What goes.
        layout: How files are written.
        arrivals: Where they come from.

    Returns:
        The files that go, and those that come: records of them that stay. These are at the table already.
    """
    removed: list[RemoveAction] = []
    added: list[AddAction] = []
    layout = replace(layout, columns=schema_of(table))
    for file in files_of(table):
        if not file.may_hold(window):
            continue
        reading = Reading(place, schema_of(table))
        inside, files = _parted(reading, file, window, layout, arrivals.folder)
        if not inside:
            for one in files:
                os.unlink(os.path.join(arrivals.folder, one.name))
            continue
        arrivals.put(files)
        removed.append(_removal(file))
        added += [
            AddAction(one.path, one.bytes, one.partition, file.time, True, arrivals.statistics(one)) for one in files
        ]
    return removed, added


def _removal(file: TableFile) -> RemoveAction:
    values = {name: partition_text(value) for name, value in file.partition.items()}
    return RemoveAction(file.log_path, True, int(time.time() * 1000), file.bytes, values)


def _parted(
    reading: Reading, file: TableFile, window: Window, layout: Layout, folder: str
) -> tuple[int, list[DataFile]]:
    """How many records of *file* are in the window, and files with the others."""
    inside = 0

    def others() -> Iterator[pa.Table]:
        nonlocal inside
        for data in reading.batches(Piece(file.path, file.rows, tuple(file.partition.items()))):
            found = mask(window, data.column(window.column))
            inside += pc.sum(found).as_py() or 0
            yield pa.Table.from_batches([data.filter(pc.invert(found))])

    files = write_files(others(), layout, folder)
    return inside, files
