"""The kinds of parameters that an experiment can vary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Final, TypeAlias

from pipe_core.kernel.error_text import short_repr
from pipe_core.kernel.errors import OptionsError

_SCALARS: Final = (bool, int, float, str, type(None))


@dataclass(frozen=True, slots=True)
class Float:
    """A number between *low* and *high*, both included.

    Args:
        low: The least value.
        high: The greatest value.
        log: Whether it is the order of magnitude that matters: as much between 0.001 and 0.01 as between 0.01 and 0.1.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        """Check the bounds, and make them floats."""
        object.__setattr__(self, "low", _number(self.low))
        object.__setattr__(self, "high", _number(self.high))
        _check_bounds(self.low, self.high, self.log)

    def at(self, share: float) -> float:
        """The value at a share of the way from low (0) to high (1)."""
        low, high = _ends(self.low, self.high, self.log)
        value = low * (1 - share) + high * share
        return min(max(math.exp(value) if self.log else value, self.low), self.high)

    def grid(self, most: int) -> list[float]:
        """*most* values at equal steps, the bounds among them; the one in the middle if there may be one only."""
        if most == 1:
            return [self.at(0.5)]
        return [self.low, *(self.at(i / (most - 1)) for i in range(1, most - 1)), self.high]

    def __str__(self) -> str:
        return _shown(self.low, self.high, self.log)

    def holds(self, value: Any) -> bool:
        """Whether *value* is one."""
        return _is_a(Real, value) and self.low <= float(value) <= self.high

    def to_plain(self, value: float) -> float:
        """*value* for a file."""
        return float(value)

    def from_plain(self, plain: Any) -> float:
        """The value again."""
        return float(plain)


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number between *low* and *high*, both included.

    Args:
        low: The least value.
        high: The greatest value.
        log: As for `Float`.
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        """Check the bounds."""
        for bound in (self.low, self.high):
            if isinstance(bound, bool) or not isinstance(bound, int):
                raise OptionsError(f"{bound!r} is no whole number. Write Float(...) for a range of other numbers.")
        _check_bounds(self.low, self.high, self.log)

    def at(self, share: float) -> int:
        """The value at a share of the way from low (0) to high (1); every one has a part of the way, also the ends."""
        low, high = _ends(self.low - 0.5, self.high + 0.5, self.log)
        value = low * (1 - share) + high * share
        return min(max(math.floor((math.exp(value) if self.log else value) + 0.5), self.low), self.high)

    def grid(self, most: int) -> list[int]:
        """Up to *most* values at equal steps, the bounds among them."""
        if self.high - self.low + 1 <= most:
            return list(range(self.low, self.high + 1))
        return sorted({round(value) for value in Float(self.low, self.high, self.log).grid(most)})

    def __str__(self) -> str:
        return _shown(self.low, self.high, self.log)

    def holds(self, value: Any) -> bool:
        """Whether *value* is one."""
        return _is_a(Integral, value) and self.low <= int(value) <= self.high

    def to_plain(self, value: int) -> int:
        """*value* for a file."""
        return int(value)

    def from_plain(self, plain: Any) -> int:
        """The value again."""
        return int(plain)


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of several values that have no order.

    Args:
        choices: The values: text, numbers, None, or anything else that its repr tells from the others.
    """

    choices: tuple[Any, ...]

    def __init__(self, choices: Sequence[Any]) -> None:
        object.__setattr__(self, "choices", tuple(choices))
        if not self.choices:
            raise OptionsError("A parameter with no choices cannot have a value. Give at least one.")
        seen: set[Any] = set()
        for choice in self.choices:
            if (key := _key(choice)) in seen:
                raise OptionsError(f"The choice {short_repr(choice)} is there twice. Every choice must be another one.")
            seen.add(key)

    def at(self, share: float) -> Any:
        """The choice at a share of the way from the first to behind the last one."""
        return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]

    def grid(self, most: int) -> list[Any]:
        """All choices, whatever is wanted: none stands for another."""
        return list(self.choices)

    def __str__(self) -> str:
        return ", ".join(map(str, self.choices))

    def holds(self, value: Any) -> bool:
        """Whether *value* is one."""
        return _key(value) in map(_key, self.choices)

    def number(self, value: Any) -> int:
        """Which of the choices *value* is, from 0 on.

        Raises:
            ValueError: It is none.
        """
        return [_key(choice) for choice in self.choices].index(_key(value))

    def to_plain(self, value: Any) -> Any:
        """*value* for a file: as it is, or its repr."""
        return value if isinstance(value, _SCALARS) else repr(value)

    def from_plain(self, plain: Any) -> Any:
        """The choice again.

        Raises:
            ValueError: None is written so.
        """
        key = _key(plain)
        for choice in self.choices:
            if _key(self.to_plain(choice)) == key:
                return choice
        raise ValueError(f"{plain!r} is none of the choices")


Dimension: TypeAlias = Float | Integer | Categorical
"""One parameter."""


def _key(choice: Any) -> Any:
    """What tells choices apart: 1, 1.0 and True are three."""
    return (type(choice).__name__, choice) if isinstance(choice, _SCALARS) else ("", repr(choice))


def _is_a(kind: type, value: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionsError(f"{short_repr(value)} is no bound of a range: give a number.")
    return float(value)


def _check_bounds(low: float, high: float, log: bool) -> None:
    if not math.isfinite(low) or not math.isfinite(high) or not math.isfinite(high - low):
        raise OptionsError(f"A range from {low} to {high} has no end. Give finite numbers.")
    if not low < high:
        raise OptionsError(f"The range from {low} to {high} is empty: the first number must be the lower one.")
    if log and low <= 0:
        raise OptionsError(f"A range on a logarithmic scale must begin above 0, not at {low}.")


def _shown(low: float, high: float, log: bool) -> str:
    return f"{low:g} to {high:g}" + (", logarithmic" if log else "")


def _ends(low: float, high: float, log: bool) -> tuple[float, float]:
    return (math.log(low), math.log(high)) if log else (low, high)
