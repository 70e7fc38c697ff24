"""The memory that a map needs beside its results."""

from __future__ import annotations

import json
from typing import Final

from command import measure, script
from figures import Figure, Section
from graphs import SHAPES

FULL: Final = 100_000
TARGET: Final = 32.0


def holding(count: int) -> Section:
    """The most that a map of *count* items holds, against the same results made by hand."""
    told = json.loads(measure(script("holding_run.py", count)).output)
    results, most, kept = (told[name] / 1e6 for name in ("results", "most", "kept"))
    return Section(
        f"Memory of a map, {count:,} items",
        f"A chain of {SHAPES['chain']} nodes, in the calling thread, with all outputs; in MB as Python allocated them. "
        "By itself: a list of the same dictionaries, made by a plain loop. All results are checked.",
        ("results", "MB"),
        [
            ("by themselves", f"{results:.1f}"),
            ("in the result of a map", f"{kept:.1f}"),
            ("the most that there was during the map", f"{most:.1f}"),
        ],
        [
            Figure(
                f"memory of a map of {count:,} items beside its results",
                most - results,
                "MB",
                TARGET if count >= FULL else None,
                "less",
            )
        ],
        told,
    )
