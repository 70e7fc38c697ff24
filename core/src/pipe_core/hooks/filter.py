"""The hook `filter`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipe_core.hooks.condition import NOT_GIVEN, Condition
from pipe_core.hooks.fields import record_of
from pipe_core.hooks.functions import call, check_function
from pipe_core.hooks.options import Operator
from pipe_core.kernel.errors import OptionsError
from pipe_core.records.entry import Entry
from pipe_core.records.hooks import HookPriority
from pipe_core.records.store import HookStore


class FilterHook:
    """Keeps the records for which a condition holds, and drops the others.

    A record that cannot be compared, because the field is missing or of another type, fails: it is not dropped.

    Args:
        condition: ``condition(entry, store)``, true for what is kept. In place of the other three.
        field: The field to look at.
        op: How to compare: ``eq, ne, lt, le, gt, ge, in, not_in, contains, matches, exists``; see `Condition`.
        value: What to compare with.
        priority: When it runs among the hooks of its side.

    Raises:
        OptionsError: There is no condition, or two, or one that makes no sense.
    """

    def __init__(
        self,
        condition: Callable[[Entry, HookStore], Any] | None = None,
        *,
        field: str | None = None,
        op: Operator = "eq",
        value: Any = NOT_GIVEN,
        priority: int = HookPriority.NORMAL,
    ) -> None:
        if (condition is None) is (field is None) or (field is None and value is not NOT_GIVEN):
            raise OptionsError("FilterHook needs either a condition(entry, store), or a field with an op and a value.")
        if condition is not None:
            check_function(condition, "FilterHook: the condition")
        self.priority = priority
        self._function = condition
        self._condition = Condition(field, op, value) if field is not None else None

    def __call__(self, entry: Entry, store: HookStore) -> list[Entry] | None:
        """Nothing to keep the entry, an empty list to drop it."""
        return None if self._holds(entry, store) else []

    def _holds(self, entry: Entry, store: HookStore) -> bool:
        if self._condition is not None:
            return self._condition.holds(record_of(entry))
        return bool(call(self._function, entry, store, "the condition"))
