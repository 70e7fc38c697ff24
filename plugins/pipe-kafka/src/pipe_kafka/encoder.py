"""Messages out of validated values, made on the workers: a key and a value, or a refusal of that record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pipe_core.formats.jsonl_rows import stamped
from pipe_core.kernel.contracts import Serializer
from pipe_core.kernel.index import suggestion
from pipe_kafka.errors import UnsendableError

Row = tuple[bytes | None, bytes | None]
"""The key and the value of a message."""
Payload = list[list[bytes | None]]
"""The keys of some messages, and their values."""
VALUE: Final = "value"
"""The field of a record that is the value of its message, where that is not JSON."""


@dataclass(frozen=True, slots=True)
class KafkaEncoder:
    """Makes messages.

    Attributes:
        value: What a value is.
        key: The field that is the key.
        most: The most bytes that key and value may have together.
    """

    value: Literal["json", "text", "bytes"]
    key: str | None
    most: int

    def bind(self, serializer: Serializer) -> Callable[[Any], Row]:
        """A function that makes the message of one value. It raises `UnsendableError` for what cannot be sent."""
        make = self._json(serializer) if self.value == "json" else self._plain(serializer)

        def row(value: Any) -> Row:
            found = make(value)
            size = sum(len(part) for part in found if part is not None)
            if size > self.most:
                raise UnsendableError(
                    f"the message has {size:,} bytes, and {self.most:,} are the most. 'message.max.bytes' in the "
                    f"option config raises that, as far as the brokers take them"
                )
            return found

        return row

    def stamp(self, position: int, row: Row) -> Row:
        """The message with its position as the first field of its value."""
        key, value = row
        return key, stamped(position, value or b"{}")

    def join(self, rows: Sequence[Row]) -> Payload:
        """The messages of a batch."""
        return [[key for key, _ in rows], [value for _, value in rows]]

    def merge(self, payloads: Sequence[Payload]) -> Payload:
        """The messages of all."""
        keys, values = list[bytes | None](), list[bytes | None]()
        for more_keys, more_values in payloads:
            keys += more_keys
            values += more_values
        return [keys, values]

    def _json(self, serializer: Serializer) -> Callable[[Any], Row]:
        json, jsonable, name = serializer.json, serializer.jsonable, self.key
        if name is None:
            return lambda value: (None, json(value))
        return lambda value: (_key(jsonable(value), name), json(value))

    def _plain(self, serializer: Serializer) -> Callable[[Any], Row]:
        python, known = serializer.python, {VALUE, *([self.key] if self.key else [])}

        def row(value: Any) -> Row:
            record = python(value)
            if not isinstance(record, Mapping) or VALUE not in record:
                raise UnsendableError(f"a message of {self.value} is made of the field '{VALUE}', which is missing")
            if foreign := [name for name in record if name not in known]:
                raise UnsendableError(
                    f"a message of {self.value} has no place for the field '{foreign[0]}'. Leave it out, or write JSON"
                )
            return None if self.key is None else _key(record, self.key), self._bytes(record[VALUE])

        return row

    def _bytes(self, value: Any) -> bytes | None:
        if value is None:
            return None
        if self.value == "text" and isinstance(value, str):
            return value.encode()
        if self.value == "bytes" and isinstance(value, bytes):
            return value
        raise UnsendableError(f"the field '{VALUE}' is no {self.value}, but of the type {type(value).__name__}")


def _key(record: Any, name: str) -> bytes | None:
    if not isinstance(record, Mapping) or name not in record:
        hint = suggestion(name, record) if isinstance(record, Mapping) else ""
        raise UnsendableError(f"the record has no field '{name}', which is to be the key.{hint}".rstrip("."))
    key = record[name]
    if key is None or isinstance(key, bytes):
        return key
    if isinstance(key, str | int) and not isinstance(key, bool):
        return str(key).encode()
    raise UnsendableError(
        f"the key '{name}' must be text, bytes or a whole number, not of the type {type(key).__name__}"
    )
