"""Kernel events: the facts a run reports, and the observers who hear them.

Observers are opt-in. Where nobody listens to an event, nothing is called. What an observer raises is logged and
changes nothing; the others still hear.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pluggy

from pipe_core.kernel.hookspecs import EventHooks, ProviderHooks

logger = logging.getLogger("pipe_core")

EVENTS = tuple(name for name in vars(EventHooks) if name.startswith("pipe_"))
PROVIDERS = tuple(name for name in vars(ProviderHooks) if name.startswith("pipe_"))


class Observers:
    """Who listens to one run: one flat tuple of functions an event, made once."""

    def __init__(self, manager: pluggy.PluginManager, observers: Sequence[object] = ()) -> None:
        self.objects = tuple(observers)
        self._heard: dict[str, tuple[tuple[Callable[..., Any], tuple[str, ...]], ...]] = {}
        for event in EVENTS:
            # pluggy would call the latest first; here the one named first hears first.
            impls = sorted(getattr(manager.hook, event).get_hookimpls(), key=lambda impl: impl.trylast - impl.tryfirst)
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
                run = facts.get("run")
                where = f"run {run.id}: " if run is not None else ""
                logger.exception("%san observer failed in %s; the run goes on", where, event)
