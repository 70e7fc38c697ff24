"""Messages between reading and parsing: a chunk of them, which becomes records on a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any, Final, Literal

from pipe_core.formats import rejections
from pipe_core.formats.group import Group
from pipe_core.formats.json_values import JsonLayout, values_batch
from pipe_core.kernel.contracts import Batch, Rejection
from pipe_core.kernel.portable import pack_rejected, unpack_rejected
from pipe_kafka.options import KafkaOptions

PREFIX: Final = "kafka_"
"""Before the names of fields that a message has beside its value."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What records are made of, as plain data that travels.

    Attributes:
        value: What a value is.
        include: What else becomes a field.
        longest: The most bytes of a value.
        max_fields: The most fields.
        max_depth: How deep they may be nested.
    """

    value: Literal["json", "text", "bytes"]
    include: tuple[str, ...]
    longest: int
    max_fields: int
    max_depth: int

    @classmethod
    def of(cls, options: KafkaOptions) -> Layout:
        """As the options say."""
        return cls(options.value, options.include, options.max_record_bytes, options.max_fields, options.max_depth)


@dataclass(slots=True)
class MessageChunk:
    """Consecutive messages.

    Attributes:
        values: The values; None for a message without one, empty where rejected.
        places: The partition and the offset of each.
        facts: For each, what is included, in the order of the layout; empty where nothing is.
        layout: What records are made of.
        rejected: Messages that are no records, by index.
    """

    values: list[bytes | None]
    places: list[tuple[int, int]]
    facts: list[list[Any]]
    layout: Layout
    rejected: dict[int, Rejection] = field(default_factory=dict)

    @classmethod
    def of(cls, messages: Sequence[Any], layout: Layout) -> MessageChunk:
        """Those that the client has given."""
        chunk = cls([], [], [], layout)
        for i, message in enumerate(messages):
            value = message.value()
            if value is not None and len(value) > layout.longest:
                chunk.rejected[i] = rejections.record_too_large(len(value), layout.longest, value)
                value = b""
            chunk.values.append(value)
            chunk.places.append((message.partition(), message.offset()))
            if layout.include:
                chunk.facts.append([_fact(message, name) for name in layout.include])
        return chunk

    def __len__(self) -> int:
        return len(self.values)

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of at most *size* records."""
        for start in range(0, len(self), size):
            yield self._batch(start, min(start + size, len(self)))

    def pack(self) -> list[Any]:
        """Its parts as `unpack` wants them."""
        places = [list(place) for place in self.places]
        return [self.values, places, self.facts, list(astuple(self.layout)), pack_rejected(self.rejected)]

    @classmethod
    def unpack(
        cls,
        values: list[bytes | None],
        places: list[list[int]],
        facts: list[list[Any]],
        layout: list[Any],
        rejected: list[Any],
    ) -> MessageChunk:
        """The chunk that `pack` took apart."""
        value, include, *limits = layout
        whole = [(partition, offset) for partition, offset in places]
        return cls(values, whole, facts, Layout(value, tuple(include), *limits), unpack_rejected(rejected))

    def _batch(self, start: int, stop: int) -> Batch:
        values = self.values[start:stop]
        rejected = {i - start: why for i, why in self.rejected.items() if start <= i < stop}
        batch = (
            _json_batch(values, rejected, self.layout)
            if self.layout.value == "json"
            else _plain_batch(values, rejected, self.layout)
        )
        if self.layout.include:
            batch = _with_facts(batch, self.facts[start:stop], self.layout)
        placed = {i: _placed(why, self.places[start + i]) for i, why in batch.rejected.items()}
        return Batch(batch.records, lambda i: placed[i].raw if i in placed else batch.raw(i), placed)


def _fact(message: Any, name: str) -> Any:
    if name == "timestamp":
        kind, moment = message.timestamp()
        return moment if kind else None
    if name == "headers":
        return [[key, value] for key, value in message.headers() or ()]
    return getattr(message, name)()


def _placed(why: Rejection, place: tuple[int, int]) -> Rejection:
    partition, offset = place
    return Rejection(why.type, f"The message at partition {partition}, offset {offset:,}: {why.message}", why.raw)


# --- values ---


def _json_batch(values: Sequence[bytes | None], rejected: dict[int, Rejection], layout: Layout) -> Batch:
    for i, value in enumerate(values):
        if value is None:
            rejected[i] = Rejection("NoValue", "It has no value, which in a compacted topic removes its key.", None)
    return values_batch(
        Group([value or b"" for value in values], rejected),
        JsonLayout("utf-8", layout.longest, layout.max_fields, layout.max_depth),
    )


def _plain_batch(values: Sequence[bytes | None], rejected: dict[int, Rejection], layout: Layout) -> Batch:
    read = _text if layout.value == "text" else _same
    found, bad = _read(values, read, rejected)
    return Batch(
        [None if i in bad else {"value": one} for i, one in enumerate(found)], lambda i: {"value": found[i]}, bad
    )


def _read(
    values: Sequence[Any], read: Callable[[Any], Any], rejected: Mapping[int, Rejection]
) -> tuple[list[Any], dict[int, Rejection]]:
    found, bad = [], dict(rejected)
    for i, value in enumerate(values):
        try:
            found.append(read(value))
        except UnicodeDecodeError:
            found.append(None)
            bad.setdefault(i, rejections.bad_encoding("utf-8", rejections.shown(value)))
    return found, bad


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _same(value: bytes | None) -> bytes | None:
    return value


# --- what else a message has ---


def _with_facts(batch: Batch, facts: Sequence[list[Any]], layout: Layout) -> Batch:
    """The same records with what is included, where they are objects."""
    read = (lambda row: row) if layout.value == "bytes" else _readable
    rows, rejected = [], dict(batch.rejected)
    for i, row in enumerate(facts):
        try:
            rows.append(dict(zip((PREFIX + name for name in layout.include), read(row), strict=True)))
        except UnicodeDecodeError as error:
            rows.append({})
            rejected.setdefault(i, rejections.bad_encoding("utf-8", rejections.shown(error.object)))
    records = list(batch.records)
    for i, record in enumerate(records):
        if i not in rejected and not isinstance(record, dict):
            kind = type(record).__name__
            rejected[i] = Rejection("NotAnObject", f"Its value is of the type {kind}, which has no fields.", record)
        records[i] = None if i in rejected else {**record, **_fresh(rows[i])}
    return Batch(records, lambda i: {**batch.raw(i), **_fresh(rows[i])}, rejected)


def _readable(row: list[Any]) -> list[Any]:
    """Bytes as text: a key, and the values of headers."""
    return [
        one.decode()
        if isinstance(one, bytes)
        else [[name, _text(value)] for name, value in one]
        if isinstance(one, list)
        else one
        for one in row
    ]


def _fresh(row: dict[str, Any]) -> dict[str, Any]:
    """A copy, whose headers may be changed."""
    return {name: [list(pair) for pair in one] if isinstance(one, list) else one for name, one in row.items()}
