"""Functions to look for the least value of."""

from __future__ import annotations

import math
from collections.abc import Sequence


def branin(point: Sequence[float]) -> float:
    """Branin's function: three places are the least, with 0.397887."""
    x, y = point
    bend = (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2
    return bend + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


BRANIN_SPACE = [(-5.0, 10.0), (0.0, 15.0)]
