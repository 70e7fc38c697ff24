"""Formats: how records are read from somewhere and written to somewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

# --- reading -------------------------------------------------------------------------------------------------------


SizeNow: TypeAlias = Callable[[], int]
"""How large the next piece should be. Asked again for each: sizes follow the time that pieces were measured to take."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that the source could not read. `type` names the fault, `raw` is what there was of it."""

    type: str
    message: str
    raw: Any = None


@dataclass(slots=True)
class Batch:
    """Some consecutive records as read: the unit in which a worker reads, validates and encodes.

    Attributes:
        records: One object a record, ready to be validated and free to be changed. None where rejected.
        raw: ``raw(i)`` gives the i-th record as it was read, whatever happened to ``records[i]``.
        rejected: Records that could not be read, by index.
    """

    records: list[Any]
    raw: Callable[[int], Any]
    rejected: Mapping[int, Rejection] = field(default_factory=dict)


class Readable(Protocol):
    """A chunk or a split: something that a worker turns into batches."""

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of at most *size* records. Raises `SourceError` behind the last batch that could be read."""


class Chunk(Readable, Protocol):
    """Consecutive records that travel to a worker together."""

    def __len__(self) -> int:
        """How many records it holds."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Where the first record that a split read began and where its last one ended, in bytes.

    `of` says of what, for sources that are made of several files: only extents of the same thing must meet.
    """

    begin: int
    end: int
    of: str = ""


class Split(Readable, Protocol):
    """A piece of a source that a worker can read by itself. Small, and made of plain data: it travels.

    Its border is a guess. After `batches` was exhausted, `extent` tells what was really read; where it does not
    meet the extent of the split before, the driver asks for the range again with `starting_at`.
    """

    @property
    def extent(self) -> Extent | None:
        """What was read. None before `batches` was exhausted, and for splits whose borders are exact."""

    @property
    def bytes(self) -> int:
        """About how many bytes of input it stands for."""

    def starting_at(self, begin: int) -> Split:
        """The same range, but its first record begins exactly at byte *begin*."""


class Source(Protocol):
    """Where records come from. Lives on the driver.

    A live source that has its records one by one may offer ``items()``, an iterator over them, and
    ``chunk_of(items)``, a chunk of a list of them: then a chunk that is not full need not wait for its next record.
    """

    @property
    def name(self) -> str:
        """What reports call it. No secrets."""

    @property
    def live(self) -> bool:
        """Whether reading may block for long: then a thread of its own reads it."""

    @property
    def fields(self) -> Sequence[str] | None:
        """The names of the fields, where the source has a header. Known after `open`."""

    @property
    def size(self) -> int | None:
        """How much there is to read, in the unit of ``Split.bytes``, or in records for sources without splits."""

    def open(self) -> None:
        """Check that it can be read. Raises `SourceError`."""

    def splits(self, size: SizeNow) -> Iterator[Split] | None:
        """Splits of about ``size()`` bytes, in order, or None when workers cannot read it by themselves."""

    def chunks(self, size: SizeNow) -> Iterator[Chunk]:
        """Chunks of ``size()`` records, in order; the last one, and those of a live source, may be smaller.

        Raises `SourceError` behind the last record that could be read.
        """

    def close(self) -> None:
        """Give back what `open` took. Called once, whatever happened."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What has come to a source since a position.

    Attributes:
        records: In order.
        position: Where they end: plain data that JSON can say.
    """

    records: Sequence[Any]
    position: Mapping[str, Any]


@runtime_checkable
class FollowableSource(Source, Protocol):
    """A source to which records come as time goes by, and that can be read again from a position: a topic, a log."""

    def follow(self, since: Mapping[str, Any] | None, limit: int, until: Mapping[str, Any] | None = None) -> Followed:
        """The records that have come *since* a position, at most *limit* of them. Waits for none.

        The source is open. A record that is still being written does not count. The same two positions give the same
        records, as long as the source keeps them.

        Args:
            since: A position that an earlier call gave; None: from the beginning.
            limit: The most records. With *until* it does not count.
            until: A position that an earlier call gave: exactly what is before it.

        Raises:
            SourceError: The records behind *since* are not there any more, or the source is not the one of before.
        """


@runtime_checkable
class FingerprintedSource(Source, Protocol):
    """A source that can tell whether it is still what it was."""

    def fingerprint(self) -> Mapping[str, Any]:
        """After `open`: plain data that JSON can say, which is the same as long as the records are the same.

        Cheap: size, time and a part of the contents, not all of them. Without secrets.
        """


@runtime_checkable
class SeekableSource(Source, Protocol):
    """A source whose splits can begin anywhere behind a record."""

    def splits_behind(self, extent: Extent, size: SizeNow) -> Iterator[Split] | None:
        """As `splits`, from where *extent* ends on, at which a record begins. None where it cannot begin there."""


@runtime_checkable
class CountedSource(Source, Protocol):
    """A source whose splits can begin at any record, by its number."""

    def splits_from(self, count: int, size: SizeNow) -> Iterator[Split] | None:
        """As `splits`, without the first *count* records. None where it cannot begin there, or has not so many."""


# --- writing -------------------------------------------------------------------------------------------------------


Mode: TypeAlias = Literal["error", "overwrite", "append", "ignore"]
Row: TypeAlias = Any
"""One record as a sink wants it, made on a worker: bytes for files, an object for memory or a database."""
Payload: TypeAlias = Any
"""Many rows joined: what `Sink.write` takes."""


class Serializer(Protocol):
    """How a validated value is written down, as its schema says."""

    @property
    def fields(self) -> Sequence[str] | None:
        """The names of the schema's fields as they are written, or None when the schema has none."""

    @property
    def json(self) -> Callable[[Any], bytes]:
        """The value as JSON bytes, as ``model_dump_json`` gives it."""

    @property
    def python(self) -> Callable[[Any], Any]:
        """The value as plain Python data, as ``model_dump`` gives it."""

    @property
    def jsonable(self) -> Callable[[Any], Any]:
        """The value as data that JSON knows, as ``model_dump(mode="json")`` gives it."""


class Encoder(Protocol):
    """The half of a sink that runs on the workers. Small, and made of plain data: it travels."""

    def bind(self, serializer: Serializer) -> Callable[[Any], Row]:
        """A function that makes one row of one value. What it raises fails that record only."""

    def stamp(self, position: int, row: Row) -> Row:
        """The row of an error sink, made without its position, completed with it as the first field."""

    def join(self, rows: Sequence[Row]) -> Payload:
        """The rows of a batch as `Sink.write` wants them."""

    def merge(self, payloads: Sequence[Payload]) -> Payload:
        """The payloads of consecutive batches as one, as if their rows had been joined at once."""


class Sink(Protocol):
    """Where records go. Lives on the driver; `encoder` travels.

    The driver calls `open`, then `write` in the order of the input, then `commit` or `abort`, then `close`.
    With ``mode="append"`` it calls `commit` every few seconds.

    A sink that numbers its rows, and with which nobody can go on, may have ``count_from(count)``: before `open` it is
    told how many rows an earlier process of the run has committed.
    """

    @property
    def name(self) -> str:
        """What reports call it. No secrets."""

    @property
    def delivery(self) -> Literal["exactly-once", "at-least-once"]:
        """What is promised when a run is interrupted and started again."""

    def exists(self) -> bool:
        """Whether there is something at the target already."""

    def encoder(self) -> Encoder:
        """What workers need to make rows."""

    def open(self, mode: Mode, fields: Sequence[str] | None = None) -> None:
        """Check that the target can be written, and begin beside it. Raises `SinkError`.

        *fields* are the names of the schema's fields, where they are known: for a header, should no row come.
        """

    def write(self, payload: Payload, count: int) -> None:
        """Take the next rows. Nothing of it needs to be visible before `commit`."""

    def commit(self) -> None:
        """Make durable and visible all that was written."""

    def abort(self, keep: bool = False) -> str | None:
        """Leave the target as it was. With *keep*, what was written stays beside it; the place is returned."""

    def close(self) -> None:
        """Give back what `open` took. Called once, whatever happened."""


@runtime_checkable
class ResumableSink(Sink, Protocol):
    """A sink that a later process can go on with, where the one that wrote it was killed.

    The states are plain data that JSON can say. Who keeps one on stable storage loses nothing of what came before it.
    What was checkpointed stays when the sink is closed without a commit; `abort` removes it. Who wants every row once
    commits final states only. A sink that cannot do that everywhere says so by an attribute ``resumable``, which is
    False then. One with a state at its end only, such as one file of columns, has an attribute ``only_final``, which is
    True then. One that must know before `open` that there will be checkpoints has ``expect_checkpoints()``.
    """

    def checkpoint(self, final: bool = False) -> Mapping[str, Any]:
        """Bring all that was written to stable storage. The state with which `resume` goes on from here.

        With *final* nothing more will be written, and only `commit` follows: a file gets its end. Without it a sink
        that cannot stop here, such as one file with an index at its end, raises `SinkError`.
        """

    def resume(self, state: Mapping[str, Any], mode: Mode, fields: Sequence[str] | None = None) -> None:
        """Instead of `open`: go on at *state*. What was written behind it is cut off.

        Where a final state has been committed already, all of it or some, the `commit` that follows brings it to its
        end, once. Raises `SinkError` when what the state names is gone.
        """


# --- tables --------------------------------------------------------------------------------------------------------


@runtime_checkable
class TabularSource(Source, Protocol):
    """A source that has its records in columns, too."""

    def read_table(self) -> Any:
        """Between `open` and `close`: all records as one table of Arrow. Raises `SourceError`."""


@runtime_checkable
class TabularSink(Sink, Protocol):
    """A sink that takes records in columns, too."""

    def write_table(self, table: Any) -> None:
        """Take the next rows as what has ``__arrow_c_stream__``, such as a table of Arrow. Raises `SinkError`."""


@runtime_checkable
class WindowSource(Source, Protocol):
    """A source that can leave out by itself what is not of some dates."""

    def read_between(self, column: str, start: str, upper: str) -> None:
        """Before `open`: give only the records whose *column* is from *start* on and before *upper*.

        Both are dates or times as ISO 8601 has them.
        """


@runtime_checkable
class WindowSink(Sink, Protocol):
    """A sink that can replace the rows of some dates, and leave the others alone."""

    def replace_between(self, column: str, start: str, upper: str) -> None:
        """Before ``open("overwrite")``: replace only the rows whose *column* is from *start* on and before *upper*.

        Both are dates or times as ISO 8601 has them. All of it shows at once, at the commit.
        """


@runtime_checkable
class Format(Protocol):
    """How one kind of file, table or topic is read and written."""

    def source(self, target: Any, /) -> Source:
        """A source over *target*: a path, a URL, an object."""

    def sink(self, target: Any, /) -> Sink:
        """A sink into *target*."""
