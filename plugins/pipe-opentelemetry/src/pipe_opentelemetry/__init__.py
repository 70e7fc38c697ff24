"""Spans of pipelines and of runs of records, with right parents across threads and processes.

The way through the package: `plugin` describes the observer, `observer` hears what happens, `graph_trace` and
`record_trace` make spans of it, by `spans`. `calls` goes along to where nodes are called, and `propagation` brings the
current span to other processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipe_opentelemetry.observer import OpenTelemetryObserver as OpenTelemetryObserver
    from pipe_opentelemetry.propagation import carrying as carrying

__all__ = ["OpenTelemetryObserver", "carrying"]

_WHERE = {"OpenTelemetryObserver": "observer", "carrying": "propagation"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # describing the plugin needs nothing of OpenTelemetry

    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
