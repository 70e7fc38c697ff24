"""The watchdog: ends a worker process that does not come back in time, whatever it does.

The standard library's fault handler counts in a thread of C that needs no turn of the interpreter, so that a hook that
never gives it up, such as a regular expression that backtracks for hours, is ended as well.
"""

from __future__ import annotations

import faulthandler
import math
import os
from typing import Final

_SLACK: Final = 0.25
"""How much later than the limit it may bark, as a share of the limit: so much apart are the feedings that cost."""

_sink: int | None = None


class Watchdog:
    """Ends the process when it was not fed for so long. There is one a process, whoever made it.

    Args:
        seconds: What the work between two feedings may take; `math.inf` for no limit. The end comes at up to a quarter
            more, because only every so often does a feeding set the clock again.

    Attributes:
        due: When the next feeding counts, on the clock `time.monotonic`. Feeding before does nothing.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.due = math.inf if seconds == math.inf else -math.inf

    def feed(self, now: float) -> None:
        """All is well at *now*."""
        if now < self.due or self._seconds == math.inf:
            return
        global _sink  # the fault handler writes down where the process hung; opened once and for good
        if _sink is None:
            _sink = os.open(os.devnull, os.O_WRONLY)
        faulthandler.dump_traceback_later(self._seconds * (1 + _SLACK), file=_sink, exit=True)
        self.due = now + self._seconds * _SLACK

    def rest(self) -> None:
        """Nothing is being worked on."""
        if self._seconds != math.inf:
            faulthandler.cancel_dump_traceback_later()
            self.due = -math.inf
