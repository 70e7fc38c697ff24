"""The options of the formats, with their defaults."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class TableOptions(BaseModel):
    """What all formats of this package can be told.

    Attributes:
        types: Writing: Arrow types of columns, by name: as text (``"int32"``, ``"timestamp[ms]"``) or as
            `pyarrow.DataType`. A record whose value does not fit fails by itself. The types of the other columns are
            found in the records.
        part_size: Writing to a folder: records in a part file. With ``append`` each commit is a part file of its own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    types: dict[str, Any] = Field(default_factory=dict)
    part_size: int = Field(default=1_000_000, ge=1)


class ArrowOptions(TableOptions):
    """What the formats can be told that pyarrow reads.

    Attributes:
        columns: Reading: only these columns, in this order.
        nanoseconds: Reading: a time with digits behind the microseconds, which Python's types cannot hold, fails its
            record (``reject``) or loses them (``truncate``).
        row_group_size: Writing: records in a row group (a record batch of `feather`). A group of long records is
            closed earlier, at 64 MiB.
    """

    columns: tuple[str, ...] | None = Field(default=None, min_length=1)
    nanoseconds: Literal["reject", "truncate"] = "reject"
    row_group_size: int = Field(default=65_536, ge=1)


class ParquetOptions(ArrowOptions):
    """Options of `parquet`.

    Attributes:
        verify_checksums: Reading: compare pages with their checksums, where the file has some.
        compression: Writing: of the pages.
    """

    verify_checksums: bool = True
    compression: Literal["zstd", "snappy", "gzip", "lz4", "brotli", "none"] = "zstd"


class FeatherOptions(ArrowOptions):
    """Options of `feather`.

    Attributes:
        compression: Writing: of the columns.
    """

    compression: Literal["zstd", "lz4", "none"] = "zstd"


class OrcOptions(ArrowOptions):
    """Options of `orc`.

    Attributes:
        compression: Writing: of the stripes.
        stripe_bytes: Writing: about how large a stripe is in memory.
    """

    compression: Literal["zstd", "snappy", "zlib", "lz4", "none"] = "zstd"
    stripe_bytes: int = Field(default=16 << 20, ge=1 << 16)


class AvroOptions(TableOptions):
    """Options of `avro`.

    Attributes:
        compression: Writing: of the blocks.
    """

    compression: Literal["deflate", "bzip2", "xz", "none"] = "deflate"
