"""A condition on one field of a record, made of plain data, so that a file can say it."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, Final

from pipe_core.hooks.fields import FieldError, read
from pipe_core.hooks.functions import check_word
from pipe_core.hooks.options import Operator
from pipe_core.kernel.errors import OptionsError

NOT_GIVEN: Final = object()


def _is_in(found: Any, value: Any) -> bool:
    return found in value


def _is_not_in(found: Any, value: Any) -> bool:
    return found not in value


def _matches(found: Any, value: re.Pattern[str]) -> bool:
    return value.search(found) is not None


_TESTS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "in": _is_in,
    "not_in": _is_not_in,
    "contains": operator.contains,
    "matches": _matches,
}


class Condition:
    """Whether a field of a record is as it should be.

    Args:
        field: The field to look at.
        op: ``eq, ne, lt, le, gt, ge``; ``in, not_in`` a list; ``contains`` an item or a piece of text; ``matches`` a
            regular expression somewhere in the text; ``exists``, which *value* False turns round.
        value: What to compare with.

    Raises:
        OptionsError: *op* is unknown, or *value* does not fit it.
    """

    def __init__(self, field: str, op: Operator = "eq", value: Any = NOT_GIVEN) -> None:
        self._field = field
        self._op = op
        self._value = _checked(op, value)

    def holds(self, record: Mapping[str, Any]) -> bool:
        """Whether it holds for *record*.

        Raises:
            FieldError: The field is missing, or of a type that cannot be compared with the value.
        """
        if self._op == "exists":
            return (self._field in record) is self._value
        found = read(record, self._field)
        if self._op in ("eq", "ne", "in", "not_in"):
            self._check_alike(found)
        try:
            return bool(_TESTS[self._op](found, self._value))
        except TypeError:
            raise self._unlike(found) from None

    def _check_alike(self, found: Any) -> None:
        # Text is never equal to anything else, so "5" of a CSV file against 5 would quietly drop every record.
        values = self._value if self._op in ("in", "not_in") else (self._value,)
        others = [value for value in values if value is not None]
        if found is not None and others and all(isinstance(found, str) != isinstance(value, str) for value in others):
            raise self._unlike(found)

    def _unlike(self, found: Any) -> FieldError:
        return FieldError(
            f"the field '{self._field}' is of type {type(found).__name__}, and '{self._op}' cannot compare it with a "
            f"value of type {_type_of(self._value)}"
        )


def _type_of(value: Any) -> str:
    if isinstance(value, re.Pattern):
        return "str"
    if isinstance(value, list | tuple | Set):
        return " or ".join(sorted({type(item).__name__ for item in value}))
    return type(value).__name__


def _checked(op: str, value: Any) -> Any:
    check_word(op, Operator, "FilterHook: op")
    if op == "exists":
        return _flag(value)
    if value is NOT_GIVEN:
        raise OptionsError(f"FilterHook: op '{op}' needs a value.", problems={"value": "is missing"})
    if op in ("in", "not_in"):
        return _members(op, value)
    return _pattern(value) if op == "matches" else value


def _flag(value: Any) -> bool:
    if value is NOT_GIVEN:
        return True
    if not isinstance(value, bool):
        raise OptionsError(f"FilterHook: op 'exists' takes true or false, not a {type(value).__name__}.")
    return value


def _members(op: str, value: Any) -> Sequence[Any] | Set[Any]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence | Set):
        raise OptionsError(f"FilterHook: op '{op}' takes a list of values, not a {type(value).__name__}.")
    return value


def _pattern(value: Any) -> re.Pattern[str]:
    try:
        return re.compile(value)
    except (re.error, TypeError) as error:
        raise OptionsError(f"FilterHook: op 'matches' takes a regular expression: {error}.") from error
