"""Spans of a provider, also with an id that somebody has chosen before."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context

Attributes = Mapping[str, Any]


class Spans:
    """Makes the spans of one provider.

    Args:
        provider: Whose spans they are.
    """

    def __init__(self, provider: trace.TracerProvider) -> None:
        self._tracer = provider.get_tracer("pipe_opentelemetry")
        self._ids: _ChosenIds | None = None

    def can_choose(self) -> bool:
        """Whether a span can have an id that was chosen before, from now on.

        The tracers of the SDK can do it, also where one stands behind another one, as with logfire, which makes new
        ones when it is configured again.
        """
        around: Any = self._tracer
        inside: Any = getattr(around, "tracer", None)
        tracer = around if hasattr(around, "id_generator") else inside
        with _wrapping:
            ids = getattr(tracer, "id_generator", None)
            if ids is not None and not isinstance(ids, _ChosenIds):
                ids = tracer.id_generator = _ChosenIds(ids)  # of tracers that only this package has
        self._ids = ids
        return ids is not None

    def start(
        self,
        name: str,
        attributes: Attributes,
        around: Context | None = None,
        at: int | None = None,
        chosen: int | None = None,
        links: Sequence[trace.Link] = (),
    ) -> trace.Span:
        """Start a span.

        Args:
            name: What it is called.
            attributes: What is said of it.
            around: The context of its parent. Default: the current one.
            at: When it began, in nanoseconds since 1970. Default: now.
            chosen: Its id. Default: a new one.
            links: To other spans.
        """
        ids = self._ids
        if ids is not None:
            ids.next.id = chosen
        try:
            return self._tracer.start_span(name, around, attributes=dict(attributes), start_time=at, links=links)
        finally:
            if ids is not None:
                ids.next.id = None


class _Next(threading.local):
    """The id of the next span of a thread."""

    id: int | None = None


class _ChosenIds:
    """Stands for the generator of ids of a tracer that only this package has."""

    def __init__(self, ids: Any) -> None:
        self._ids = ids
        self.next = _Next()

    def generate_span_id(self) -> int:
        """What was chosen, or a new one."""
        chosen, self.next.id = self.next.id, None
        found: int = self._ids.generate_span_id() if chosen is None else chosen
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ids, name)


_wrapping = threading.Lock()
