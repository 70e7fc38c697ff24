"""The half of the sink that runs on the workers: records become Arrow data, and those that do not fit fail."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any, Final

import pyarrow as pa

from pipe_arrow.plain_values import Dialect
from pipe_arrow.table_encoder import TableEncoder
from pipe_core.kernel.contracts import Serializer
from pipe_delta.rules import Record, Rules

_DELTA: Final = Dialect("Delta", digits=38, lacks=frozenset({datetime.time, datetime.timedelta}))


class DeltaEncoder(TableEncoder):
    """As `TableEncoder`, for tables of Delta Lake.

    Args:
        fixed: Types of columns that are known.
        rules: What the table asks for.
    """

    __slots__ = ("_rules",)

    def __init__(self, fixed: Mapping[str, pa.DataType], rules: Rules) -> None:
        super().__init__(_DELTA, fixed)
        self._rules = rules

    def bind(self, serializer: Serializer) -> Callable[[Any], Record]:
        """A function that makes one row of one value."""
        row, rules = super().bind(serializer), self._rules
        if rules == Rules():
            return row
        check = rules.check
        return lambda value: check(row(value))
