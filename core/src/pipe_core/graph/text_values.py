"""From text that a person types to a value of a type, and from a value to plain data."""

from __future__ import annotations

import collections.abc
import dataclasses
import json
import math
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from pipe_core.graph.annotations import UNKNOWN
from pipe_core.graph.errors import GraphError

_READ_ONCE: Final = (collections.abc.Iterable, collections.abc.Iterator, collections.abc.Generator)


class TextError(GraphError):
    """A text does not say a value of the type that is wanted."""


class TextReader:
    """Reads values of one type from text.

    Numbers, truth values, dates, paths and words are written as they are; lists, dictionaries and models as JSON. Where
    there is no type, text that is JSON is that, and any other text is itself.

    Args:
        kind: The type.

    Raises:
        TextError: No text can be a value of it.
    """

    def __init__(self, kind: Any) -> None:
        self._adapter: TypeAdapter[Any] | None = None
        if typing.get_origin(kind) in _READ_ONCE:
            kind = list[typing.get_args(kind)[0]]  # type: ignore[misc]  # several nodes may read it
        if kind in (UNKNOWN, Any, object) or isinstance(kind, typing.TypeVar):
            return
        try:
            self._adapter = TypeAdapter(kind)
        except Exception as error:  # whatever somebody's type does when it is looked at
            raise TextError(f"no text can be one: {type(error).__name__}") from error

    def read(self, text: str) -> Any:
        """The value that *text* says.

        Raises:
            TextError: It says none of this type.
        """
        if self._adapter is None:
            return _json_or_text(text)
        try:
            return self._adapter.validate_strings(text)
        except ValidationError as error:
            try:
                return self._adapter.validate_json(text)
            except ValidationError as as_json:
                raise TextError(_why(as_json if text.lstrip()[:1] in ("[", "{", '"') else error)) from None

    def many(self, text: str) -> list[Any]:
        """Several values: a JSON list, or ``@`` and a file: a list in ``.json``, else one value on each line.

        Raises:
            TextError: It is no list, the file cannot be read, or one value is not of this type.
        """
        if not text.startswith("@"):
            return [self._item(number, one) for number, one in enumerate(_list(text))]
        path = Path(text[1:])
        try:
            content = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TextError(f"the file '{path}' cannot be read: {error}") from None
        if path.suffix.lower() == ".json":
            return [self._item(number, one) for number, one in enumerate(_list(content))]
        return list(self._lines(content, is_json=path.suffix.lower() in (".jsonl", ".ndjson")))

    def _lines(self, content: str, *, is_json: bool) -> Iterator[Any]:
        for number, line in enumerate(content.split("\n"), 1):
            line = line.removesuffix("\r")
            if line.strip():
                try:
                    yield self._of_json(json.loads(line)) if is_json else self.read(line)
                except (TextError, ValueError) as error:
                    raise TextError(f"line {number}: {error}") from None

    def _item(self, number: int, value: Any) -> Any:
        try:
            return self._of_json(value)
        except TextError as error:
            raise TextError(f"item {number}: {error}") from None

    def _of_json(self, value: Any) -> Any:
        if self._adapter is None:
            return value
        try:
            return self._adapter.validate_json(json.dumps(value))
        except ValidationError as error:
            raise TextError(_why(error)) from None


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _list(text: str) -> list[Any]:
    found = _json_or_text(text)
    if not isinstance(found, list):
        raise TextError("it wants a JSON list, such as [1, 2], or @ and a file with a value on each line")
    return found


def _why(error: ValidationError) -> str:
    """What is wrong with the first thing that is."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


def plain(value: Any) -> Any:
    """*value* as JSON knows it; what JSON does not know as the text of its repr."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(plain(key)): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    return repr(value)
