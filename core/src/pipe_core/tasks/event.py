"""`Event`: a unit of work with an identity, a status, and what came of it."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Self, cast, final
from uuid import UUID, uuid4

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
)

from pipe_core.runtime.ledger import TaskStatus
from pipe_core.tasks import event_data
from pipe_core.tasks.errors import EventClassError
from pipe_core.tasks.execution import Execution, checked_timeout
from pipe_core.tasks.record import EventRecord
from pipe_core.tasks.running import run_once

_IDENTITY: Final = ("id", "created_at", "metadata")
_TRANSIENT: Final = ("timeout", "streaming")
_OURS: Final = ("execution", "invoke", "status", "stream_chunks")
"""What subclasses leave as it is."""
_NO_FIELDS: Final = frozenset((*_OURS, "as_fresh_event", "event_class", "from_dict", "request", "stream", "to_dict"))
"""Names that no field may have, because something else has them."""


class Event(BaseModel):
    """A unit of work: subclass it, give it fields and an `_invoke`.

        class Fetch(Event):
            url: str

            async def _invoke(self):
                return await get(self.url)

        event = Fetch(url="https://example.org", timeout=5)
        page = await event.invoke()

    Its code runs once, however often and from wherever it is invoked. What it raises is kept in `execution` and never
    raised by `invoke`. To run it again make a fresh one: `as_fresh_event`. Only an executor that was told so when it
    was appended tries it again when it fails: ``append(event, retries=3)``.

    An event that streams is written as an async generator, either `_invoke` or `stream`; its response is the list of
    chunks, and `stream_chunks` hands them out as they come. Where a class has both, ``streaming=True`` takes `stream`.

    Events are equal when their ids are. A copy, also one made by pickle, has the id and the status of its original at
    that moment, but a life of its own.

    Attributes:
        id: Its identity.
        created_at: When it was made, in UTC.
        metadata: Whatever else is to be known about it.
        timeout: Seconds that it may run; then it is cancelled, with a `TaskTimeoutError`, which is a `TimeoutError`.
            Code that does not await cannot be interrupted. Not serialised.
        streaming: Run `stream` in place of `_invoke`. Not serialised. A subclass may say ``streaming = True``.
    """

    __slots__ = ("__weakref__", "_record")

    model_config = ConfigDict(extra="forbid")

    id: UUID = Field(default_factory=uuid4, frozen=True)
    created_at: AwareDatetime = Field(default_factory=functools.partial(datetime.now, UTC), frozen=True)
    metadata: dict[str, Any] = Field(default_factory=dict)
    timeout: float | None = Field(default=None, frozen=True)
    streaming: bool = Field(default=False, frozen=True)

    if TYPE_CHECKING:
        _record: EventRecord
    else:

        def __new__(cls, *args: Any, **data: Any) -> Self:
            """An event with its record: every way to make one, validated, copied or unpickled, comes by here."""
            event = object.__new__(cls)
            _set_record(event, EventRecord())
            return event

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse what cannot work, where it is written."""
        super().__pydantic_init_subclass__(**kwargs)
        _check_class(cls)
        event_data.register(cls)

    @field_validator("timeout", mode="before")
    @classmethod
    def _timeout_is_finite(cls, timeout: Any) -> Any:
        return checked_timeout(timeout)

    @field_validator("created_at")
    @classmethod
    def _created_in_utc(cls, moment: datetime) -> datetime:
        return moment.astimezone(UTC)

    @model_serializer(mode="wrap")
    def _without_transient(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Not by Field(exclude=True), which a subclass that only changes the default would lose.
        data: dict[str, Any] = serialise(self)
        for name in _TRANSIENT:
            data.pop(name, None)
        return data

    # --- what subclasses write ---

    @property
    def request(self) -> dict[str, Any]:
        """What a permission check is told, as keyword arguments. Nothing, unless overridden."""
        return {}

    def _invoke(self) -> Any:  # no coroutine function for type checkers: all three kinds override it
        """The work. Override it by an `async def`; its value is the response.

        An async generator makes an event that streams. A plain function will do where nothing is awaited: it is called
        on the loop, and holds it up for as long as it takes.
        """
        raise _unwritten(f"{type(self).__name__} does nothing yet. Write `async def _invoke(self)` in it.")

    def stream(self) -> AsyncIterator[Any]:
        """The work of an event that streams, as an async generator. Override it; `stream_chunks` is for consumers."""
        raise _unwritten(
            f"streaming is true, but {type(self).__name__} streams nothing. Write `stream` in it: an async generator."
        )

    # --- what people use ---

    @property
    def status(self) -> TaskStatus:
        """Where the event is."""
        return self._record.status or TaskStatus.PENDING

    @property
    def execution(self) -> Execution:
        """Status, duration, response, error, whether another try makes sense, and the attempt, as they are now."""
        return self._record.execution

    @final
    async def invoke(self) -> Any:
        """Run the event, unless it has been run; while somebody else runs it, on whatever thread or loop, wait.

        If it belongs to an executor that tries it again, so does this, until there is no further attempt.

        Returns:
            The response of its one run, and `Unset` where there is none: what became of it is in `execution`.

        Raises:
            asyncio.CancelledError: The caller's task is being cancelled. A run of its own is cancelled too.
            IllegalTransitionError: It is a copy of an event that was processing when it was copied.
            RunningError: The event's own code invokes it.
        """
        record = self._record
        await run_once(self)
        while record.attempt > 1 and await record.rested():
            await run_once(self)
        return record.facts()[2].response

    @final
    async def stream_chunks(self) -> AsyncIterator[Any]:
        """The chunks of an event that streams, from the first one on, as they come.

        Any number of consumers may follow one event, also from other threads' loops. An event that is pending and
        belongs to no executor is invoked; it is cancelled when that consumer leaves early.

        Raises:
            RunError: The event failed, or is tried again. The chunks that it gave came before.
            RunCancelledError: The event was cancelled, skipped or aborted.
        """
        record, started = self._record, None
        if record.owner is None and self.status is TaskStatus.PENDING:
            started = asyncio.ensure_future(self.invoke())
        try:
            async for chunk in record.chunks():
                yield chunk
        finally:
            if started is not None:
                started.cancel()
                await asyncio.wait([started])

    def as_fresh_event(self, copy_meta: bool = False) -> Self:
        """The same work to be done anew: a new id, pending, with the fields, `timeout` and `streaming` of this one.

        Values of fields are copied, those that cannot be copied are shared. ``metadata["original"]`` has the `id` and
        the `created_at` of this event.

        Args:
            copy_meta: Copy the other metadata too.
        """
        values = {name: _copied(getattr(self, name)) for name in type(self).model_fields if name not in _IDENTITY}
        metadata = _copied(self.metadata) if copy_meta else {}
        metadata["original"] = {"id": self.id, "created_at": self.created_at}
        chosen = self.model_fields_set - {"id", "created_at"} | {"metadata"}
        fresh = type(self).model_construct(chosen, **values, metadata=metadata)
        return cast(Self, fresh)  # pydantic's plugin for mypy forgets which class it is

    def to_dict(self, mode: Literal["python", "json"] = "python") -> dict[str, Any]:
        """The event as plain data, with its class by name and its execution, for `from_dict`.

        Errors become type, message and plain arguments. `Unset` is left out.

        Args:
            mode: ``"json"`` for data that JSON knows; a response that JSON cannot hold is replaced by a text that names
                its type. ``"python"`` keeps the values of fields and the response as they are.

        Raises:
            CodecError: ``mode="json"``, and a field has a value that JSON cannot hold.
        """
        return event_data.event_to_dict(self, mode)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The event of `to_dict` again, of the subclass that *data* names, with its id, status and execution.

        Nothing is imported. An error whose class is not loaded here is a `RemoteError`.

        Raises:
            CodecError: The data is damaged, or names a class that is not defined here or is no subclass of this one.
        """
        return event_data.event_from_dict(cls, data)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Its status, and then its fields."""
        yield "status", self.status.value
        yield from super().__repr_args__()

    # --- identity and copies ---

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, Event) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __copy__(self) -> Self:
        return self._restored(super().__copy__())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self._restored(super().__deepcopy__(memo))

    def _restored(self, other: Self) -> Self:
        other._record.restore(*self._record.facts())
        return other

    def __getstate__(self) -> dict[Any, Any]:
        return super().__getstate__() | {"record": self._record.facts()}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        self._record.restore(*state["record"])
        super().__setstate__({key: value for key, value in state.items() if key != "record"})

    def _streams_by_method(self) -> bool:
        """Whether `stream` is the work, and not `_invoke`."""
        kind = type(self)
        if kind.stream is Event.stream:
            return self.streaming and kind._invoke is Event._invoke
        return self.streaming or kind._invoke is Event._invoke


_set_record: Final = vars(Event)["_record"].__set__
Event.__class_vars__.add("streaming")  # pydantic wants an annotation otherwise, also where only the default changes
event_data.register(Event)


def _check_class(kind: type[Event]) -> None:
    for name in _OURS:
        if getattr(kind, name) is not getattr(Event, name):
            raise EventClassError(
                f"{kind.__name__} overrides `{name}`, which is the same for all events. What an event does is written "
                "in `_invoke`, or in `stream` for one that streams."
            )
    for name in ("_invoke", "stream"):
        if inspect.isgeneratorfunction(getattr(kind, name)):
            raise EventClassError(f"{kind.__name__}.{name} is a generator. Write it as `async def`, to stream chunks.")
    for name in _NO_FIELDS & kind.model_fields.keys():
        hint = "Write it as a property that returns a dict." if name == "request" else "Choose another name."
        raise EventClassError(f"{kind.__name__} has a field `{name}`, but every event has that already. {hint}")
    try:
        checked_timeout(kind.model_fields["timeout"].default)
    except ValueError as error:
        raise EventClassError(f"{kind.__name__}: {error}.") from None


def _unwritten(text: str) -> NotImplementedError:
    error = NotImplementedError(text)
    error.retryable = False  # type: ignore[attr-defined]  # what `is_retryable` asks for
    return error


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # a lock, a connection, a client: those are there to be shared
        return value
