"""Benchmarks: ``python tests/benchmarks/run.py``, or ``tox -e bench`` with the libraries to compare with.

Everything is run as a whole command in a process of its own, in interleaved rounds, and what it writes is checked. The
results go to the terminal and to ``bench-results/``. The exit code is 0 when everything ran and wrote what it should,
whatever the figures are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from codec import codecs
from command import prepare_environment
from figures import Section
from flows import FULL, LARGE, compare, with_hooks
from machine import described
from memory import growth
from results import as_markdown, show, write, write_page
from startup import start_up

ROOT = Path(__file__).parents[2]
Benchmark = Callable[[], Section]


def main(arguments: list[str] | None = None) -> None:
    """Measure, show, write."""
    options = _parser().parse_args(arguments)
    prepare_environment(options.results / "bytecode")
    machine = described()  # first: the load is that of others
    sections = []
    for name, benchmark in _chosen(options):
        print(f"… {name}", file=sys.stderr, flush=True)
        sections.append(benchmark())
    markdown = as_markdown(machine, sections, _remark(options))
    show(machine, sections)
    print(f"Written to {write(options.results, machine, sections, markdown)}")
    if options.write_docs:
        write_page(ROOT / "docs" / "pages" / "benchmarks.md", markdown)


def _chosen(options: argparse.Namespace) -> list[tuple[str, Benchmark]]:
    """The benchmarks asked for, in the order in which they run."""
    folder, rounds = options.results / "data", options.rounds
    count, memory, starts = FULL, 1_000_000, 10
    if options.memory:
        memory = 10_000_000
    if options.quick:
        rounds, count, memory, starts = 1, 20_000, 20_000, 1
    known: dict[str, Benchmark] = {
        "startup": lambda: start_up(starts),
        "codec": lambda: codecs(starts),
        "csv": lambda: compare(folder, "csv", count, rounds),
        "jsonl": lambda: compare(folder, "jsonl", count, rounds),
        "hooks": lambda: with_hooks(folder, count, rounds),
        "memory": lambda: growth(folder, memory),
    }
    if options.large:
        known["large"] = lambda: compare(folder, "csv", LARGE, max(rounds - 2, 1))
    unknown = set(options.only) - set(known)
    if unknown:
        raise SystemExit(f"There is no benchmark {', '.join(sorted(unknown))}. Known: {', '.join(known)}.")
    return [(name, benchmark) for name, benchmark in known.items() if not options.only or name in options.only]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Benchmarks of pipe, against other ways to do the same.")
    parser.add_argument("only", nargs="*", help="startup, codec, csv, jsonl, hooks, memory, large; default: all")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds of each comparison (default 5)")
    parser.add_argument("--large", action="store_true", help="also 2.5 million orders")
    parser.add_argument("--memory", action="store_true", help="10 million orders in the memory test, not 1 million")
    parser.add_argument("--quick", action="store_true", help="20,000 orders and one round: does everything run?")
    parser.add_argument("--results", type=Path, default=ROOT / "bench-results", metavar="FOLDER", help="where to write")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/pages/benchmarks.md")
    return parser


def _remark(options: argparse.Namespace) -> str:
    return "A quick run, to see whether everything works: **these figures say nothing**." if options.quick else ""


if __name__ == "__main__":
    main()
