"""What arrays, tables and frames come to. Their libraries are never imported here: whoever has one has imported it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final, Protocol


class SignsBytes(Protocol):
    """Writes values one after the other; see `Signer`."""

    def write(self, value: Any) -> None:
        """Add a value."""

    def tag(self, tag: str, *values: Any) -> None:
        """Add what something is, and what it consists of."""

    def raw(self, data: Any) -> None:
        """Add bytes."""

    def object(self, value: Any) -> None:
        """Add an object as what pickle takes it apart into."""


Write = Callable[[Any, Any], None]


def writer_for(kind: type) -> Write | None:
    """How objects of the class *kind* are written, if they are arrays, tables or frames."""
    library = kind.__module__.partition(".")[0]
    found = _WRITERS.get(library)
    if found is None:
        return None
    module = sys.modules[library]
    for name, write in found.items():
        wanted = attrgetter(name)(module)
        if issubclass(kind, wanted) if name in _WITH_SUBCLASSES else kind is wanted:
            return write
    return None


def _write_array(signer: SignsBytes, array: Any) -> None:
    """A numpy array: what it holds of what, in the order of its indices, however it lies in memory."""
    dtype = array.dtype
    if dtype.kind == "O":
        signer.tag("array of objects", array.shape, array.ravel().tolist())
    elif dtype.hasobject or dtype.kind not in "biufcmMSUV":
        signer.object(array)
    else:
        signer.tag("array", dtype.str if dtype.names is None else dtype, array.shape)
        flat = array.ravel()
        signer.raw(memoryview(flat.view("u1")) if flat.nbytes else b"")


def _write_table(signer: SignsBytes, table: Any) -> None:
    """An arrow table: its schema and its rows, however they are cut into chunks."""
    import pyarrow

    buffer = pyarrow.BufferOutputStream()
    table = table.combine_chunks()
    with pyarrow.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table)
    signer.tag("arrow table")
    signer.raw(memoryview(buffer.getvalue()))


def _write_batch(signer: SignsBytes, batch: Any) -> None:
    import pyarrow

    signer.tag("arrow batch")
    _write_table(signer, pyarrow.Table.from_batches([batch]))


def _write_column(signer: SignsBytes, column: Any) -> None:
    import pyarrow

    signer.tag(type(column).__name__)
    _write_table(signer, pyarrow.table({"": column}))


def _write_frame(signer: SignsBytes, frame: Any) -> None:
    """A pandas frame: columns, index, and each column by itself, however they are put together inside."""
    signer.tag("frame", frame.shape, frame.columns, frame.index, frame.attrs)
    for place in range(frame.shape[1]):
        _write_cells(signer, frame.iloc[:, place])


def _write_series(signer: SignsBytes, series: Any) -> None:
    signer.tag("series", series.name, series.index, series.attrs)
    _write_cells(signer, series)


def _write_index(signer: SignsBytes, index: Any) -> None:
    if type(index).__name__ in ("RangeIndex", "MultiIndex"):  # these are taken apart into whole numbers and indices
        signer.object(index)
    else:
        signer.tag("index", type(index).__name__, index.name)
        _write_cells(signer, index)


def _write_cells(signer: SignsBytes, column: Any) -> None:
    is_numpy = type(column.dtype).__module__.partition(".")[0] == "numpy"
    signer.write(column.to_numpy() if is_numpy else column.array)


def _write_extension(signer: SignsBytes, array: Any) -> None:
    """An array of pandas itself. Its attributes hold more than its values, so these are taken."""
    signer.tag("extension", type(array).__name__, str(array.dtype))
    if hasattr(array, "categories"):
        signer.tag("categories", array.ordered, array.categories, array.codes)
    elif hasattr(array, "asi8"):
        signer.write(array.asi8)
    else:
        signer.write(array.to_numpy(dtype=object))


_WRITERS: Final[Mapping[str, Mapping[str, Write]]] = {
    "numpy": {"ndarray": _write_array},
    "pyarrow": {
        "Table": _write_table,
        "RecordBatch": _write_batch,
        "Array": _write_column,
        "ChunkedArray": _write_column,
    },
    "pandas": {
        "DataFrame": _write_frame,
        "Series": _write_series,
        "Index": _write_index,
        "api.extensions.ExtensionArray": _write_extension,
    },
}
_WITH_SUBCLASSES: Final = frozenset({"Array", "Index", "api.extensions.ExtensionArray"})
"""Classes that have one subclass for each type of values."""
