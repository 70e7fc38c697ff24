"""How many workers are used, between two numbers: more while calls wait too long, fewer while none does."""

from __future__ import annotations

from typing import Any, Final

from pipe_core.kernel.errors import OptionsError

PATIENCE: Final = 0.05
"""Seconds that a call waits before another worker is used for it."""
REST: Final = 1.0
"""Seconds without waiting calls before one worker fewer is used."""


class Elastic:
    """Pure: it is told what waits and what time it is, and says how many may run.

    Args:
        low: At least so many.
        high: At most so many.

    Raises:
        OptionsError: They are no whole numbers from 1 on, or in the wrong order.

    Attributes:
        most: How many calls may run now.
    """

    def __init__(self, low: Any, high: Any) -> None:
        whole = all(isinstance(number, int) and not isinstance(number, bool) and number >= 1 for number in (low, high))
        if not whole or low > high:
            raise OptionsError(
                f"max_workers=({low!r}, {high!r}) wants two whole numbers from 1 on, the smaller one first."
            )
        self._low, self._high = low, high
        self.most: int = low
        self._changed = 0.0
        self._quiet_since: float | None = None

    def look(self, now: float, waiting_since: float | None) -> float | None:
        """Adapt the number to the call that has waited longest. Seconds until somebody should look again, or None.

        Args:
            now: The time.
            waiting_since: Since when that call waits, by the same clock; None when none does.
        """
        if waiting_since is None:
            return self._rest(now)
        self._quiet_since = None
        if self.most == self._high:
            return None
        ripe = max(waiting_since, self._changed) + PATIENCE
        if now < ripe:
            return ripe - now
        self.most += 1
        self._changed = now
        return PATIENCE if self.most < self._high else None

    def _rest(self, now: float) -> float | None:
        if self.most == self._low:
            self._quiet_since = None
            return None
        if self._quiet_since is None:
            self._quiet_since = now
        if now >= self._quiet_since + REST:
            self.most -= 1
            self._quiet_since = now
        return self._quiet_since + REST - now if self.most > self._low else None
