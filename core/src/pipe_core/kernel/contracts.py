"""Contracts: what a plugin of each family gives, as typed protocols.

Nothing here does anything, but for refusing what a backend does not offer. A plugin author reads this page, writes a
class that fits, and certifies it with `pipe_core.testing`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from pipe_core.kernel.errors import UnsupportedCapabilityError

Mode: TypeAlias = Literal["error", "overwrite", "append", "ignore"]
Row: TypeAlias = Any
"""One record as a sink wants it, made on a worker: bytes for files, an object for memory or a database."""
Payload: TypeAlias = Any
"""Many rows joined: what `Sink.write` takes."""


SizeNow: TypeAlias = Callable[[], int]
"""How large the next piece should be. Asked again for each: sizes follow the time that pieces were measured to take."""


# --- executors -----------------------------------------------------------------------------------------------------


class Call(Protocol):
    """One call on its way to a slot, made by core and given to a backend by ``take``."""

    @property
    def id(self) -> int:
        """The call's number, unique in its executor."""

    @property
    def is_async(self) -> bool:
        """Whether its function is a coroutine function, so that `arun` needs no thread."""

    def run(self) -> Outcome:
        """Run the call here and now. Never raises: whatever happens is in the outcome."""

    @property
    def context(self) -> Context:
        """The context variables as they were when the call was submitted. `run` applies them itself."""

    async def arun(self) -> Outcome:
        """Run the call on the running event loop, in a task that was created with `context`.

        Raises only when that task is cancelled.
        """

    def frame(self) -> bytes:
        """The call as bytes, for `pipe_core.runtime.wire.run_frame` in another process."""


@dataclass(slots=True)
class Outcome:
    """How a call ended: with a value, or with an error.

    `unstarted` says that it never began, because its slot died under another call: it goes to another slot.
    """

    value: Any = None
    error: BaseException | None = None
    unstarted: bool = False


Take: TypeAlias = Callable[..., "Call | None"]
"""``take(slot, wait=False)``: the next call for *slot*, or None when there is none now.

A backend may ask again while the slot is busy. It gets calls to hold ready behind the running one as far as the
executor's `prefetch` allows, but never one for which another slot is free. With ``wait=True``, for a slot with nothing
in hand, it sleeps until there is a call, and None means that the executor stops.
"""
Done: TypeAlias = Callable[["Call", "Outcome | bytes"], None]
"""``done(call, outcome)``: the call has ended. Bytes are the answer of `run_frame`."""


class Backend(Protocol):
    """How calls run on one system: what a plugin writes to make an executor.

    A class that inherits this one writes `start`, `wake` and `stop`, and of the others what its capabilities claim.

    It may have five more attributes. ``slots`` is how many calls run at once where nobody asks for a number.
    ``inline = True`` says that `wake` runs the calls itself, also those that a running call submits.
    ``everywhere(frame) -> list[bytes]`` runs a frame once in every worker process that lives: for systems where a
    worker is not the same as a slot. Without it core hands such a call to each slot.
    ``tell(frame)`` runs a frame in every worker process at once, beside the call that it runs, and waits for nothing.
    ``loop`` is a running event loop of the user's, on which the async hooks of pipes run too.
    """

    def start(self, slots: int, take: Take, done: Done) -> None:
        """Get ready to run *slots* calls at once. Called once, before anything else."""

    def wake(self) -> None:
        """There may be something to take, and nobody sleeps in ``take`` who would take it.

        Called from the submitting thread; must not wait for a call that runs elsewhere.
        """

    def stop(self, kill: bool = False) -> None:
        """Give back everything that was started. ``take`` gives None from now on.

        May be called again, by several threads at once, and by a thread of the backend's own, which it does not wait
        for then. With *kill* calls may still run: end them by force where that is possible, and do not wait where it is
        not.
        """

    def kill(self, slot: int) -> None:
        """End the call that runs in *slot* by force. Only with the capability ``hard_timeout``.

        It may come before the call that ``take`` has given has begun, and comes again as long as that does not end.
        """
        raise _refusal(self, "hard_timeout", "cannot end a call by force")

    def abandon(self, slot: int) -> None:
        """The call that runs in *slot* was given up: whatever becomes of it, let the slot take calls again.

        Only with isolation ``thread``.
        """
        raise _refusal(self, "abandon", "cannot give up a call that runs")

    def put(self, digest: str, data: bytes) -> Callable[[str], bytes]:
        """Keep *data* where workers can pull it. Only with isolation ``process`` or ``remote``.

        The result, which travels, pulls the data on a worker by its digest. It outlives every worker.
        """
        raise _refusal(self, "put", "keeps no bytes for workers")


def _refusal(backend: Backend, capability: str, why: str) -> UnsupportedCapabilityError:
    name = getattr(backend, "name", type(backend).__name__)
    return UnsupportedCapabilityError(f"{name} {why}.", capability=capability, executor=name)


class Schedulable(Protocol):
    """What a scheduler may know of a task. None of it changes while the task waits."""

    @property
    def sequence(self) -> int:
        """Grows with every submit. A task that is tried again keeps its own."""

    @property
    def band(self) -> int:
        """How urgent it is: the value of a `TaskPriority`, from 0 (LOW) to 3 (URGENT). Higher bands go first."""

    @property
    def number(self) -> float:
        """Its place inside its band: lower ones go first. Finite."""

    @property
    def tag(self) -> Hashable | None:
        """Whom it is for, where somebody said: a user, a job, a queue of its own."""

    @property
    def since(self) -> float:
        """When it began to wait, in seconds of the clock that ``now`` is read from."""


@runtime_checkable
class Scheduler(Protocol):
    """Which waiting task goes next. Pure policy: no thread, no clock of its own, no chance without a seed.

    It reads of a task what `Schedulable` says and writes nothing on it. The executor calls it under a lock of its own.

    A scheduler may have three more attributes. ``bind(slots)`` is called once by the executor, before the first push,
    with how many slots it has: then ``pop`` is asked for slots from 0 to ``slots - 1``. ``per_slot = True`` says that
    tasks belong to slots, so that ``pop(slot)`` may give None while tasks wait for other slots; who wants all tasks
    asks for every slot. ``priorities = True`` says that it goes by ``band`` and ``number``; without it they make no
    difference.
    """

    def push(self, task: Any, /) -> None:
        """A task waits from now on."""

    def pop(self, slot: int, now: float, /) -> Any | None:
        """The task that *slot* should run next, or None when none waits for it. *now* never goes back."""

    def remove(self, task: Any, /) -> bool:
        """Forget *task*. False when it does not wait here."""

    def __len__(self) -> int:
        """How many tasks wait."""


# --- hooks and observers -------------------------------------------------------------------------------------------


class RecordHook(Protocol):
    """What a plugin of the family ``hooks`` makes, unless it is a `BaseHook`: called for each entry."""

    def __call__(self, entry: Any, store: Any, /) -> Any:
        """Change *entry* in place. Gives None to keep it, or the list of entries to go on with."""


class Observer(Protocol):
    """What a plugin of the family ``observers`` makes: any object with `hookimpl` methods named after events."""


# --- codecs --------------------------------------------------------------------------------------------------------


@runtime_checkable
class Codec(Protocol):
    """How a value becomes bytes and comes back, with equal value and equal types."""

    def encode(self, value: Any, /) -> bytes:
        """The frame of *value*. Raises `CodecError` for a value that cannot travel."""

    def decode(self, data: bytes, /) -> Any:
        """The value of a frame. Raises `CodecError`, and nothing else, for any bytes that are no whole frame."""


# --- formats: reading ----------------------------------------------------------------------------------------------


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


# --- formats: writing ----------------------------------------------------------------------------------------------


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
class Format(Protocol):
    """How one kind of file, table or topic is read and written."""

    def source(self, target: Any, /) -> Source:
        """A source over *target*: a path, a URL, an object."""

    def sink(self, target: Any, /) -> Sink:
        """A sink into *target*."""
