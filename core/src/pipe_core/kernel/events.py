"""Kernel events: the facts a run reports, and the observers who hear them.

Observers are opt-in. Where nobody listens to an event, nothing is called. What an observer raises is logged and
changes nothing; the others still hear.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pluggy

from pipe_core.kernel.hookspecs import EventHooks, ProviderHooks

logger = logging.getLogger("pipe_core")

EVENTS = tuple(name for name in vars(EventHooks) if name.startswith("pipe_"))
PROVIDERS = tuple(name for name in vars(ProviderHooks) if name.startswith("pipe_"))


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run, as observers see it. `live` is the run's live report: read it, do not change it."""

    id: str
    kind: str
    name: str
    executor: str
    total: int | None = None
    unit: str = "records"
    live: Any = None


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A task of a run. Times are seconds of `time.perf_counter`."""

    id: int
    kind: str
    status: str
    attempt: int = 1
    started: float | None = None
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class EntryFailure:
    """A record that was rejected: where, in which phase, and why."""

    position: int
    phase: str
    errors: Sequence[Mapping[str, Any]]
    hook: str | None = None


class Observers:
    """Who listens to one run: one flat tuple of functions an event, made once."""

    def __init__(self, manager: pluggy.PluginManager, observers: Sequence[object] = ()) -> None:
        self.objects = tuple(observers)
        self._heard: dict[str, tuple[tuple[Callable[..., Any], tuple[str, ...]], ...]] = {}
        for event in EVENTS:
            impls = reversed(getattr(manager.hook, event).get_hookimpls())
            self._heard[event] = tuple((impl.function, impl.argnames) for impl in impls)
        self.wrappers = tuple(
            observer for observer in self.objects if any(hasattr(observer, name) for name in PROVIDERS)
        )

    def hears(self, event: str) -> bool:
        """Whether anybody listens to *event*. Ask before making what would be told."""
        return bool(self._heard[event])

    def tell(self, event: str, /, **facts: Any) -> None:
        """Tell everybody who listens, in the order in which they were named."""
        for function, names in self._heard[event]:
            try:
                function(*[facts[name] for name in names])
            except Exception:
                logger.exception("an observer failed in %s; the run goes on", event)
