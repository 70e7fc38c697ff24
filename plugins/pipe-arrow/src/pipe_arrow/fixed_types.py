"""Types of columns that somebody gave, and values that fit them without losing anything."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.types as types

from pipe_arrow.python_values import values
from pipe_core.kernel.errors import OptionsError


def fixed_types(given: Mapping[str, Any]) -> dict[str, pa.DataType]:
    """The types of the option `types`. Raises `OptionsError` for one that Arrow does not know."""
    found = {}
    for name, kind in given.items():
        try:
            found[name] = kind if isinstance(kind, pa.DataType) else pa.type_for_alias(kind)
        except (ValueError, TypeError) as error:
            raise OptionsError(
                f"types has {kind!r} for the column {name!r}, which is no type that Arrow knows by name. Give one like "
                f"'int32', 'timestamp[us]' or 'string', or a pyarrow.DataType.",
                problems={"types": str(error)},
            ) from None
    return found


_OWN: Final[Mapping[pa.DataType, type]] = {
    pa.bool_(): bool,
    pa.int64(): int,
    pa.float64(): float,
    pa.string(): str,
    pa.binary(): bytes,
    pa.date32(): datetime.date,
}
"""Types that hold every plain value of a type of Python."""


class FixedType:
    """Checks the values of one column.

    Args:
        kind: Its type.
    """

    def __init__(self, kind: pa.DataType) -> None:
        self._kind = kind
        self._own = _OWN.get(kind)
        self._rounds = "float" in str(kind)  # whoever wants short floats wants rounded ones

    def checked(self, value: Any, plain: Callable[[Any], Any]) -> Any:
        """*value* as `pyarrow.array` takes it.

        Args:
            value: Any value.
            plain: Makes plain values.

        Raises:
            ValueError: It is not equal to any value of the type.
        """
        if value is None:
            return None
        if type(value) is self._own:
            return plain(value)
        if types.is_map(self._kind) and isinstance(value, Mapping):
            cell: Any = [(plain(key), plain(item)) for key, item in value.items()]
        else:
            cell = value if type(value) is int else plain(value)
        try:
            back = values(pa.array([cell], self._kind))[0]
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            raise ValueError(f"it does not fit the type {self._kind}: {error}") from None
        if not self._same(back, dict(cell) if types.is_map(self._kind) else cell):
            raise ValueError(f"{value!r:.100} does not fit the type {self._kind}, which would make {back!r:.100} of it")
        return cell

    def _same(self, back: Any, cell: Any) -> bool:
        if isinstance(cell, float) and isinstance(back, float):
            exact = back == cell or (math.isnan(back) and math.isnan(cell))
            return exact or (self._rounds and math.isfinite(back))
        if isinstance(cell, dict) and isinstance(back, dict):
            known = cell.keys() <= back.keys()
            return known and all(self._same(item, cell.get(name)) for name, item in back.items())
        if isinstance(cell, list) and isinstance(back, list):
            return len(cell) == len(back) and all(map(self._same, back, cell))
        return bool(back == cell)
