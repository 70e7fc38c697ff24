"""What is wrong with numbers that should be there once each, in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is wrong with the numbers of one sink. False where nothing is."""

    lost: tuple[int, ...] = ()
    duplicated: tuple[int, ...] = ()
    wrong: tuple[int, ...] = ()
    out_of_order: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.lost or self.duplicated or self.wrong or self.out_of_order)

    def __str__(self) -> str:
        kinds = {
            "lost": self.lost,
            "duplicated": self.duplicated,
            "wrong": self.wrong,
            "out of order": self.out_of_order,
        }
        return "; ".join(f"{len(found):,} {kind}: {_shown(found)}" for kind, found in kinds.items() if found)


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong with the sink and with the error sink of a run. False where nothing is."""

    sink: Comparison
    errors: Comparison

    def __bool__(self) -> bool:
        return bool(self.sink or self.errors)

    def __str__(self) -> str:
        found = {"the sink": self.sink, "the error sink": self.errors}
        return ". ".join(f"In {name}: {what}" for name, what in found.items() if what) or "nothing is wrong"


def compared(found: Sequence[int], wanted: Sequence[int]) -> Comparison:
    """What is wrong with the numbers *found*, where those *wanted* should be, which grow."""
    times, due = Counter(found), set(wanted)
    return Comparison(
        lost=tuple(number for number in wanted if number not in times),
        duplicated=tuple(sorted(number for number, often in times.items() if often > 1)),
        wrong=tuple(sorted(times.keys() - due)),
        out_of_order=tuple(after for before, after in pairwise(found) if after < before),
    )


def _shown(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:_SHOWN])) + (", …" if len(numbers) > _SHOWN else "")
