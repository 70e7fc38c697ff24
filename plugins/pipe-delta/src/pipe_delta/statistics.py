"""What the log of a table says of a file: how many records it has, and between which values they are.

Readers leave out files by this, so nothing is said where it is not certain: of floats, among which may be one that is
no number, of decimals, which JSON rounds, and of long text.
"""

from __future__ import annotations

import datetime
import json
from typing import Any, Final

import pyarrow.parquet as pq

_MOST_COLUMNS: Final = 32
_LONGEST: Final = 64


def statistics(path: str) -> str:
    """Those of the Parquet file *path*, as JSON."""
    facts = pq.read_metadata(path)
    least: dict[str, Any] = {}
    most: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for number in range(min(facts.num_columns, _MOST_COLUMNS)):
        name = facts.schema.column(number).path
        if "." in name or facts.schema.column(number).max_repetition_level:
            continue
        found = [facts.row_group(group).column(number).statistics for group in range(facts.num_row_groups)]
        if any(one is None or not one.has_null_count for one in found):
            continue
        nulls[name] = sum(one.null_count for one in found)
        present = [one for one in found if one.has_min_max]
        rows = [facts.row_group(group).num_rows for group in range(facts.num_row_groups)]
        if not present or any(
            not one.has_min_max and one.null_count < count for one, count in zip(found, rows, strict=True)
        ):
            continue
        low, high = _said(min(one.min for one in present)), _said(max(one.max for one in present))
        if low is not None and high is not None:
            least[name], most[name] = low, high
    return json.dumps({"numRecords": facts.num_rows, "minValues": least, "maxValues": most, "nullCount": nulls})


def _said(value: Any) -> Any:
    """A value as the log says it; None where it had better say nothing."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else None
    if isinstance(value, datetime.datetime):
        text = value.replace(tzinfo=None).isoformat("T" if value.tzinfo else " ", "milliseconds")
        return f"{text}Z" if value.tzinfo else text
    return value.isoformat() if isinstance(value, datetime.date) else None
