"""What the kernel asks: the options of the observer ``opentelemetry``. Imports nothing of OpenTelemetry."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from pipe_core import ObserverSpec, hookimpl


class OpenTelemetryOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of ``opentelemetry``.

    Attributes:
        items: Of each map so many items have spans, with all that is in them, and of each run of records so many
            chunks: the first ones. None: all of them. Failures of the others are events of the map's span.
        tracer_provider: Whose spans they are. Default: the provider that OpenTelemetry is set to.
    """

    items: int | None = Field(default=100, ge=0)
    tracer_provider: Any = None


def _opentelemetry(options: Any) -> object:
    from pipe_opentelemetry.observer import OpenTelemetryObserver

    return OpenTelemetryObserver(items=options.items, tracer_provider=options.tracer_provider)


_SPEC = ObserverSpec(_opentelemetry, OpenTelemetryOptions, "Spans of graphs and of runs of records, for OpenTelemetry")


@hookimpl
def pipe_observer(name: str) -> ObserverSpec | None:
    """Describe ``opentelemetry``."""
    return _SPEC if name == "opentelemetry" else None
