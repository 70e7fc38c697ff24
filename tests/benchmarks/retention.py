"""Memory of an executor: it must not depend on how many calls went through it."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Final

from command import measure, script
from figures import Figure, Section
from flows import WrongOutputError
from memory import grown
from systems import absent, present

FULL: Final = 1_000_000
TARGET: Final = 32.0


def retention(count: int, without: Collection[str] = ()) -> Section:
    """How much memory *count* calls through a queue of a thousand gain after the first twentieth.

    Raises:
        WrongOutputError: It lost calls.
    """
    section = Section(
        f"Memory over {count:,} calls",
        "Calls that do nothing, through a queue of 1,000 to two threads, of which the last 1,000 stay known. Growth is "
        "the most that was resident after 5 % less what was then.",
        ("calls", "resident MB"),
    )
    if not present(["threads"], without):
        section.missing("all", absent("threads"))
        return section
    told = json.loads(measure(script("retention_run.py", count)).output)
    if (told["completed"], told["known"]) != (count, min(count, 1_000)):
        raise WrongOutputError(f"{count:,} calls were submitted, and the executor says {told}.")
    growth, section.rows = grown(told["samples"])
    goal = TARGET if count >= FULL else None
    section.figures.append(Figure(f"growth over {count:,} calls", growth, "MB", goal, "less"))
    section.raw = {"samples": told["samples"]}
    return section
