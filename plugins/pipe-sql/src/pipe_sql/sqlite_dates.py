"""Dates in SQLite, which keeps them as text: its own functions would turn offsets into UTC."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Any, Final

WITHIN: Final = "pipe_within"
"""A function of SQL that tells whether a value is a date from a second one on and before a third one."""


def teach_dates(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Let a connection know `WITHIN`."""
    connection.create_function(WITHIN, 3, _within, deterministic=True)
    return connection


def _within(value: Any, start: str, upper: str) -> bool:
    try:
        moment, first, end = map(datetime.fromisoformat, (value, start, upper))
    except (TypeError, ValueError):
        return False
    if (moment.tzinfo is None) != (first.tzinfo is None):
        moment, first, end = (one.replace(tzinfo=None) for one in (moment, first, end))
    return first <= moment < end or first == moment == end
