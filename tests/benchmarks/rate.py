"""Rate limits: every call starts when it may, and none before."""

from __future__ import annotations

import json
from typing import Any, Final

from command import measure, script
from figures import Figure, Section

FULL: Final = 10_000
Told = list[dict[str, Any]]


def rate(count: int) -> Section:
    """Let *count* calls through buckets, by a clock that is only a number."""
    found: Told = json.loads(measure(script("rate_run.py", count)).output)
    return Section(
        f"Rate limits, {count:,} calls",
        "By a clock that is only a number, so that it comes out the same everywhere. A call starts at another time "
        "than by arithmetic where they are more than a nanosecond apart.",
        ("limit", "last start, s", "by arithmetic, s", "largest distance, ns", "most in that time", "allowed"),
        [
            (
                one["limit"],
                f"{one['last']:,.3f}",
                f"{one['should']:,.3f}",
                f"{1e9 * one['off']:.3f}",
                f"{one['most']:,}",
                f"{one['allowed']:,}",
            )
            for one in found
        ],
        [
            Figure("calls that a rate limit starts at the exact time", _exact(found, count), "%", 100.0),
            Figure("most starts against what a rate limit allows", _most(found), "x", 1.0, "less"),
        ],
        {"limits": found},
    )


def _exact(found: Told, count: int) -> float:
    return 100 * (1 - sum(one["wrong"] for one in found) / (count * len(found)))


def _most(found: Told) -> float:
    return float(max(one["most"] / one["allowed"] for one in found))
