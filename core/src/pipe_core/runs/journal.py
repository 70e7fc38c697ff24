"""The journal of a run: a line of JSON for all that happens, written by the process that drives it.

Lines are in the hands of the system when `Journal.write` returns: they outlive the process. With ``durable=True`` they
outlive a loss of power.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


_encoded: Final = json.JSONEncoder(default=str, separators=(",", ":")).encode  # made once: a line is written quickly


class Journal:
    """Appends to the journal at *path*. A last line that a killed run left half written is ended first."""

    def __init__(self, path: Path) -> None:
        self._number = os.open(path, _FLAGS, 0o666)
        if _is_torn(path):
            os.write(self._number, b"\n")

    def write(self, event: str, *, durable: bool = False, **facts: Any) -> None:
        """Append a line: the *event*, the time, and what is known of it."""
        line = {"event": event, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), **facts}
        data = _encoded(line).encode() + b"\n"
        while data:
            data = data[os.write(self._number, data) :]
        if durable:
            os.fsync(self._number)

    def close(self) -> None:
        """Close the file."""
        number, self._number = self._number, -1
        if number >= 0:
            os.close(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def read_journal(path: Path) -> list[dict[str, Any]]:
    """All lines of a journal. What is no whole line is left out: its writer was killed. Nothing where there is none."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    found = []
    for line in data.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            found.append(event)
    return found


def last_statuses(events: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The last that was written of each node."""
    return {event["node"]: event for event in events if event.get("event") == "node" and "node" in event}


def _is_torn(path: Path) -> bool:
    with open(path, "rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
