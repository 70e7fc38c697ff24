"""Benchmarks: ``python tests/benchmarks/run.py``, or ``tox -e bench`` with the libraries to compare with.

Everything runs in processes of its own, in interleaved rounds, and what it writes is checked. The results go to the
terminal and to ``bench-results/``. The exit code is 0 when everything ran and wrote what it should, whatever the
figures are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import events
import footprint
import ledger
import rate
import retention
import scheduling
import stealing
import submit
import tasks
import unsplit
import waiting
from codec import codecs
from command import prepare_environment
from few import few
from figures import Section
from flows import FULL, LARGE, compare, in_processes, with_hooks
from given import clusters, driver
from machine import described
from memory import growth
from protection import protection
from results import as_markdown, show, write, write_page
from starts import starts
from startup import start_up
from systems import PACKAGES

ROOT = Path(__file__).parents[2]
Benchmark = Callable[[], Section]
GROUPS: Final = {
    "records": ("startup", "codec", "csv", "jsonl", "hooks", "memory", "large"),
    "executors": (
        "processes",
        "clusters",
        "unsplit",
        "driver",
        "waiting",
        "few",
        "protection",
        "tasks",
        "starts",
    ),
    "calls": ("submit", "events", "ledger", "footprint", "stealing", "scheduling", "rate", "retention"),
}
"""Benchmarks that are asked for together."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything: orders, calls, events, repetitions."""

    orders: int = FULL
    many: int = LARGE
    in_memory: int = 1_000_000
    generated: int = unsplit.FULL
    waited: int = waiting.FULL
    calls: int = tasks.FULL
    cluster_calls: int = tasks.FEW
    starts: int = 10
    cluster_starts: int = 5
    submitted: int = submit.FULL
    appended: int = events.FULL
    crowds: tuple[int, int] = events.CROWDS
    moved: int = ledger.FULL
    kept: int = footprint.FULL
    seeds: int = stealing.FULL
    pushed: int = scheduling.FULL
    limited: int = rate.FULL
    retained: int = retention.FULL


QUICK: Final = Sizes(
    orders=20_000,
    many=5_000,
    in_memory=20_000,
    generated=1_000,
    waited=500,
    calls=200,
    cluster_calls=50,
    starts=1,
    cluster_starts=1,
    submitted=500,
    appended=200,
    crowds=(100, 1_000),
    moved=10_000,
    kept=2_000,
    seeds=3,
    pushed=1_000,
    limited=500,
    retained=5_000,
)


def main(arguments: list[str] | None = None) -> None:
    """Measure, show, write."""
    options = _parser().parse_args(arguments)
    chosen = _chosen(options)
    prepare_environment(options.results / "bytecode")
    machine = described()  # first: the load is that of others
    sections: list[Section] = []
    try:
        for name, benchmark in chosen:
            print(f"… {name}", file=sys.stderr, flush=True)
            sections.append(benchmark())
    finally:  # what was measured before one of them failed took long
        markdown = as_markdown(machine, sections, _remark(options))
        show(machine, sections)
        print(f"Written to {write(options.results, machine, sections, markdown)}")
    if options.write_docs:
        write_page(ROOT / "docs" / "pages" / "benchmarks.md", markdown)


def _chosen(options: argparse.Namespace) -> list[tuple[str, Benchmark]]:
    """The benchmarks asked for, in the order in which they run."""
    known = _known(options)
    asked = {name for word in options.only for name in GROUPS.get(word, (word,))}
    if unknown := asked - set(known) - {"large"}:
        words = ", ".join((*known, *GROUPS))
        raise SystemExit(f"There is no benchmark {', '.join(sorted(unknown))}. Known: {words}.")
    asked = asked or set(known)
    if not (options.large or "large" in options.only):
        asked.discard("large")
    return [(name, benchmark) for name, benchmark in known.items() if name in asked]


def _known(options: argparse.Namespace) -> dict[str, Benchmark]:
    folder, rounds = options.results / "data", 1 if options.quick else options.rounds
    sizes = QUICK if options.quick else Sizes()
    in_memory = 10_000_000 if options.memory and not options.quick else sizes.in_memory
    return {
        "startup": lambda: start_up(sizes.starts),
        "codec": lambda: codecs(sizes.starts),
        "csv": lambda: compare(folder, "csv", sizes.orders, rounds),
        "jsonl": lambda: compare(folder, "jsonl", sizes.orders, rounds),
        "hooks": lambda: with_hooks(folder, sizes.orders, rounds),
        "memory": lambda: growth(folder, in_memory),
        "large": lambda: compare(folder, "csv", LARGE, max(rounds - 2, 1)),
        "processes": lambda: in_processes(folder, sizes.many, rounds),
        "clusters": lambda: clusters(folder, sizes.many, rounds, options.without),
        "unsplit": lambda: unsplit.unsplit(folder, sizes.generated, rounds),
        "driver": lambda: driver(folder, sizes.many, rounds, options.without),
        "waiting": lambda: waiting.waiting(sizes.waited, rounds),
        "few": lambda: few(folder, sizes.starts),
        "protection": lambda: protection(folder, sizes.many, rounds),
        "tasks": lambda: tasks.tasks(sizes.calls, sizes.cluster_calls, rounds, options.without),
        "starts": lambda: starts(sizes.cluster_starts, options.without),
        "submit": lambda: submit.submit(sizes.submitted, rounds, options.without),
        "events": lambda: events.events(sizes.appended, sizes.crowds, rounds),
        "ledger": lambda: ledger.ledger(sizes.moved, rounds),
        "footprint": lambda: footprint.footprint(sizes.kept),
        "stealing": lambda: stealing.stealing(sizes.seeds),
        "scheduling": lambda: scheduling.scheduling(sizes.pushed, rounds),
        "rate": lambda: rate.rate(sizes.limited),
        "retention": lambda: retention.retention(sizes.retained, options.without),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Benchmarks of pipe, against other ways to do the same.")
    words = "; ".join(f"{group} = {', '.join(names)}" for group, names in GROUPS.items())
    parser.add_argument("only", nargs="*", help=f"names of benchmarks or groups: {words}; default: all but large")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds of each comparison (default 5)")
    leaving = "leave these executors out where several are compared: dask, ray"
    parser.add_argument("--without", nargs="+", default=[], metavar="NAME", choices=list(PACKAGES), help=leaving)
    parser.add_argument("--large", action="store_true", help="also 2.5 million orders in one process")
    parser.add_argument("--memory", action="store_true", help="10 million orders in the memory test, not 1 million")
    parser.add_argument("--quick", action="store_true", help="little of everything and one round: does it run?")
    parser.add_argument("--results", type=Path, default=ROOT / "bench-results", metavar="FOLDER", help="where to write")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/pages/benchmarks.md")
    return parser


def _remark(options: argparse.Namespace) -> str:
    return "A quick run, to see whether everything works: **these figures say nothing**." if options.quick else ""


if __name__ == "__main__":
    main()
