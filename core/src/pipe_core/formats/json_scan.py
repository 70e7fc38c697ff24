"""Finds the records of a JSON file, without parsing them and without holding the file.

A record is cut out by its brackets and strings alone. Whether it is JSON is for its parser to say, so that a bad
record is one rejection. Only what is broken between the records ends the source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pydantic_core import from_json

from pipe_core.formats.group import Group
from pipe_core.formats.json_cursor import STRING, JsonCursor
from pipe_core.formats.rejections import record_too_large, shown
from pipe_core.kernel.contracts import Rejection


def _container(depth: int) -> bytes:
    inner = rb"|" + _container(depth - 1) if depth else b""
    return rb'[\[{](?:[^{}\[\]"]++|' + STRING + inner + rb")*+[\]}]"


# A shallow element and what follows it, in one step. Deep ones, and those that are not all here, take the slow way.
_SHALLOW: Final = re.compile(
    rb"[ \t\r\n]*+(" + _container(3) + rb"|" + STRING + rb'|[^\s,:\[\]{}"]++)[ \t\r\n]*+([,\]])', re.DOTALL
)
_NOTHING: Final = Rejection("BadJson", "There is no value between two commas.", "")


class JsonScan:
    """The records of a JSON file: the elements of an array, or one value.

    Args:
        cursor: At the beginning of the file.
        prefix: The names that lead to the array through objects.
        longest: A record of more bytes is rejected.
    """

    def __init__(self, cursor: JsonCursor, prefix: tuple[str, ...], longest: int) -> None:
        self._cursor = cursor
        self._prefix = prefix
        self._longest = longest

    def groups(self) -> Iterator[Group[bytes]]:
        """The records that each block of bytes brought. Raises `BrokenJson`, or what the stream raises."""
        for name in self._prefix:
            self._enter(name)
        if self._cursor.peek() == b"[":
            self._cursor.at += 1
            yield from self._elements()
        else:
            yield self._whole() if self._prefix else self._one()
        for name in reversed(self._prefix):
            self._leave(name)
        if self._cursor.peek():
            raise self._cursor.broken("something follows the end. JSON lines have the format jsonl. It is")

    def _elements(self) -> Iterator[Group[bytes]]:
        cursor = self._cursor
        last = cursor.peek() == b"]"
        cursor.at += last
        while not last:
            found, last = self._held()
            if found.items:
                yield found
            if not last:
                yield self._whole() if cursor.peek() not in (b",", b"]") else Group([b""], {0: _NOTHING})
                last = cursor.peek() == b"]"
                cursor.expect(b"]" if last else b",")

    def _held(self) -> tuple[Group[bytes], bool]:
        """The shallow elements that are all here, and whether the array ended behind them."""
        cursor = self._cursor
        data, at, found, last = cursor.data, cursor.at, list[bytes](), False
        while not last and (match := _SHALLOW.match(data, at)) is not None:
            element, mark = match.groups()
            if len(element) > self._longest:
                break
            found.append(element)
            at, last = match.end(), mark == b"]"
        cursor.at = at
        return Group(found), last

    def _whole(self) -> Group[bytes]:
        """A value behind which something must come: a number that the file ends with is half of one."""
        one = self._one()
        if self._cursor.ended and one.items[0][-1:] not in (b"}", b"]", b'"', b""):
            raise self._cursor.broken("a value does not end")
        return one

    def _one(self) -> Group[bytes]:
        value, length = self._cursor.value(self._longest)
        if length <= self._longest:
            return Group([value])
        return Group([b""], {0: record_too_large(length, self._longest, value)})

    def _enter(self, name: str) -> None:
        """Goes to the value of *name* in the object that begins here."""
        self._cursor.expect(b"{")
        if self._cursor.peek() != b"}":
            while self._key() != name:
                self._cursor.value(0)
                if self._cursor.peek() == b"}":
                    break
                self._cursor.expect(b",")
            else:
                return
        raise self._cursor.broken(f"the object has no {name!r}, which the prefix names, and ends")

    def _leave(self, name: str) -> None:
        """Goes behind the object that we are in, out of the value of *name*."""
        while self._cursor.peek() == b",":
            self._cursor.at += 1
            if self._key() == name:  # what it holds would be lost
                raise self._cursor.broken(f"the prefix names {name!r}, which is there twice. The second one ends")
            self._cursor.value(0)
        self._cursor.expect(b"}")

    def _key(self) -> str:
        value, length = self._cursor.value(self._longest)
        if length > self._longest:
            raise self._cursor.broken("a key is too long")
        try:
            key: object = from_json(value)
        except ValueError:
            key = None
        if not isinstance(key, str):
            raise self._cursor.broken(f"{shown(value[:100])!r} is no key. It ends")
        self._cursor.expect(b":")
        return key
