"""TOML as configuration: bounded, dates as text, with the line of every value.

The standard library's parser does not tell lines, so what it has accepted is gone through once more for them.
"""

from __future__ import annotations

import re
import tomllib
from datetime import date, time
from pathlib import Path
from typing import Any, Final

from pipe_core.project.document import MAX_DEPTH, Document, Place, config_error, read_text

_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DEEP: Final = re.compile(rf"(?m)(?:^[ \t]*(?:\[{{1,2}}[ \t]*)?|[{{,][ \t]*)(?:{_KEY}[ \t]*\.[ \t]*){{{MAX_DEPTH}}}")
_LINE: Final = re.compile(r"at line (\d+)")


def load_toml(path: str | Path) -> Document:
    """Read the file at *path*.

    Raises:
        ConfigError: It is missing, too large, not UTF-8, no TOML, or has a key twice; says in which line.
    """
    path = Path(path)
    text = read_text(path).replace("\r\n", "\n")
    if deep := _DEEP.search(text):  # the parser takes the square of the time for these
        line = text.count("\n", 0, deep.end()) + 1
        raise config_error(path, line, f"this is nested deeper than {MAX_DEPTH} levels")
    try:
        value = _plain(path, tomllib.loads(text), 0)
    except tomllib.TOMLDecodeError as error:
        at = _LINE.search(str(error))
        reason = str(error).partition(" (at ")[0]
        line = int(at.group(1)) if at else text.count("\n") + 1
        raise config_error(path, line, f"this is no TOML: {reason[:1].lower()}{reason[1:]}") from None
    except (ValueError, RecursionError) as error:
        raise config_error(path, None, f"this is no TOML for a configuration: {error}") from None
    return Document(path, value or None, _Lines(text).found())


def _plain(path: Path, value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise config_error(path, None, f"this is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {key: _plain(path, inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(path, inner, depth + 1) for inner in value]
    return value.isoformat() if isinstance(value, date | time) else value


class _Lines:
    """Where keys and items begin, in text that is known to be TOML."""

    _SPACE: Final = re.compile(r"[ \t]*")
    _BLANK: Final = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
    _PART: Final = re.compile(_KEY)
    _TEXT: Final = re.compile(
        r'''(?s:"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?'{3,5})|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^,\]}#\n]+'''
    )

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counted = (0, 1)
        self._lines: dict[Place, int] = {(): 1}
        self._tables: dict[Place, int] = {}

    def found(self) -> dict[Place, int]:
        """The lines of all keys and items."""
        base: Place = ()
        while self._skip(self._BLANK) < len(self._text):
            start = self._at
            if self._text.startswith("[", self._at):
                base = self._header()
            else:
                self._pair(base)
            if self._at == start:  # nothing that is known here
                break
        return self._lines

    def _header(self) -> Place:
        many = self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        self._skip(self._SPACE)
        place: Place = ()
        keys = self._keys()
        for key in keys:
            place = (*place, key)
            self._mark(place)
            if place in self._tables and not (many and len(keys) == sum(isinstance(part, str) for part in place)):
                place = (*place, self._tables[place])
        self._skip(self._SPACE)
        self._at += 2 if many else 1
        if many:
            self._tables[place] = self._tables.get(place, -1) + 1
            place = (*place, self._tables[place])
            self._mark(place)
        return place

    def _pair(self, base: Place) -> None:
        place = base
        for key in self._keys():
            place = (*place, key)
            self._mark(place)
        self._skip(self._SPACE)
        if self._text.startswith("=", self._at):
            self._at += 1
            self._value(place)

    def _keys(self) -> list[str]:
        keys = []
        while part := self._PART.match(self._text, self._at):
            keys.append(_name(part.group()))
            self._at = part.end()
            self._skip(self._SPACE)
            if not self._text.startswith(".", self._at):
                break
            self._at += 1
            self._skip(self._SPACE)
        return keys

    def _value(self, place: Place) -> None:
        self._skip(self._SPACE)
        if self._text.startswith("[", self._at):
            self._inside("]", lambda index: self._item(place, index))
        elif self._text.startswith("{", self._at):
            self._inside("}", lambda index: self._pair(place))
        else:
            self._skip(self._TEXT)

    def _item(self, place: Place, index: int) -> None:
        self._mark((*place, index))
        self._value((*place, index))

    def _inside(self, end: str, read: Any) -> None:
        self._at += 1
        index = 0
        while self._skip(self._BLANK) < len(self._text) and not self._text.startswith(end, self._at):
            start = self._at
            read(index)
            index += 1
            self._skip(self._BLANK)
            if self._text.startswith(",", self._at):
                self._at += 1
            if self._at == start:
                return
        self._at += 1

    def _mark(self, place: Place) -> None:
        if place not in self._lines:
            start, line = self._counted
            self._counted = (self._at, line + self._text.count("\n", start, self._at))
            self._lines[place] = self._counted[1]

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._at


def _name(part: str) -> str:
    if part[0] == '"':
        return str(next(iter(tomllib.loads(f"{part} = 1"))))
    return part[1:-1] if part[0] == "'" else part
