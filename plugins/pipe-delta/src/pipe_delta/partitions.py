"""Values of partitions as the log of a table has them."""

from __future__ import annotations

import datetime
from typing import Any


def partition_text(value: Any) -> str | None:
    """A value of a partition as the log of a table has it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.UTC).replace(tzinfo=None)
        text: str = value.isoformat(" ", "microseconds")
        return text
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value)
