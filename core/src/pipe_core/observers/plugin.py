"""Describes the observers that come with core. Imports none of them."""

from __future__ import annotations

from typing import Any

from pipe_core.kernel.hookspecs import hookimpl
from pipe_core.kernel.specs import ObserverSpec
from pipe_core.observers.options import LogOptions, ProgressOptions


def _progress(options: Any) -> object:
    from pipe_core.observers.progress import ProgressObserver

    return ProgressObserver(options)


def _log(options: Any) -> object:
    from pipe_core.observers.log import LogObserver

    return LogObserver(options)


_SPECS = {
    "progress": ObserverSpec(_progress, ProgressOptions, "A live bar, or plain lines where there is no terminal"),
    "log": ObserverSpec(_log, LogOptions, "Runs and rejected records in the standard logging"),
}


@hookimpl
def pipe_observer(name: str) -> ObserverSpec | None:
    """The spec of `progress` or `log`."""
    return _SPECS.get(name)
