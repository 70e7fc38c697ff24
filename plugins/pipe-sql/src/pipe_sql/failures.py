"""What goes wrong in a database, in words that hold neither passwords nor what is in records."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

_SHOWN: Final = ("08", "23", "28", "3D", "3F", "42", "53", "55", "57", "25", "40")
"""Classes of PostgreSQL's error codes whose messages name tables, columns and constraints, but no values."""
_GONE: Final = "57014", "57P01", "57P02", "57P03"


class DatabaseError(Exception):
    """What a database, or the way to it, answered instead of doing what it was asked.

    Attributes:
        reason: In one sentence, without secrets.
        missing: Whether what was asked for does not exist.
        constraint: Whether a rule of the table was broken.
    """

    def __init__(self, reason: str, *, missing: bool = False, constraint: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason.rstrip(".")
        self.missing = missing
        self.constraint = constraint


FAILURES: Final[tuple[type[Exception], ...]] = (SQLAlchemyError, sqlite3.Error, OverflowError, UnicodeError)
"""What executing a statement may raise. (An overflow or a half character is found by the driver.)"""


def understood(error: Exception, secrets: tuple[str, ...] = ()) -> DatabaseError:
    """The error of a driver, in our words. The text never holds the parameters of a statement."""
    original: Any = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        return _of_sqlite(original)
    if hasattr(original, "diag"):
        return _of_postgres(original, secrets)
    return DatabaseError(f"{type(original).__name__}: a value does not fit its column")


def _of_sqlite(error: sqlite3.Error) -> DatabaseError:
    text = str(error)
    if "locked" in text:
        text += " by another connection. Wait for its transaction to end, or raise the option timeout"
    return DatabaseError(
        text, missing=text.startswith("no such table"), constraint=isinstance(error, sqlite3.IntegrityError)
    )


def _of_postgres(error: Any, secrets: tuple[str, ...]) -> DatabaseError:
    code = error.sqlstate
    kind = type(error).__name__
    if code is None:  # the connection failed, or broke
        return DatabaseError(_hidden(" ".join(str(error).split()) or kind, secrets), missing=_absent(str(error)))
    if code == "55P03":
        return DatabaseError("a lock that another connection holds was waited for too long. Raise the option timeout")
    if code.startswith(_SHOWN) or code in _GONE:
        text = _hidden(error.diag.message_primary or kind, secrets)
        return DatabaseError(text, missing=code in ("42P01", "3D000"), constraint=code.startswith("23"))
    column = f" (column '{error.diag.column_name}')" if error.diag.column_name else ""
    return DatabaseError(f"{kind}, error {code} of PostgreSQL{column}")


def _absent(text: str) -> bool:
    return "database" in text and "does not exist" in text


def _hidden(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
