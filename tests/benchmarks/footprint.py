"""The memory that an event executor adds to its events."""

from __future__ import annotations

import json
from typing import Final

from command import measure, script
from figures import Figure, Section

FULL: Final = 100_000
TARGET: Final = 11.0


def footprint(count: int) -> Section:
    """Bytes of *count* events, with and without an executor."""
    told = json.loads(measure(script("footprint_run.py", count)).output)
    shares = [100 * (told[kept] / told[own] - 1) for kept, own in (("waiting", "made"), ("ended", "invoked"))]
    return Section(
        f"Memory of {count:,} events",
        "Bytes an event, as Python allocated them: of events without fields of their own, which are the smallest there "
        "are, and of the same in an executor, with all that it knows of them and its history of 10,000 moves.",
        ("events", "by themselves", "in an executor", "more by"),
        [
            ("made, and waiting", f"{told['made']:,.0f}", f"{told['waiting']:,.0f}", f"{shares[0]:.1f} %"),
            ("ended", f"{told['invoked']:,.0f}", f"{told['ended']:,.0f}", f"{shares[1]:.1f} %"),
        ],
        [
            Figure("memory of an executor against that of its ended events", shares[1], "%", _goal(count), "less"),
            Figure("memory of an executor against that of its waiting events", shares[0], "%", None, "less"),
        ],
        told,
    )


def _goal(count: int) -> float | None:
    return TARGET if count >= FULL else None
