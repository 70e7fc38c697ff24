"""Projects: what a run adds to the graph, how fast files are checked, and how soon a node begins."""

from __future__ import annotations

import json
from statistics import median
from typing import Final

from command import measure, script
from figures import Figure, Section

FULL: Final = 200
CHECKED: Final = 500


def projects(nodes: int, checked: int, rounds: int) -> Section:
    """Run a pipeline of no-ops, check a large project, and let a node wait for one of two."""
    told = [json.loads(measure(script("projects_run.py", nodes, checked)).output) for _ in range(rounds)]
    found = {key: median(one[key] for one in told) for key in told[0]}
    return Section(
        "Projects",
        f"A pipeline of {nodes:,} no-ops in a chain on `sync`: microseconds a node that a run adds to those of the "
        f"bare graph, with its journal and without. `pipe check` of {checked:,} nodes in one YAML file, as a command. "
        f"`c` needs `a` (0.05 s) and not `b` (2 s), on threads, 4 workers: seconds from the end of `a` to the "
        f"beginning of `c`. Medians of {rounds} rounds.",
        ("what", "measured"),
        [
            ("a node of the bare graph", f"{found['bare']:.2f} µs"),
            ("a node of a project adds, journal on", f"{found['journal']:.1f} µs"),
            ("a node of a project adds, no journal", f"{found['plain']:.1f} µs"),
            (f"`pipe check`, {checked:,} nodes", f"{found['check']:.2f} s"),
            ("from the end of `a` to the beginning of `c`", f"{1000 * found['start']:.1f} ms"),
        ],
        [
            Figure("a node of a project, over the bare graph, journal on", found["journal"], "µs", 50, "less"),
            Figure(
                f"`pipe check` of {checked:,} nodes", found["check"], "s", 1 if checked >= CHECKED else None, "less"
            ),
            Figure("`c` begins behind the end of `a`", found["start"], "s", 0.1, "less"),
        ],
        {"rounds": told},
    )
