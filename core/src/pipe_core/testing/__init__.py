"""Conformance kits: what a plugin of each family must do, as tests that its author inherits.

A kit is a class of tests. Write a subclass that names the plugin, and run pytest::

    from pipe_core.testing import SchedulerConformance

    class TestMine(SchedulerConformance):
        scheduler = "mine"

Needs ``pip install pipe-core[testing]``. Nothing of it is loaded unless it is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pipe_core.testing.codecs import CodecConformance as CodecConformance
    from pipe_core.testing.executors import ExecutorConformance as ExecutorConformance
    from pipe_core.testing.formats import FormatConformance as FormatConformance
    from pipe_core.testing.hooks import HookConformance as HookConformance
    from pipe_core.testing.kit import Conformance as Conformance
    from pipe_core.testing.schedulers import SchedulerConformance as SchedulerConformance

_HOMES = {
    "CodecConformance": "codecs",
    "Conformance": "kit",
    "ExecutorConformance": "executors",
    "FormatConformance": "formats",
    "HookConformance": "hooks",
    "SchedulerConformance": "schedulers",
}

__all__ = [
    "CodecConformance",
    "Conformance",
    "ExecutorConformance",
    "FormatConformance",
    "HookConformance",
    "SchedulerConformance",
]

# Before they are imported: then a failing assertion of a kit shows its values, as one in a test file does.
pytest.register_assert_rewrite(
    *(f"{__name__}.{module}" for module in (*_HOMES.values(), "executing", "formatting", "leaks", "scheduling"))
)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
