"""Observers that the settings name, as far as they listen to pipelines as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipe_core.graph.callbacks import EVENTS
from pipe_core.kernel.kernel import Kernel, current_kernel
from pipe_core.kernel.settings import using_layers

_known: tuple[tuple[Mapping[str, Any], ...] | None, tuple[Any, ...]] = None, ()
"""What the settings said the last time, and whom that made: most runs are begun under the same settings."""


def callbacks_of_settings() -> tuple[Any, ...]:
    """The observers of ``using(observers=...)``, of the environment and of files that have methods of callbacks.

    They are made once for all runs under the same settings.

    Raises:
        PluginError: One cannot be loaded.
    """
    global _known  # one for the process, as the settings are
    layers, found = _known
    if layers is not using_layers():
        layers = using_layers()
        found = _listeners(current_kernel())
        _known = layers, found
    return found


def _listeners(kernel: Kernel) -> tuple[Any, ...]:
    if not kernel.settings.get("observers", ()).value:
        return ()
    return tuple(one for one in kernel.observers().objects if any(hasattr(one, event) for event in EVENTS))
