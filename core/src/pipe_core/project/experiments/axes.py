"""Axes of drawings: where a value stands, and which round values are written beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_STEPS: Final = (1, 2, 5, 10)
_MOST: Final = 8
_WIDE: Final = 100.0
"""Values whose greatest one is so many times the least one are drawn by their order of magnitude."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The values from *low* to *high*, by their order of magnitude with *log*."""

    low: float
    high: float
    log: bool = False

    def share(self, value: float) -> float:
        """How far *value* is on the way from low (0) to high (1)."""
        if self.log:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round values, up to about eight of them."""
        return _powers(self.low, self.high) if self.log else _rounds(self.low, self.high)


def axis_of(values: Sequence[float]) -> Axis:
    """An axis with room for *values* and a little more."""
    low, high = min(values), max(values)
    if low > 0 and high / low >= _WIDE:
        room = (high / low) ** 0.05
        return Axis(low / room, high * room, log=True)
    room = 0.05 * (high - low) or abs(high) / 2 or 1.0
    return Axis(low - room, high + room)


def _rounds(low: float, high: float) -> list[float]:
    power = 10.0 ** math.floor(math.log10((high - low) / _MOST))
    step = next(power * factor for factor in _STEPS if (high - low) / (power * factor) <= _MOST)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(i * step, 12 - math.floor(math.log10(step))) for i in range(first, last + 1)]


def _powers(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    tens = [10.0**power for power in range(first, last + 1)]
    some = [ten for ten in tens if low <= ten <= high]
    if len(some) < 3:
        return [ten * factor for ten in tens for factor in _STEPS[:3] if low <= ten * factor <= high]
    return some[:: math.ceil(len(some) / _MOST)]
