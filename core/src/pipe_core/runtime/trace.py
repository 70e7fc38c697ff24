"""What travels with a call beside its arguments: the trace that it belongs to, and the run.

All are context variables: whoever sets one around a submit finds it again where the call runs.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from contextvars import Context, ContextVar
from typing import Final

logger = logging.getLogger("pipe_core")

traceparent: Final[ContextVar[str | None]] = ContextVar("pipe_traceparent", default=None)
"""The W3C ``traceparent`` of the caller, ``00-<trace id>-<span id>-<flags>``; None when nobody traces."""

run_id: Final[ContextVar[str | None]] = ContextVar("pipe_run_id", default=None)
"""The id of the run that a call belongs to; None outside of runs. What workers log carries it."""

entered_by: Final[ContextVar[str | None]] = ContextVar("pipe_entered_by", default=None)
"""``module:function``: what is called with the `traceparent` where a call has come in, in its context. None: nothing.
So a library of spans knows its current span there. Where it is not installed, the call is made all the same."""

_TRAVELLING: Final = {"traceparent": traceparent, "run": run_id, "enter": entered_by}


def collect(context: Context | None = None) -> dict[str, str]:
    """What is set, by name: in *context*, or in the current one."""
    found = {}
    for name, variable in _TRAVELLING.items():
        value = variable.get() if context is None else context.get(variable)
        if value is not None:
            found[name] = value
    return found


def restore(facts: Mapping[str, str]) -> None:
    """Set in the current context what `collect` found elsewhere. A name of a newer version is skipped."""
    for name, value in facts.items():
        if name in _TRAVELLING:
            _TRAVELLING[name].set(value)
    if "enter" in facts and "traceparent" in facts:
        _enter(facts["enter"], facts["traceparent"])


def _enter(by: str, parent: str) -> None:
    module, _, function = by.partition(":")
    try:
        getattr(importlib.import_module(module), function)(parent)
    except Exception as error:
        if by not in _failed:
            _failed.add(by)
            logger.warning("'%s' cannot enter the trace of a call, which is made without: %s", by, error)


_failed: Final[set[str]] = set()
"""Each complains once in a process."""
