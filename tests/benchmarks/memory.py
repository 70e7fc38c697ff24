"""Memory: it must not depend on how long the input is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from command import measure, script
from figures import Figure, Section
from flows import WrongOutputError
from orders import bad_count

TARGETS: Final = {1_000_000: 32.0, 10_000_000: 64.0}
"""Megabytes of growth allowed, by the number of records."""


def growth(folder: Path, count: int) -> Section:
    """How much memory a run over *count* orders gains after its first twentieth.

    Raises:
        WrongOutputError: It lost records.
    """
    target = folder / "memory.jsonl"
    measured = measure(script("memory_run.py", count, target))
    told = json.loads(measured.output)
    if (told["read"], told["failed"]) != (count, bad_count(count)):
        raise WrongOutputError(f"{count:,} orders went in, and the report says {told}.")
    for path in (target, Path(f"{target}.errors.jsonl")):
        path.unlink()
    more, rows = grown(told["samples"])
    return Section(
        f"Memory over {count:,} orders",
        f"Orders made on the way, through a schema to JSON lines, in {measured.seconds:.0f} s. "
        f"Growth is the most that was resident after 5 % less what was then.",
        ("records", "resident MB"),
        [*rows, ("peak", f"{measured.peak_bytes / 1e6:.1f}")],
        [Figure(f"growth over {count:,} records", more, "MB", TARGETS.get(count), "less")],
        {"samples": told["samples"], "seconds": measured.seconds},
    )


def grown(samples: Sequence[int]) -> tuple[float, list[Sequence[str]]]:
    """Megabytes gained after the first twentieth of *samples*, which are bytes, and rows that show some of them."""
    resident = [sample / 1e6 for sample in samples]
    early, most = resident[len(resident) // 20 - 1], max(resident[len(resident) // 20 - 1 :])
    shown = [(f"{share} %", f"{resident[share * len(resident) // 100 - 1]:.1f}") for share in (5, 25, 50, 75, 100)]
    return most - early, list(shown)
