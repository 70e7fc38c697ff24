"""Waits of tests for what other threads do."""

from __future__ import annotations

import time
from collections.abc import Callable

LIMIT = 30.0
"""How long anything is waited for: nothing here takes long, and what hangs fails."""


def wait_for(holds: Callable[[], object]) -> None:
    """Return as soon as something holds."""
    deadline = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)
