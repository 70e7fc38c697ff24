"""Maps with a disk cache: a second run, and two processes at once."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Final

from command import measure, script
from figures import Figure, Section

FULL: Final = 10_000
TARGET: Final = 20.0


def caching(folder: Path, items: int, rounds: int) -> Section:
    """Map a node of 1 ms over many items, twice; then in two processes at the same time."""
    plain, firsts, seconds, twins = [], [], [], []
    for _ in range(rounds):
        told = json.loads(measure(script("caching_run.py", "twice", folder, items)).output)
        plain.append(told["plain"])
        firsts.append(told["first"])
        seconds.append(told["second"])
        twins.append(json.loads(measure(script("caching_run.py", "twins", folder, items // 10)).output))
    gain = median(without / second for without, second in zip(plain, seconds, strict=True))
    computed = max(one["computed"] for one in twins)
    expected = items // 10
    return Section(
        "Disk cache",
        f"A node that waits 1 ms, mapped over {items:,} items: without a cache, with one, and again by a new engine "
        f"and a new cache over the same folder; results are compared. Then {expected:,} items in two processes that "
        f"begin at the same moment, and count what they compute. {rounds} rounds.",
        ("run", "seconds", "an item"),
        [
            ("without a cache", f"{median(plain):.2f}", f"{1e6 * median(plain) / items:.0f} µs"),
            (
                "the first with one, which computes and keeps",
                f"{median(firsts):.2f}",
                f"{1e6 * median(firsts) / items:.0f} µs",
            ),
            ("the second, which finds", f"{median(seconds):.2f}", f"{1e6 * median(seconds) / items:.0f} µs"),
            (
                f"two at once: computed {computed:,} of {expected:,}",
                f"{median(one['seconds'] for one in twins):.2f}",
                "",
            ),
        ],
        [
            Figure("second run with a disk cache against computing", gain, "x", TARGET if items >= FULL else None),
            Figure("two processes at once: items computed for each item", computed / expected, "x", 1.0, "less"),
        ],
        {"plain": plain, "first": firsts, "second": seconds, "twins": twins},
    )
