"""JSON as configuration: no key twice, bounded, with the line of every value."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from pipe_core.project.document import MAX_DEPTH, Document, Place, config_error, read_text
from pipe_core.project.yaml_loader import MAX_VALUES

_TOKEN: Final = re.compile(r'[ \t\r\n]*(?:("(?:[^"\\\n]|\\.)*")|([{}\[\],:])|([^\s{}\[\],:"]+))')


def load_json(path: str | Path) -> Document:
    """Read the file at *path*.

    Raises:
        ConfigError: It is missing, too large, not UTF-8, no JSON, or has a key twice; says in which line.
    """
    path = Path(path)
    text = read_text(path)
    if not text.strip():
        return Document(path, None, {})
    lines = _Lines(path, text).found()
    try:
        return Document(path, json.loads(text, parse_constant=_refuse), lines)
    except json.JSONDecodeError as error:
        raise config_error(path, error.lineno, f"this is no JSON: {error.msg[:1].lower()}{error.msg[1:]}") from None
    except (ValueError, RecursionError) as error:
        raise config_error(path, None, f"this is no JSON for a configuration: {error}") from None


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


class _Lines:
    """Goes through the text once, in step with what `json` will make of it. Of what is no JSON it says nothing."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text
        self._lines: dict[Place, int] = {(): 1}
        self._stack: list[tuple[Place, bool]] = []
        self._place: Place = ()

    def found(self) -> dict[Place, int]:
        """The lines of all keys and items.

        Raises:
            ConfigError: A key is there twice, or there is too much in it.
        """
        at, line, values, key = 0, 1, 0, False
        while match := _TOKEN.match(self._text, at):
            line += self._text.count("\n", at, match.end())
            at = match.end()
            word, mark, _ = match.groups()
            if mark == ":":
                key = False
                continue
            if mark == ",":
                if not self._stack:
                    break
                self._next()
                key = self._stack[-1][1]
                continue
            if mark in ("}", "]"):
                if not self._stack:
                    break
                self._place, _ = self._stack.pop()
                key = False
                continue
            values += 1
            if values > MAX_VALUES:
                raise config_error(self._path, line, f"the file has more than {MAX_VALUES} values")
            if key and word is not None:
                self._key(word, line)
            elif mark is not None:
                self._open(mark == "{", line)
                key = mark == "{"
            elif self._stack and not self._stack[-1][1]:
                self._lines.setdefault(self._place, line)
        return self._lines

    def _open(self, is_mapping: bool, line: int) -> None:
        if self._stack and not self._stack[-1][1]:
            self._lines.setdefault(self._place, line)
        self._stack.append((self._place, is_mapping))
        if len(self._stack) > MAX_DEPTH:
            raise config_error(self._path, line, f"this is nested deeper than {MAX_DEPTH} levels")
        if not is_mapping:
            self._place = (*self._place, 0)

    def _next(self) -> None:
        outer, is_mapping = self._stack[-1]
        if not is_mapping:
            self._place = (*outer, int(self._place[-1]) + 1)

    def _key(self, word: str, line: int) -> None:
        outer, _ = self._stack[-1]
        try:
            name = json.loads(word)
        except ValueError:
            return
        self._place = (*outer, name)
        if self._place in self._lines:
            text = f"the key '{name}' is here twice; the first is in line {self._lines[self._place]}"
            raise config_error(self._path, line, text)
        self._lines[self._place] = line
