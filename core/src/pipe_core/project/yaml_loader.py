"""YAML as configuration files need it: plain data, bounded, with the line of every value.

Less than YAML: no tags, no key twice, one document. Words mean what they mean in YAML 1.2: only ``true`` and ``false``
are booleans (``no`` is a word), and ``012``, ``1:30`` and ``2024-01-01`` are text.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from pipe_core.kernel.errors import ConfigError

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 32
MAX_ALIASES: Final = 100
MAX_VALUES: Final = 50_000
"""Values in a file, those behind an alias counted each time they are used."""
MAX_MESSAGE: Final = 1000
"""Letters of an error: a file can hold a word of a million."""

Place: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys and indexes from the top."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a file holds.

    Attributes:
        path: The file.
        value: Its content as plain data; None for an empty file.
        lines: The line of every key and item, the first line being 1.
    """

    path: Path
    value: Any
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int:
        """The line of *place*, or of the nearest thing around it that has one."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def error(self, message: str, *place: str | int) -> ConfigError:
        """An error at *place*, which names file, line and key."""
        line, key = self.line(place), dotted(place)
        where = f"{self.path}, line {line}" + (f", {key}" if key else "")
        return ConfigError(f"{where}: {_short(message)}", path=str(self.path), line=line, key=key or None)


def dotted(place: Place) -> str:
    """*place* as people write it: ``pipe.hooks[0]``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def load_yaml(path: str | Path) -> Document:
    """Read the file at *path*.

    Raises:
        ConfigError: It is missing, too large, not UTF-8 or not the YAML described above; says in which line.
    """
    path = Path(path)
    text = _read(path)
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return Document(path, None, {})
        return Document(path, loader.construct_document(node), dict(_lines(node)))
    except _Refused as error:
        raise _config_error(path, error.line, str(error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _config_error(path, line, f"the character {chr(int(error.character))!a} is not allowed in YAML") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _config_error(path, mark.line + 1 if mark else None, _plain_words(error)) from None
    finally:
        if loader is not None:
            loader.dispose()


def _read(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _config_error(path, None, "this is no file. Name a YAML file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise _config_error(path, None, f"the file cannot be read: {reason}") from error
    if len(data) > MAX_BYTES:
        raise _config_error(path, None, f"the file is larger than {MAX_BYTES >> 20} MiB, too large for a configuration")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _config_error(path, data.count(b"\n", 0, error.start) + 1, "this is not UTF-8 text") from None


class _Refused(yaml.YAMLError):
    def __init__(self, message: str, node_or_event: Any) -> None:
        super().__init__(message)
        self.line = int(node_or_event.start_mark.line) + 1


class _Loader(yaml.SafeLoader):
    """Refuses while it reads, before anything is built of what it has read."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012  # filled below, by PyYAML's own means

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._depth = 0
        self._aliases = 0
        self._unfinished: set[str] = set()
        self._weights: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """One node and what is in it, within the limits."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's stubs leave it out
        if isinstance(event, yaml.AliasEvent):
            self._check_alias(event)
            return super().compose_node(parent, index)
        if event.tag is not None:
            raise _Refused(f"the tag {event.tag!r} is not allowed: a file holds plain data. Quote text instead", event)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _Refused(f"this is nested deeper than {MAX_DEPTH} levels", event)
        self._unfinished.add(event.anchor)
        node = super().compose_node(parent, index)
        self._unfinished.discard(event.anchor)
        self._depth -= 1
        self._weigh(node)
        return node

    def _check_alias(self, event: Any) -> None:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise _Refused(f"there are more than {MAX_ALIASES} aliases (*{event.anchor})", event)
        if event.anchor in self._unfinished:
            raise _Refused(f"*{event.anchor} stands inside the value that it names, which would never end", event)

    def _weigh(self, node: Any) -> None:
        """Count the values in *node* as if every alias were written out: that is what readers of the data meet."""
        weight = 1 + sum(self._weights[id(child)] for child in _children(node))
        if weight > MAX_VALUES or len(self._weights) > MAX_VALUES:
            raise _Refused(f"the file stands for more than {MAX_VALUES} values", node)
        self._weights[id(node)] = weight

    def compose_mapping_node(self, anchor: Any) -> Any:
        """A mapping without the same key twice."""
        node = super().compose_mapping_node(anchor)
        seen: dict[Hashable, int] = {}
        for key, _ in node.value:
            name = self._key(key)
            if name in seen:
                raise _Refused(f"the key '{key.value}' is here twice; the first is in line {seen[name]}", key)
            seen[name] = key.start_mark.line + 1
        return node

    def _key(self, node: Any) -> Hashable:
        if not isinstance(node, yaml.ScalarNode):
            raise _Refused("a key must be a word or a number", node)
        if node.tag == "tag:yaml.org,2002:merge":
            return ("<<",)
        return self.construct_object(node)  # type: ignore[no-any-return]  # a key is whatever its tag makes of it


def _children(node: Any) -> Iterator[Any]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair


_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(?:0|[1-9][0-9]{0,300})|0x[0-9a-fA-F]{1,200}|0o[0-7]{1,200}", "-+0123456789"),
    "float": (
        r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "merge": (r"<<", "<"),
}
for _name, (_pattern, _first) in _WORDS.items():
    _letters = ["" if letter == "\0" else letter for letter in _first]
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(rf"^(?:{_pattern})$"), _letters)


def _lines(node: Any, place: Place = ()) -> Iterator[tuple[Place, int]]:
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield from _lines(child, (*place, index))
    elif isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            inner = (*place, key.value)
            yield from _lines(child, inner)
            yield inner, key.start_mark.line + 1


def _config_error(path: Path, line: int | None, message: str) -> ConfigError:
    where = f"{path}, line {line}" if line else str(path)
    return ConfigError(f"{where}: {_short(message)}.", path=str(path), line=line)


def _short(message: str) -> str:
    """*message* without the middle of whatever a file made too long."""
    return message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE // 2]} … {message[-MAX_MESSAGE // 2 :]}"


_HINTS: Final = (
    ("mapping values are not allowed", "a colon where none can stand. Quote text that holds ': '"),
    ("sequence entries are not allowed", "a '-' where no list can begin. Quote it where it is a value: '-'"),
    ("cannot start any token", "{problem}. Indent with spaces, and quote text that begins with a special character"),
    ("could not find expected ':'", "a key without a ':' behind it"),
    ("expected <block end>", "this line is indented in another way than those above it"),
    ("expected ',' or", "a list or mapping in brackets that is not closed, or lacks a comma"),
    ("expected the node content", "a value is missing, or a bracket is not closed"),
    ("end of stream", "a quote or bracket that is never closed"),
    ("undefined alias", "{problem}: no value before it has that anchor"),
    ("but found another document", "a second document ('---'). A configuration file holds one"),
)


def _plain_words(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem or error.context or "this is no YAML")
    for known, words in _HINTS:
        if known in problem:
            return words.format(problem=problem)
    return problem
