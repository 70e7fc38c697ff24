"""A schema of Arrow as what a contract asks: a value fits where it can be cast to the field's type without a loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipe_core.project.catalog.values import installed
from pipe_core.project.contracts.errors import Misfit
from pipe_core.project.contracts.shape import LACKING, MISSING, Nothing, Refused

_NULL: Final = "The value must not be null"


class ArrowShape:
    """A schema of Arrow.

    Args:
        schema: The `pyarrow.Schema`.
    """

    def __init__(self, schema: Any) -> None:
        arrow = self._arrow = installed("pyarrow")
        self._errors = (arrow.ArrowException, TypeError, ValueError, OverflowError)
        if not isinstance(schema, arrow.Schema):
            from pipe_core.kernel.errors import SchemaError

            raise SchemaError(f"A {type(schema).__name__} of Arrow is no schema. Give pyarrow.schema([...]).")
        self._schema = schema
        self.name = "the schema"
        self.keys: Mapping[str, str] = {name: name for name in schema.names}
        self.is_open = self.renames = False

    def is_one(self, record: Any) -> bool:
        """Nothing is: a schema of Arrow has no instances."""
        return False

    # --- records ---

    def validated(self, records: Sequence[Any]) -> tuple[list[Any], Refused]:
        """*records*, which are mappings, with their values as the schema has them; and those that do not fit."""
        bad: Refused = {}
        made: list[Any] = [dict(record) if isinstance(record, Mapping) else None for record in records]
        for index, record in enumerate(records):
            if made[index] is None:
                bad[index] = [Misfit(None, record, "It is no record")]
        for field in self._schema:
            given = [None if one is None else one.get(field.name) for one in made]
            values, refused = self._values(field, given)
            for index, why in refused.items():
                if made[index] is not None:
                    bad.setdefault(index, []).append(self._told(field, made[index], why[0]))
            for one, value in zip(made, values, strict=True):
                if one is not None:
                    one[field.name] = value
        return [None if index in bad else one for index, one in enumerate(made)], dict(sorted(bad.items()))

    def _told(self, field: Any, record: Mapping[str, Any], why: Misfit) -> Misfit:
        return why if field.name in record else Misfit(field.name, None, MISSING)

    def values(self, made: Any) -> dict[str, Any]:
        """What `validated` made of a mapping."""
        found: dict[str, Any] = made
        return found

    def accepts(self, field: str, value: Any) -> Any:
        """*value* as the field has it. Raises `ValueError` where it does not fit."""
        one = self._schema.field(field)
        if value is None and not one.nullable:
            raise ValueError(_NULL)
        return self._cast(value, one.type)

    def default(self, field: str) -> Nothing | None:
        """What a record that lacks *field* has there: null, where that may be."""
        return None if self._schema.field(field).nullable else LACKING

    def _values(self, field: Any, given: Sequence[Any]) -> tuple[Sequence[Any], Refused]:
        if field.nullable or None not in given:
            try:
                array = self._arrow.array(given)
                return (given if array.type == field.type else array.cast(field.type).to_pylist()), {}
            except self._errors:
                pass  # one after the other
        made: list[Any] = []
        bad: Refused = {}
        for index, value in enumerate(given):
            try:
                made.append(self.accepts(field.name, value))
            except self._errors as error:
                made.append(None)
                bad[index] = [Misfit(field.name, value, _why(error))]
        return made, bad

    def _cast(self, value: Any, kind: Any) -> Any:
        arrow = self._arrow
        try:
            scalar = arrow.scalar(value)
            return value if scalar.type == kind else scalar.cast(kind).as_py()
        except self._errors:
            if isinstance(value, str | int | float | bool):
                raise
        array = arrow.array([value], kind)  # what has no type of its own that leads there: some of a struct's fields
        return array.to_pylist()[0]

    # --- columns ---

    def column(self, field: str, column: Any) -> tuple[Any, Refused]:
        """A column as the field has it, and what of it does not fit."""
        one = self._schema.field(field)
        bad: Refused = {}
        if not one.nullable and column.null_count:
            nulls = self._arrow.compute.is_null(column)
            rows = self._arrow.compute.indices_nonzero(nulls).to_pylist()
            bad = {row: [Misfit(field, None, _NULL)] for row in rows}
        if column.type == one.type:
            return column, bad
        try:
            return column.cast(one.type), bad
        except self._errors:
            found = _uncastable(column.combine_chunks(), one.type, self._errors)
        bad |= {row: [Misfit(field, column[row].as_py(), why)] for row, why in found.items()}
        mask = [row in found for row in range(len(column))]
        kept = self._arrow.compute.if_else(self._arrow.array(mask), None, column)
        return kept.cast(one.type), dict(sorted(bad.items()))


def _uncastable(array: Any, kind: Any, errors: tuple[type[BaseException], ...]) -> dict[int, str]:
    """The rows of *array* that cannot be cast, with the reasons. Halves are tried, so that few of them are quick."""
    found: dict[int, str] = {}
    left = [(0, len(array))]
    while left:
        begin, length = left.pop()
        try:
            array.slice(begin, length).cast(kind)
        except errors as error:
            if length == 1:
                found[begin] = _why(error)
                continue
            half = length // 2
            left += [(begin, half), (begin + half, length - half)]
    return found


def _why(error: BaseException) -> str:
    return str(error).partition("\n")[0].rstrip(".")
