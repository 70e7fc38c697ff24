"""What goes along to where nodes are called: the span of a call, before it is made where the run is."""

from __future__ import annotations

import secrets
import time
import traceback
from collections.abc import Mapping
from contextvars import Token
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags, TraceState

if TYPE_CHECKING:
    from pipe_core.graph.callbacks import CallbackContext

_PLAIN = (str, bool, int, float, bytes)


@dataclass(slots=True)
class CallMark:
    """What is known of the span of a call, where it is made. It travels to the run.

    Attributes:
        owner: Of which run it is.
        span_id: Its id.
        began: When, in nanoseconds since 1970, by the clock of where it is.
        ended: When it has ended; None as long as it has not.
        name: What the call itself wants it to be called.
        attributes: What the call itself has said.
        events: Name, attributes and time of each.
        links: The spans it is linked to, as trace id, span id and attributes.
        status: What the call itself thinks of it: a `StatusCode` as a number, and a description.
    """

    owner: str
    span_id: int
    began: int
    ended: int | None = None
    name: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[str, dict[str, Any], int]] = field(default_factory=list)
    links: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)
    status: tuple[int, str | None] | None = None


class CallSpan(trace.Span):
    """The current span inside of a call: what is said to it is written down.

    Args:
        context: Its ids.
        mark: Where to write.
    """

    def __init__(self, context: SpanContext, mark: CallMark) -> None:
        self._context = context
        self._mark = mark

    def get_span_context(self) -> SpanContext:
        """Its ids."""
        return self._context

    def is_recording(self) -> bool:
        """Whether the call has not ended."""
        return self._mark.ended is None

    def set_attribute(self, key: str, value: Any) -> None:
        """Say something of it."""
        self._mark.attributes[key] = _plain(value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Say several things of it."""
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        """Something has happened in it."""
        said = {key: _plain(value) for key, value in (attributes or {}).items()}
        self._mark.events.append((name, said, time.time_ns() if timestamp is None else timestamp))

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        """Link it to another span."""
        said = {key: _plain(value) for key, value in (attributes or {}).items()}
        self._mark.links.append((context.trace_id, context.span_id, said))

    def update_name(self, name: str) -> None:
        """Call it something else."""
        self._mark.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Say what came of it."""
        code, text = (status, description) if isinstance(status, StatusCode) else (status.status_code, None)
        self._mark.status = code.value, text if isinstance(status, StatusCode) else status.description

    def record_exception(
        self, exception: BaseException, attributes: Any = None, timestamp: int | None = None, escaped: bool = False
    ) -> None:
        """Write down an exception."""
        said = {
            "exception.type": type(exception).__qualname__,
            "exception.message": str(exception),
            "exception.stacktrace": "".join(traceback.format_exception(exception)),
            "exception.escaped": str(escaped),
            **(attributes or {}),
        }
        self.add_event("exception", said, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """Nothing: it ends with the call."""


def _plain(value: Any) -> Any:
    """*value*, as far as a span can have it."""
    if isinstance(value, list | tuple):
        return [one if isinstance(one, _PLAIN) else str(one) for one in value]
    return value if isinstance(value, _PLAIN) else str(value)


@dataclass(frozen=True, slots=True)
class CallCompanion:
    """Makes the span of each call of a node the current one there.

    Attributes:
        owner: The run.
        trace_id: The trace of the run.
        span_id: The span of the run: the current one where a call has none of its own.
        flags: Whether the trace is sampled.
        state: The trace's state, as text.
        items: Of each map so many items have spans; None for all.
        has_calls: Whether calls have spans of their own.
    """

    owner: str
    trace_id: int
    span_id: int
    flags: int
    state: str
    items: int | None
    has_calls: bool

    def around(self, node_id: str, ctx: CallbackContext) -> _Call:
        """Where one call is made."""
        return _Call(self, self.has_calls and is_shown(ctx.item, self.items))

    def context(self, span_id: int) -> SpanContext:
        """That of a span of the run's trace."""
        state = TraceState.from_header([self.state]) if self.state else None
        return SpanContext(
            self.trace_id, span_id, is_remote=False, trace_flags=TraceFlags(self.flags), trace_state=state
        )


class _Call:
    """Where one call is made."""

    __slots__ = ("_companion", "_has_span", "_mark", "_token")

    def __init__(self, companion: CallCompanion, has_span: bool) -> None:
        self._companion = companion
        self._has_span = has_span
        self._mark: CallMark | None = None
        self._token: Token[contexts.Context] | None = None

    def __enter__(self) -> CallMark | None:
        companion = self._companion
        span: trace.Span
        if self._has_span:
            # not from `random`: user code may seed that, the same in each call
            self._mark = CallMark(companion.owner, secrets.randbits(64) or 1, time.time_ns())
            span = CallSpan(companion.context(self._mark.span_id), self._mark)
        else:
            span = trace.NonRecordingSpan(companion.context(companion.span_id))
        self._token = contexts.attach(trace.set_span_in_context(span))
        return self._mark

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._mark is not None:
            self._mark.ended = time.time_ns()
        if self._token is not None:
            contexts.detach(self._token)


def is_shown(item: tuple[int, ...], most: int | None) -> bool:
    """Whether an item is one of the first *most* in each map around it."""
    return most is None or all(index < most for index in item)
