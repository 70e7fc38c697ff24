"""The options of the format, with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from pipe_core.kernel.errors import OptionsError

_OVERWRITE = "overwrite"


def _iso(value: Any) -> Any:
    if isinstance(value, date):  # a datetime is one, too
        return value.isoformat()
    if isinstance(value, str):
        datetime.fromisoformat(value)
    return value


Iso = Annotated[str, BeforeValidator(_iso)]
"""A date or a time as ISO text: ``2025-01-31`` or ``2025-01-31T12:00``."""


class Window(BaseModel):
    """A range of dates or times in one column.

    Attributes:
        column: A column of dates, of times, or of ISO text.
        start: The first moment of it.
        before: The first moment behind it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str
    start: Iso
    before: Iso

    @model_validator(mode="after")
    def _in_order(self) -> Window:
        start, before = datetime.fromisoformat(self.start), datetime.fromisoformat(self.before)
        if (start.tzinfo is None) != (before.tzinfo is None):
            raise ValueError("a window needs a time zone at both ends, or at none")
        if start >= before:
            raise ValueError(f"the window ends with {self.before}, which is not behind its start {self.start}")
        return self


class DeltaOptions(BaseModel):
    """Options of `delta`.

    Attributes:
        version: Reading: the table as it was in this version. Not given: the newest.
        timestamp: Reading: the table as it was at this moment, as ISO text. Without a time zone it is UTC.
        columns: Reading: only these columns, in this order.
        partitions: Reading: only these partitions: for a column of `partition_by`, one value or a list of some.
        window: Reading: only the records of this window. Writing: with ``overwrite`` what is there of the window is
            replaced, and the rest of the table stays; a record outside of the window fails.
        partition_by: Writing: columns whose values make partitions. A table that is there keeps its own.
        schema_mode: Writing: what may become of the columns of a table that is there. Not given: they stay. ``merge``:
            new ones are added. ``overwrite``: with the mode ``overwrite`` they are replaced.
        types: Writing: Arrow types of columns that are new, by name: as text or as `pyarrow.DataType`.
        part_size: Writing: records in a file of the table.
        compression: Writing: of the files.
        staging: Writing: the folder in which records wait for their commit. Not given: that of the table, or for a URL
            the system's folder for temporary files.
        storage_options: What the store of a URL is told, such as credentials. Shown nowhere.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int | None = Field(default=None, ge=0)
    timestamp: Iso | None = None
    columns: tuple[str, ...] | None = Field(default=None, min_length=1)
    partitions: Mapping[str, Any] = Field(default_factory=dict)
    window: Window | None = None
    partition_by: tuple[str, ...] = ()
    schema_mode: Literal["merge", "overwrite"] | None = None
    types: dict[str, Any] = Field(default_factory=dict)
    part_size: int = Field(default=1_000_000, ge=1)
    compression: Literal["zstd", "snappy", "gzip", "none"] = "zstd"
    staging: str | None = None
    storage_options: Mapping[str, Any] = Field(default={}, repr=False)

    @model_validator(mode="after")
    def _together(self) -> DeltaOptions:
        if self.version is not None and self.timestamp is not None:
            raise ValueError("version and timestamp both say which state of the table is read: give one of them")
        if self.window is not None and self.schema_mode == _OVERWRITE:
            raise ValueError("a window replaces a part of a table, whose columns schema_mode='overwrite' would replace")
        return self


def with_window(options: DeltaOptions, window: Mapping[str, Any] | None) -> DeltaOptions:
    """*options* with another window. Raises `OptionsError` for one that is none."""
    try:
        return DeltaOptions.model_validate({**options.model_dump(), "window": window})
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise OptionsError(f"That is no window of a Delta table: {problem}.", problems={"window": problem}) from None
