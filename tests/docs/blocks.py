"""The code blocks of a Markdown page, and what the page says they print.

How a page is written, so that every block of it can be run:

* A ``python`` block is run. Blocks of one page share their names, in order, and a folder that is empty at first.
* A block with ``title="name"`` is not run but written to a file of that name, as a reader would save it.
* A comment ``# -> text`` behind a statement says what the statement prints, or the repr of what an expression is.
* A ``console`` block holds commands behind ``$``, each with what it prints on both streams. A command that says nothing
  may print anything. One that fails must be followed by ``$ echo $?`` and its exit code.
* ``...`` in what is printed stands for anything, or for nothing.
* A block behind ``<!-- not run: reason -->`` is left out. `NOT_RUN` in the tests says how many there may be.
* A block behind ``<!-- needs: pipe-x -->`` is left out where one of the distributions named there is not installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RUN = frozenset({"python", "console"})
SHOWN = frozenset({"mermaid", "text", "json", "yaml", "toml", "csv", "sh"})
"""Languages that are not run. A ``sh`` block is always behind ``not run``; settings and data have titles."""

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>\w*) *(?P<more>.*)$")
_NOT_RUN = re.compile(r"<!--\s*not run:\s*(?P<reason>[^>]+?)\s*-->")
_NEEDS = re.compile(r"<!--\s*needs:\s*(?P<names>[^>]+?)\s*-->")
_SAID = re.compile(r"#\s*->\s?(?P<text>.*)$")


@dataclass(frozen=True, slots=True)
class Block:
    """A code block. `line` is that of its first line of code, counted from 1; `needs` names distributions."""

    page: str
    line: int
    language: str
    text: str
    title: str | None = None
    not_run: str | None = None
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a console block, and what the page says it prints; None for nothing said."""

    line: int
    text: str
    prints: str | None


def blocks(path: Path) -> list[Block]:
    """All code blocks of the page at *path*, in order."""
    return list(_blocks(path.name, path.read_text("utf-8").splitlines()))


def _blocks(page: str, lines: list[str]) -> Iterator[Block]:
    i = 0
    reason: str | None = None
    needs: tuple[str, ...] = ()
    while i < len(lines):
        if found := _NOT_RUN.search(lines[i]):
            reason = found["reason"]
        elif found := _NEEDS.search(lines[i]):
            needs = tuple(re.split(r",\s*", found["names"]))
        elif opening := _FENCE.match(lines[i]):
            indent, fence = len(opening["indent"]), opening["fence"]
            end = next((k for k in range(i + 1, len(lines)) if lines[k].strip() == fence), None)
            if end is None:
                raise ValueError(f"{page}:{i + 1}: this code block has no end")
            text = "\n".join(line[indent:] for line in lines[i + 1 : end]) + "\n"
            title = re.search(r'title="([^"]+)"', opening["more"])
            yield Block(page, i + 2, opening["language"], text, title[1] if title else None, reason, needs)
            i, reason, needs = end, None, ()
        elif lines[i].strip():
            reason, needs = None, ()
        i += 1


def commands(block: Block) -> list[Command]:
    """The commands of a console block."""
    found: list[tuple[int, str, list[str]]] = []
    for i, line in enumerate(block.text.splitlines()):
        if line.startswith("$ "):
            found.append((block.line + i, line[2:], []))
        elif found and found[-1][1].endswith("\\"):
            number, text, printed = found[-1]
            found[-1] = (number, f"{text[:-1].rstrip()} {line.strip()}", printed)
        elif found:
            found[-1][2].append(line)
        else:
            raise ValueError(f"{block.page}:{block.line + i}: a console block begins with a command behind '$ '")
    return [Command(line, text, "\n".join(printed).strip("\n") or None) for line, text, printed in found]


def said(line: str) -> str | None:
    """What a line of code says it prints, or None."""
    found = _SAID.search(line)
    return found["text"].strip() if found else None


def fits(said: str, printed: str) -> bool:
    """Whether *printed* is what was *said*. How many spaces stand between words is not compared: columns move."""
    plain, actual = (
        "\n".join(" ".join(line.split()) for line in text.strip().splitlines()) for text in (said, printed)
    )
    pattern = ".*".join(re.escape(part) for part in plain.split("..."))
    pattern = pattern.replace("\\\n.*\\\n", "\n(.*\n)?")  # a line of dots may stand for no line at all
    return re.fullmatch(pattern, actual, re.DOTALL) is not None
