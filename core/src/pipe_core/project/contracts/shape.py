"""What a contract needs to know of a schema, whatever kind of schema it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final, Protocol

from pipe_core.project.catalog.values import is_arrow_schema
from pipe_core.project.contracts.errors import Misfit

Refused = dict[int, list[Misfit]]
"""The indexes of what does not fit, in order, with the reasons."""


class Shape(Protocol):
    """A schema, asked about records and about columns.

    Attributes:
        name: What messages call it.
        keys: For each key that it reads, the field that it is.
        is_open: Whether other keys belong to it, too.
        renames: Whether a field is read by another key than its name.
    """

    name: str
    keys: Mapping[str, str]
    is_open: bool
    renames: bool

    def is_one(self, record: Any) -> bool:
        """Whether *record* is an instance, and so fits."""

    def validated(self, records: Sequence[Any]) -> tuple[list[Any], Refused]:
        """What the schema makes of *records*, None where one does not fit; and those that do not."""

    def values(self, made: Any) -> dict[str, Any]:
        """What `validated` made of a mapping, by fields."""

    def accepts(self, field: str, value: Any) -> Any:
        """*value* as the field alone has it. Raises whatever is raised where it does not fit."""

    def column(self, field: str, column: Any) -> tuple[Any, Refused] | None:
        """A column of Arrow as the field has it, and what of it does not fit.

        The field may be missing: then *column* holds only None. None where the records must be looked at.
        """

    def default(self, field: str) -> Any:
        """What a record that lacks *field* has there: a value, `ABSENT` or `LACKING`."""


class Nothing(Enum):
    """What is there where no value is."""

    ABSENT = "absent"
    """The field may be left out, and is."""
    LACKING = "lacking"
    """The field must not be left out."""


MISSING: Final = "Field required"
"""Why a record does not fit that lacks a field, in pydantic's words."""
ABSENT: Final = Nothing.ABSENT
LACKING: Final = Nothing.LACKING


def shape_of(schema: Any) -> Shape:
    """The shape of *schema*.

    Args:
        schema: A pydantic model, a dataclass, a `TypedDict` or another type; or a schema of Arrow.

    Raises:
        SchemaError: It is none of these.
    """
    if is_arrow_schema(schema):
        from pipe_core.project.contracts.arrow_shape import ArrowShape

        return ArrowShape(schema)
    from pipe_core.project.contracts.model_shape import ModelShape

    return ModelShape(schema)
