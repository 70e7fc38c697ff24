"""Claims: who is making a result that others want as well.

A claim is a row in the index, so that all processes see it. Nobody has to give it up: the claim of a process that has
ended is over, however it has ended.
"""

from __future__ import annotations

import enum
import os
import platform
from collections.abc import Callable
from functools import cache
from time import monotonic, sleep, time
from typing import Final

from pipe_core.graph.caching.index import CacheIndex, Claim

_FIRST_PAUSE: Final = 0.002
_LONGEST_PAUSE: Final = 0.1
_CLOCK_SECONDS: Final = 5.0
"""The start of a process is known by the clock of the machine, which may have been set since."""


class Claimed(enum.Enum):
    """What came of a claim."""

    MINE = "mine"
    """Nobody else makes the result. Make it, and then put it or release it."""
    THEIRS = "theirs"
    """Somebody else is making it."""
    KEPT = "kept"
    """It is there."""


class Claims:
    """The claims of one process on results.

    Args:
        index: Where all claims are.
        has: Whether there is a result.
    """

    def __init__(self, index: CacheIndex, has: Callable[[str], bool]) -> None:
        self._index = index
        self._has = has

    def claim(self, signature: str, wait: float, lease: float) -> Claimed:
        """Claim a result for *lease* seconds. While it is somebody else's, wait so many seconds."""
        until, pause = monotonic() + wait, _FIRST_PAUSE
        while True:
            found = self._once(signature, lease)
            left = until - monotonic()
            if found is not Claimed.THEIRS or left <= 0:
                return found
            sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def release(self, signature: str) -> None:
        """Give up a claim, if it is of this process."""
        self._index.release(signature, platform.node(), os.getpid())

    def _once(self, signature: str, lease: float) -> Claimed:
        if self._has(signature):
            return Claimed.KEPT
        theirs = self._index.claim_on(signature)
        if theirs is not None and _holds(theirs):
            return Claimed.THEIRS
        number = os.getpid()
        mine = Claim(platform.node(), number, _start_of(number), time() + lease)
        if not self._index.claim(signature, mine, instead=theirs):
            return Claimed.THEIRS
        if self._has(signature):  # it was put, and its claim given up, since this looked for it first
            self.release(signature)
            return Claimed.KEPT
        return Claimed.MINE


@cache
def _start_of(process: int) -> float:
    """When this process was started; kept by its number, because a fork is another one."""
    import psutil

    began: float = psutil.Process(process).create_time()
    return began


def _holds(claim: Claim) -> bool:
    if claim.until < time():
        return False
    if claim.host != platform.node():
        return True  # until its time is over: nobody here can tell
    import psutil

    try:
        process = psutil.Process(claim.process)
        return abs(process.create_time() - claim.began) < _CLOCK_SECONDS and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # somebody else's, of which nothing is told
        return True
