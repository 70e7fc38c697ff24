"""Options of the built-in formats, with the limits that hostile input meets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

Character = Annotated[str, Field(min_length=1, max_length=1)]
Via: TypeAlias = Literal["system", "files"]
"""How rows come from workers of other processes: through the executor's system, or as files beside the target."""


class FormatOptions(BaseModel):
    """What every format that reads bytes can be told.

    Attributes:
        encoding: Any codec that Python knows. A byte order mark is always removed.
        max_record_bytes: A record of more bytes, its line end included, is rejected.
        max_fields: A record with more fields is rejected.
        storage_options: What the file system of a URL is told, such as credentials. Shown nowhere.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoding: str = "utf-8"
    max_record_bytes: int = Field(default=1 << 20, ge=1)
    max_fields: int = Field(default=4096, ge=1)
    storage_options: Mapping[str, Any] = Field(default={}, repr=False)


class CsvOptions(FormatOptions):
    """Options of `csv`. What is not given is as `csv.DictReader` has it: cells stay text, an empty cell stays ``""``.

    Attributes:
        delimiter: Between cells. Not given: a comma, or a tab for a path that ends in ``.tsv``.
        quotechar: Around cells that hold a delimiter, a quote or a line end. None: quotes mean nothing.
        escapechar: Takes the meaning from the character behind it. A file with one is not read in splits.
        skip_rows: Lines before the header, or before the first record where there is no header, that are not read.
        max_rows: Stop behind so many records. A file with it is not read in splits.
        header: Whether the first row names the fields (``first``) or is a record (``none``). Not given: it names them
            unless `fieldnames` does. With ``first`` and `fieldnames` the header is read over; with ``none`` and no
            `fieldnames` the fields are called ``column_1``, ``column_2``, and so on.
        fieldnames: The names of the fields, in the order of the cells.
        null_values: Cells that become None.
        strip: Remove white space around each cell (before `null_values` is looked at).
        on_extra: Writing: what to do with a record that has a key without a column.
        write_header: Writing: begin with the names of the fields.
        formula: Writing: a cell of text that a spreadsheet would run is written as it is (``raw``), behind an
            apostrophe (``escape``), or fails its record (``reject``).
        via: Writing: how rows come from workers of other processes, through the executor's system (``system``) or as
            files that they write beside the target (``files``). Not given: as files into a folder of part files, else
            through the system.
    """

    delimiter: Character | None = None
    quotechar: Character | None = '"'
    escapechar: Character | None = None
    skip_rows: int = Field(default=0, ge=0)
    max_rows: int | None = Field(default=None, ge=0)
    header: Literal["first", "none"] | None = None
    fieldnames: tuple[str, ...] | None = None
    null_values: tuple[str, ...] = ()
    strip: bool = False
    on_extra: Literal["error", "ignore"] = "error"
    write_header: bool = True
    formula: Literal["raw", "escape", "reject"] = "raw"
    via: Via | None = None

    @model_validator(mode="after")
    def _check_characters(self) -> CsvOptions:
        special = [one for one in (self.delimiter, self.quotechar, self.escapechar) if one is not None]
        if len(set(special)) < len(special):
            raise ValueError("delimiter, quotechar and escapechar must differ")
        if any(one in "\r\n\0\ufeff" or "\ud800" <= one <= "\udfff" for one in special):
            raise ValueError("delimiter, quotechar and escapechar cannot be a line end, NUL or half a character")
        return self

    @model_validator(mode="after")
    def _check_fieldnames(self) -> CsvOptions:
        names = self.fieldnames
        if names is not None and (not names or len(set(names)) < len(names)):
            raise ValueError("fieldnames must be one or more different names")
        return self


class NestedOptions(FormatOptions):
    """What formats of nested values can be told.

    Attributes:
        max_depth: A record whose lists and objects are nested deeper is rejected.
    """

    max_depth: int = Field(default=64, ge=1, le=190)


class JsonlOptions(NestedOptions):
    """Options of `jsonl`.

    Attributes:
        via: Writing: as for `csv`.
    """

    via: Via | None = None


class JsonOptions(NestedOptions):
    """Options of `json`.

    Attributes:
        prefix: Where the array of records is inside objects, as names with dots between: ``"data.items"``.
            Not given: the file is one array, or one object, which is then the only record.
    """

    prefix: str | None = Field(default=None, min_length=1)

    @property
    def names(self) -> tuple[str, ...]:
        """The parts of the prefix."""
        return () if self.prefix is None else tuple(self.prefix.split("."))


class MemoryOptions(BaseModel):
    """Options of `memory`.

    Attributes:
        sentinel: The item that ends a queue.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    sentinel: Any = None
