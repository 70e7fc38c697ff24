"""The journal of a run: a line of JSON for all that happens, written by the process that drives it.

Lines are in the hands of the system when `Journal.write` returns: they outlive the process. With ``durable=True`` they
outlive a loss of power.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring_ascii as _text
from pathlib import Path
from time import gmtime, strftime, time_ns
from types import TracebackType
from typing import Any, Final, Self

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)

_encoded: Final = json.JSONEncoder(default=str, separators=(",", ":")).encode


class Journal:
    """Appends to the journal at *path*. A last line that a killed run left half written is ended first."""

    def __init__(self, path: Path) -> None:
        self._second = 0, ""  # the last one, and how it is written
        self._number = os.open(path, _FLAGS, 0o666)
        if _is_torn(path):
            os.write(self._number, b"\n")

    def write(self, event: str, *, durable: bool = False, **facts: Any) -> None:
        """Append a line: the *event*, the time, and what is known of it."""
        said = "".join([f",{_text(key)}:{_json(value)}" for key, value in facts.items()])
        data = f'{{"event":{_text(event)},"time":"{self._now()}"{said}}}\n'.encode("ascii")
        while data:
            data = data[os.write(self._number, data) :]
        if durable:
            os.fsync(self._number)

    def _now(self) -> str:
        """The time as ISO 8601, UTC, with milliseconds."""
        second, rest = divmod(time_ns(), 1_000_000_000)
        known, text = self._second
        if second != known:  # many lines have the same one
            text = strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))
            self._second = second, text
        return f"{text}.{rest // 1_000_000:03}+00:00"

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


def _json(value: Any) -> str:
    # What most facts are is written without an encoder: each call of one costs as much as the rest of the line.
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind is int or (kind is float and math.isfinite(value)):
        return repr(value)
    if kind is list and not value:
        return "[]"
    return _encoded(value)


def _is_torn(path: Path) -> bool:
    with open(path, "rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
