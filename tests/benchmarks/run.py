"""Benchmarks: ``python tests/benchmarks/run.py``, or ``tox -e bench`` with the libraries to compare with.

Everything runs in processes of its own, in interleaved rounds, and what it writes is checked. The results go to the
terminal and to ``bench-results/``. The exit code is 0 when everything ran and wrote what it should, whatever the
figures are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import caching
import chain
import cores
import events
import footprint
import holding
import ledger
import nodes
import overlap
import projects
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
    "graphs": ("chain", "nodes", "overlap", "cores", "holding", "caching"),
    "projects": ("projects",),
}
"""Benchmarks that are asked for together."""


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
    def size(full: int, quick: int) -> int:
        """Orders, calls, events, repetitions or what else a benchmark has some of."""
        return quick if options.quick else full

    folder, rounds, without = options.results / "data", size(options.rounds, 1), options.without
    repeated, orders, many = size(10, 1), size(FULL, 20_000), size(LARGE, 5_000)
    crowds = (100, 1_000) if options.quick else events.CROWDS
    return {
        "startup": lambda: start_up(repeated),
        "codec": lambda: codecs(repeated),
        "csv": lambda: compare(folder, "csv", orders, rounds),
        "jsonl": lambda: compare(folder, "jsonl", orders, rounds),
        "hooks": lambda: with_hooks(folder, orders, rounds),
        "memory": lambda: growth(folder, size(10_000_000 if options.memory else 1_000_000, 20_000)),
        "large": lambda: compare(folder, "csv", LARGE, max(rounds - 2, 1)),
        "processes": lambda: in_processes(folder, many, rounds),
        "clusters": lambda: clusters(folder, many, rounds, without),
        "unsplit": lambda: unsplit.unsplit(folder, size(unsplit.FULL, 1_000), rounds),
        "driver": lambda: driver(folder, many, rounds, without),
        "waiting": lambda: waiting.waiting(size(waiting.FULL, 500), rounds),
        "few": lambda: few(folder, repeated),
        "protection": lambda: protection(folder, many, rounds),
        "tasks": lambda: tasks.tasks(size(tasks.FULL, 200), size(tasks.FEW, 50), rounds, without),
        "starts": lambda: starts(size(5, 1), without),
        "submit": lambda: submit.submit(size(submit.FULL, 500), rounds, without),
        "events": lambda: events.events(size(events.FULL, 200), crowds, rounds),
        "ledger": lambda: ledger.ledger(size(ledger.FULL, 10_000), rounds),
        "footprint": lambda: footprint.footprint(size(footprint.FULL, 2_000)),
        "stealing": lambda: stealing.stealing(size(stealing.FULL, 3)),
        "scheduling": lambda: scheduling.scheduling(size(scheduling.FULL, 1_000), rounds),
        "rate": lambda: rate.rate(size(rate.FULL, 500)),
        "retention": lambda: retention.retention(size(retention.FULL, 5_000), without),
        "chain": lambda: chain.chain(size(chain.FULL, 50), rounds),
        "nodes": lambda: nodes.nodes(size(nodes.FULL, 20), rounds, without),
        "overlap": lambda: overlap.overlap(rounds, without),
        "cores": lambda: cores.cores(size(cores.FULL, 50), rounds, without),
        "holding": lambda: holding.holding(size(holding.FULL, 1_000)),
        "caching": lambda: caching.caching(folder / "cache", size(caching.FULL, 200), rounds),
        "projects": lambda: projects.projects(size(projects.FULL, 20), size(projects.CHECKED, 20), rounds),
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
