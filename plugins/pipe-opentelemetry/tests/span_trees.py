"""Finished spans as trees, for tests of tracing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def _order(span: ReadableSpan) -> tuple[Any, int, str]:
    said = span.attributes or {}
    return said.get("pipe.item", ()), span.start_time or 0, span.name


class Spans:
    """A provider that keeps what is finished."""

    def __init__(self, **options: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(**options)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("tests")

    @property
    def all(self) -> Sequence[ReadableSpan]:
        return self.exporter.get_finished_spans()

    def named(self, name: str) -> list[Any]:
        """Those with that name, in the order of items, then of time."""
        return sorted((one for one in self.all if one.name == name), key=_order)

    def one(self, name: str) -> Any:
        (found,) = self.named(name)
        return found

    @property
    def tree(self) -> dict[str, Any]:
        """Names, nested; of spans with the same name ``name``, ``name 2``, ... Refuses a parent that is not there."""
        return self.tree_of(self.all)

    @staticmethod
    def tree_of(spans: Sequence[ReadableSpan]) -> dict[str, Any]:
        ids = {one.context.span_id for one in spans if one.context is not None}
        assert len(ids) == len(spans), "two spans have one id"
        orphans = [one.name for one in spans if one.parent is not None and one.parent.span_id not in ids]
        assert orphans == []

        def below(parent: int | None) -> dict[str, Any]:
            found: dict[str, Any] = {}
            inside = [one for one in spans if (None if one.parent is None else one.parent.span_id) == parent]
            for one in sorted(inside, key=_order):
                name, count = one.name, 1
                while name in found:
                    count += 1
                    name = f"{one.name} {count}"
                assert one.context is not None
                found[name] = below(one.context.span_id)
            return found

        return below(None)
