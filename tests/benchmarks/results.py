"""Results as Markdown, as JSON, on the terminal and in the manual."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from figures import Figure, Section

BEGIN: Final = "<!-- results: written by tests/benchmarks/run.py --write-docs -->"
END: Final = "<!-- end of results -->"


def as_markdown(machine: dict[str, str], sections: Sequence[Section], remark: str = "") -> str:
    """Everything as Markdown: the targets first, then the tables, then the machine."""
    figures = [figure for section in sections for figure in section.figures]
    reached = sum(figure.reached is True for figure in figures)
    with_target = sum(figure.target is not None for figure in figures)
    parts = [remark] if remark else []
    parts += [f"### Targets: {reached} of {with_target} reached", _figures(figures)]
    for section in sections:
        parts += [f"### {section.title}", section.text, as_table(section.columns, section.rows)]
    parts += ["### Measured with", as_table(("", ""), list(machine.items()))]
    return "\n\n".join(parts) + "\n"


def write(folder: Path, machine: dict[str, str], sections: Sequence[Section], markdown: str) -> Path:
    """Write ``results.json``, ``results.md`` and ``evidence.txt``; return the path of the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    data = {"machine": machine, "sections": [_as_data(section) for section in sections]}
    (folder / "results.json").write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")
    evidence = (f"{section.title}\n\n{section.evidence}\n" for section in sections if section.evidence)
    (folder / "evidence.txt").write_text("\n".join(evidence), encoding="utf-8")
    path = folder / "results.md"
    path.write_text(markdown, encoding="utf-8")
    return path


def write_page(page: Path, markdown: str) -> None:
    """Put the results between the markers of a page of the manual.

    Raises:
        ValueError: The page has no such markers.
    """
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no markers '{BEGIN}' and '{END}'.")
    page.write_text(f"{before}{BEGIN}\n\n{markdown}\n{END}{after}", encoding="utf-8")


def show(machine: dict[str, str], sections: Sequence[Section]) -> None:
    """Print tables, with the targets last, where a person looks."""
    from rich.console import Console
    from rich.table import Table

    console = Console()

    def table(title: str, columns: Iterable[str], rows: Iterable[Sequence[str]]) -> None:
        shown = Table(*columns, title=title, title_justify="left")
        for row in rows:
            shown.add_row(*row)
        console.print(shown)

    for section in sections:
        table(section.title, section.columns, section.rows)
    figures = [figure.cells for section in sections for figure in section.figures]
    table("Targets", ("figure", "value", "target", "reached"), [(*cells[:3], cells[3].strip("*")) for cells in figures])
    console.print(", ".join(f"{name}: {value}" for name, value in machine.items()))


def _figures(figures: Sequence[Figure]) -> str:
    return as_table(("figure", "value", "target", "reached"), [figure.cells for figure in figures])


def as_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _as_data(section: Section) -> dict[str, object]:
    figures = [{**asdict(figure), "reached": figure.reached} for figure in section.figures]
    return {**asdict(section), "figures": figures}
