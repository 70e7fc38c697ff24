"""Tests that measure the machine have it to themselves, also where tests run beside each other, and Ctrl-C works."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest


class Room:
    """Where tests of several processes are at the same time, or a single one that wants to be alone.

    Who waits for the room keeps the door locked: nobody who comes later gets in before.

    Attributes:
        kept: Whether a test that is over has left the room to the next one of this process.
    """

    kept = False

    def __init__(self) -> None:
        # Both are there for all processes, and no other program locks them.
        self._door, self._room = (os.open(path, os.O_RDONLY) for path in (Path(__file__).parent, __file__))

    def enter(self, *, alone: bool) -> None:
        """Wait until nobody is in the room, or only those who do not mind."""
        fcntl.flock(self._door, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        finally:
            fcntl.flock(self._door, fcntl.LOCK_UN)

    def leave(self) -> None:
        """Let others in."""
        fcntl.flock(self._room, fcntl.LOCK_UN)


_room: Room | None = None


def pytest_configure(config: pytest.Config) -> None:
    """Be open to Ctrl-C. A process of pytest-xdist shares the room with the others; a single one needs none."""
    global _room
    # Tests press Ctrl-C. A shell that starts them in the background has it ignored, by them and all that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput"):
        _room = Room()
    with contextlib.suppress(ImportError):  # some plugins have no use for it
        from hypothesis import settings

        settings.register_profile("patient", settings(), deadline=None)  # a busy machine is no failure
        settings.load_profile("patient")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Wait for the room before anything else: that takes nothing of the time that a test has.

    Who is alone stays for the next test that wants to be: the others wait once for all of them.
    """
    if _room is None:
        return (yield)
    alone = _is_alone(item)
    if not _room.kept:
        _room.enter(alone=alone)
    try:
        return (yield)
    finally:
        _room.kept = alone and nextitem is not None and _is_alone(nextitem)
        if not _room.kept:
            _room.leave()


def _is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None
