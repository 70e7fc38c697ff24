"""YAML as configuration files need it: plain data, bounded, with the line of every value.

Less than YAML: no tags, no key twice, one document. Words mean what they mean in YAML 1.2: only ``true`` and ``false``
are booleans (``no`` is a word), and ``012``, ``1:30`` and ``2024-01-01`` are text.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from pipe_core.kernel.errors import ConfigError
from pipe_core.project.document import MAX_BYTES as MAX_BYTES
from pipe_core.project.document import MAX_DEPTH as MAX_DEPTH
from pipe_core.project.document import Document as Document
from pipe_core.project.document import Place as Place
from pipe_core.project.document import config_error, read_text
from pipe_core.project.document import dotted as dotted

MAX_ALIASES: Final = 100
MAX_VALUES: Final = 50_000
"""Values in a file, those behind an alias counted each time they are used."""

_QUICK: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The parser of libyaml, several times as fast. What it refuses is read again by the one whose messages are known."""


def load_yaml(path: str | Path) -> Document:
    """Read the file at *path*.

    Raises:
        ConfigError: It is missing, too large, not UTF-8 or not the YAML described above; says in which line.
    """
    path = Path(path)
    text = read_text(path)
    try:
        try:
            return _document(path, text, _QUICK)
        except _Refused:
            raise
        except yaml.YAMLError:
            return _document(path, text, yaml.SafeLoader)
    except _Refused as error:
        raise config_error(path, error.line, str(error)) from None
    except yaml.YAMLError as error:
        raise _no_yaml(path, text, error) from None


def _document(path: Path, text: str, parser: Any) -> Document:
    node = _Composer(yaml.parse(text, Loader=parser)).document()
    return Document(path, None, {}) if node is None else Document(path, node.value, dict(_lines(node)))


def _no_yaml(path: Path, text: str, error: yaml.YAMLError) -> ConfigError:
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return config_error(path, line, f"the character {chr(int(error.character))!a} is not allowed in YAML")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return config_error(path, mark.line + 1 if mark else None, _plain_words(error))


class _Refused(yaml.YAMLError):
    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class _Node(NamedTuple):
    """A value and what is known of it.

    Attributes:
        value: The value.
        line: Where it begins.
        weight: How many values it stands for: those behind an alias count each time.
        text: Of a scalar, as it is written; else None.
        inner: What is in it: keys or indexes, the line of each and its node.
    """

    value: Any
    line: int
    weight: int
    text: str | None = None
    inner: tuple[tuple[str | int, int, Any], ...] = ()


class _Composer:
    """Makes values of a parser's events, and refuses while it reads."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._depth = 0
        self._aliases = 0
        self._values = 0
        self._anchors: dict[str, _Node | None] = {}

    def document(self) -> _Node | None:
        """The only document; None where there is none."""
        next(self._events)  # the stream starts
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        node = self._node(next(self._events))
        next(self._events)  # the document ends
        more = next(self._events)
        if not isinstance(more, yaml.StreamEndEvent):
            text = "a second document ('---'). A configuration file holds one"
            raise _Refused(text, more.start_mark.line + 1)
        return node

    def _node(self, event: Any) -> _Node:
        """One value and what is in it, within the limits."""
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor, line)
        if event.tag is not None:
            raise _Refused(f"the tag {event.tag!r} is not allowed: a file holds plain data. Quote text instead", line)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _Refused(f"this is nested deeper than {MAX_DEPTH} levels", line)
        if event.anchor is not None:
            if event.anchor in self._anchors:
                raise _Refused(f"there are two values with the anchor &{event.anchor}", line)
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = _Node(_scalar(event), line, 1, event.value)
        else:
            node = self._list(line) if isinstance(event, yaml.SequenceStartEvent) else self._mapping(line)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        self._depth -= 1
        self._values += 1
        if node.weight > MAX_VALUES or self._values > MAX_VALUES:
            raise _Refused(f"the file stands for more than {MAX_VALUES} values", line)
        return node

    def _alias(self, anchor: str | None, line: int) -> _Node:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise _Refused(f"there are more than {MAX_ALIASES} aliases (*{anchor})", line)
        if anchor is None or anchor not in self._anchors:
            raise _Refused(f"*{anchor} names nothing: no value before it has the anchor &{anchor}", line)
        node = self._anchors[anchor]
        if node is None:
            raise _Refused(f"*{anchor} stands inside the value that it names, which would never end", line)
        return node

    def _list(self, line: int) -> _Node:
        nodes: list[_Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            nodes.append(self._node(event))
        inner = tuple((index, node.line, node) for index, node in enumerate(nodes))
        return _Node([node.value for node in nodes], line, 1 + sum(node.weight for node in nodes), inner=inner)

    def _mapping(self, line: int) -> _Node:
        """A mapping without the same key twice."""
        own: dict[Hashable, tuple[_Node, _Node]] = {}
        weight = 1
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event)
            if key.value == "<<" and getattr(event, "implicit", (False,))[0]:
                key = key._replace(value=_MERGE)
            if key.text is None:
                raise _Refused("a key must be a word or a number", key.line)
            if key.value in own:
                first = own[key.value][0].line
                raise _Refused(f"the key '{key.text}' is here twice; the first is in line {first}", key.line)
            value = self._node(next(self._events))
            own[key.value] = (key, value)
            weight += key.weight + value.weight
        merged = own.pop(_MERGE, None)
        entries = {} if merged is None else _merged(*merged)
        for key, value in own.values():
            entries.pop(key.value, None)
            entries[key.value] = (key.text or "", key.line, value)
        plain = {key: value.value for key, (_, _, value) in entries.items()}
        return _Node(plain, line, weight, inner=tuple(entries.values()))


class _Merge:
    """The key ``<<``."""

    __slots__ = ()


_MERGE: Final = _Merge()


def _merged(key: _Node, value: _Node) -> dict[Hashable, tuple[str | int, int, _Node]]:
    """What ``<<`` brings into a mapping: of several mappings, the first that has a key."""
    nodes = [value] if isinstance(value.value, dict) else [node for _, _, node in value.inner]
    if (not nodes and not isinstance(value.value, list)) or not all(isinstance(one.value, dict) for one in nodes):
        raise _Refused("'<<' merges mappings: name one, or a list of them", key.line)
    found: dict[Hashable, tuple[str | int, int, _Node]] = {}
    for node in reversed(nodes):
        found.update(zip(node.value, node.inner, strict=True))
    return found


_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(?:0|[1-9][0-9]{0,300})|0x[0-9a-fA-F]{1,200}|0o[0-7]{1,200}", "-+0123456789"),
    "float": (
        r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    "null": (r"~|null|Null|NULL|", "~nN\0"),
}
_BY_FIRST: Final[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}
for _kind, (_pattern, _letters) in _WORDS.items():
    for _letter in _letters:
        _BY_FIRST.setdefault(_letter, []).append((_kind, re.compile(_pattern)))


def _scalar(event: Any) -> Any:
    text: str = event.value
    if not event.implicit[0]:
        return text
    for kind, pattern in _BY_FIRST.get(text[0] if text else "\0", ()):
        if pattern.fullmatch(text):
            return _word(kind, text)
    return text


def _word(kind: str, text: str) -> Any:
    if kind == "int":
        return int(text, 0)
    if kind == "float":
        return float(text.lower().replace(".", "") if text[-1].isalpha() else text)
    if kind == "bool":
        return text.lower() == "true"
    return None


def _lines(node: _Node, place: Place = ()) -> Iterator[tuple[Place, int]]:
    if not place:
        yield place, node.line
    for key, line, child in node.inner:
        inner = (*place, key)
        yield inner, line
        if child.inner:
            yield from _lines(child, inner)


_HINTS: Final = (
    ("mapping values are not allowed", "a colon where none can stand. Quote text that holds ': '"),
    ("sequence entries are not allowed", "a '-' where no list can begin. Quote it where it is a value: '-'"),
    ("cannot start any token", "{problem}. Indent with spaces, and quote text that begins with a special character"),
    ("could not find expected ':'", "a key without a ':' behind it"),
    ("expected <block end>", "this line is indented in another way than those above it"),
    ("expected ',' or", "a list or mapping in brackets that is not closed, or lacks a comma"),
    ("expected the node content", "a value is missing, or a bracket is not closed"),
    ("end of stream", "a quote or bracket that is never closed"),
)


def _plain_words(error: yaml.YAMLError) -> str:
    problem = str(getattr(error, "problem", None) or getattr(error, "context", None) or "this is no YAML")
    for known, words in _HINTS:
        if known in problem:
            return words.format(problem=problem)
    return problem
