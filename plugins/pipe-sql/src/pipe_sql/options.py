"""What a person can say about a table or query. Imports no database."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

READING: Final = frozenset({"query", "columns"})
"""Options that mean something for a source only."""
WRITING: Final = frozenset({"on_conflict", "nan"})
"""Options that mean something for a sink only."""


def _names(value: Any) -> Any:
    """Names as a URL has them, with commas between."""
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_names), Field(min_length=1)]


class SqlOptions(BaseModel):
    """Options of `sql`. In a URL they stand behind the ``?``: ``sqlite:///shop.db?table=orders``.

    Attributes:
        table: The table or view to read, or the table to write.
        query: Reading: a ``SELECT`` instead of a table.
        key: Columns that together tell every row from every other. Reading: the order, and what splits are cut by;
            not given: the primary key, or a unique index without NULLs, or SQLite's rowid. Writing: what
            `on_conflict` looks at, and the primary key of a table that is made.
        columns: Reading: only these columns, in this order.
        db_schema: PostgreSQL: the schema that the table is in. Not given: the search path finds it.
        on_conflict: Writing: a row whose key is there already ends the run (``error``), is left out (``ignore``), or
            replaces the columns of the other (``update``).
        nan: Writing: a NaN stays one, or fails its record where the database cannot keep it (``keep``), or becomes
            NULL (``null``).
        timeout: Seconds to wait for a connection, and for a lock that somebody else holds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str | None = Field(default=None, min_length=1)
    query: str | None = Field(default=None, min_length=1)
    key: Names | None = None
    columns: Names | None = None
    db_schema: str | None = Field(default=None, min_length=1)
    on_conflict: Literal["error", "ignore", "update"] = "error"
    nan: Literal["keep", "null"] = "keep"
    timeout: float = Field(default=30.0, gt=0, le=86_400)

    @field_validator("table", "query", "db_schema")
    @classmethod
    def _check_nul(cls, text: str | None) -> str | None:
        if text is not None and "\0" in text:
            raise ValueError("cannot hold NUL")
        return text

    @field_validator("key", "columns")
    @classmethod
    def _check_twice(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None and len(set(names)) < len(names):
            raise ValueError("names a column twice")
        return names

    @model_validator(mode="after")
    def _check_one(self) -> SqlOptions:
        if self.table is not None and self.query is not None:
            raise ValueError("give a table or a query, not both")
        return self

    @property
    def whole_seconds(self) -> int:
        """The timeout in seconds as PostgreSQL's client counts them: at least 2."""
        return max(2, math.ceil(self.timeout))
