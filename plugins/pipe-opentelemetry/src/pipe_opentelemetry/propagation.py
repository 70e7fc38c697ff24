"""The current span in other processes: a ``traceparent`` of the W3C travels with calls, and is opened there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pipe_core.runtime.trace import entered_by, traceparent

_FORM = TraceContextTextMapPropagator()
_HERE = f"{__name__}:enter"


@contextmanager
def carrying() -> Iterator[None]:
    """Let calls that are submitted inside take the current span along to other processes.

    In this process and its threads they have it anyway. Graphs and runs of records that are observed need no block.
    """
    header = _header(trace.get_current_span())
    parent, by = traceparent.set(header), entered_by.set(None if header is None else _HERE)
    try:
        yield
    finally:
        traceparent.reset(parent)
        entered_by.reset(by)


def make_current(span: trace.Span) -> None:
    """Make *span* the current one of this context for good, also for calls that leave the process."""
    contexts.attach(trace.set_span_in_context(span))
    header = _header(span)
    traceparent.set(header)
    entered_by.set(None if header is None else _HERE)


def enter(header: str) -> None:
    """Make the span that a ``traceparent`` names the current one of this context: called where a call has come in."""
    contexts.attach(_FORM.extract({"traceparent": header}))


def _header(span: trace.Span) -> str | None:
    carrier: dict[str, str] = {}
    _FORM.inject(carrier, trace.set_span_in_context(span))
    return carrier.get("traceparent")
