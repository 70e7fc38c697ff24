"""How one file is opened and read, as plain data that travels to the workers, and what can go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Protocol

import pyarrow as pa

from pipe_core.kernel.errors import OptionsError, SourceError, SourceNotFoundError

_CLASSES: Final = {
    "parquet": "pipe_arrow.parquet_file:ParquetFile",
    "orc": "pipe_arrow.orc_file:OrcFile",
    "feather": "pipe_arrow.feather_file:FeatherFile",
}


class Damaged(ValueError):
    """What a file says of itself does not agree with what is in it."""


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A part of a file that can be read by itself.

    Attributes:
        rows: How many records it has; None where only reading tells.
        bytes: About how many bytes of the file it takes.
        size: About how many bytes it takes when it is read.
    """

    rows: int | None
    bytes: int
    size: int


class TableFile(Protocol):
    """An open file of a format that is read by row groups."""

    @property
    def schema(self) -> pa.Schema:
        """The names and types of the columns that are read."""

    @property
    def groups(self) -> list[RowGroup]:
        """The row groups in their order."""

    def batches(self, group: int) -> Iterator[pa.RecordBatch]:
        """The records of a row group."""

    def close(self) -> None:
        """Close the file."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read.

    Attributes:
        format: The format's name.
        columns: Only these columns, in this order.
        truncate: Whether digits behind the microseconds are cut off.
        verify: Whether checksums are compared.
    """

    format: str
    columns: tuple[str, ...] | None = None
    truncate: bool = False
    verify: bool = True

    @contextmanager
    def opened(self, path: str) -> Iterator[TableFile]:
        """The file at *path*, closed at the end."""
        module, _, name = _CLASSES[self.format].partition(":")
        file: TableFile = getattr(import_module(module), name)(path, self)
        try:
            yield file
        finally:
            file.close()

    def chosen(self, schema: pa.Schema) -> list[str]:
        """The names of the columns to read.

        Raises:
            OptionsError: One of those asked for is not there.
        """
        names = list(schema.names)
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise Damaged(f"it has more than one column called {', '.join(map(repr, twice))}")
        if self.columns is None:
            return names
        missing = [name for name in self.columns if name not in names]
        if missing:
            raise OptionsError(
                f"There is no column {', '.join(map(repr, missing))}. The columns are {', '.join(map(repr, names))}.",
                problems={"columns": f"{missing[0]!r} is not there"},
            )
        return list(self.columns)


@contextmanager
def reading_errors(name: str, position: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """Whatever reading raises becomes a `SourceError` that says what to do and how many records came before."""
    try:
        yield
    except (SourceError, OptionsError):
        raise
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"There is no file {name!r}. Is the path right?", source=name, position=0) from error
    except Exception as error:  # damaged files make pyarrow and fastavro raise nearly anything
        reason = _one_line(error)
        text = f"{name!r} cannot be read: {reason}. A damaged, cut off or protected file, or one of another format?"
        raise SourceError(text, source=name, position=position()) from error


def _one_line(error: Any) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split()).rstrip(".")[:500]
