"""How the files of each format are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from pipe_arrow.options import AvroOptions, FeatherOptions, OrcOptions, ParquetOptions, TableOptions
from pipe_arrow.reading import Reading


class TableWriter(Protocol):
    """A file that takes row groups."""

    def write(self, table: pa.Table) -> None:
        """Write a row group."""

    def close(self) -> None:
        """Write what comes at the end of the file."""


@dataclass(frozen=True, slots=True)
class Writing:
    """What files are written.

    Attributes:
        format: The format's name.
        options: Its options.
    """

    format: str
    options: TableOptions

    @property
    def group_size(self) -> int:
        """The most records of a row group."""
        return getattr(self.options, "row_group_size", 4096)

    @property
    def staged(self) -> Writing:
        """How files are written before the types of all columns are known: as what can be read again, group by group.

        An Avro file says its types at its beginning, so it is written at the end.
        """
        return Writing("feather", FeatherOptions(compression="lz4")) if self.format == "avro" else self

    @property
    def reading(self) -> Reading:
        """How what was written is read."""
        return Reading(self.format)

    def opened(self, raw: Any, kind: pa.DataType) -> TableWriter:
        """A writer into *raw* of rows that are structs of *kind*."""
        schema = pa.schema(list(kind))
        if isinstance(self.options, ParquetOptions):
            from pipe_arrow.parquet_file import ParquetWriter

            return ParquetWriter(raw, schema, self.options)
        if isinstance(self.options, OrcOptions):
            from pipe_arrow.orc_file import OrcWriter

            return OrcWriter(raw, schema, self.options)
        if isinstance(self.options, AvroOptions):
            from pipe_arrow.avro_writer import AvroWriter

            return AvroWriter(raw, schema, self.options)
        from pipe_arrow.feather_file import FeatherWriter

        assert isinstance(self.options, FeatherOptions)  # there are four
        return FeatherWriter(raw, schema, self.options)
