"""The code blocks of a Markdown page, and what the page says they print.

How a page is written, so that every block of it can be run:

* A ``python`` block is run. Blocks of one page share their names, in order, and a folder that is empty at first.
* A block with ``title="name"`` is not run but written to a file of that name, as a reader would save it.
* A comment ``# -> text`` on the line where a statement of the block ends says what the statement prints, or the repr of
  what an expression is. More lines stand right under it, each in such a comment. It stands nowhere else: not inside of
  a function, nor behind an empty line.
* A ``console`` block holds commands behind ``$``, each with what it prints on both streams. A command that says nothing
  may print anything. One that fails must be followed by ``$ echo $?`` and its exit code.
* ``...`` in what is printed stands for anything, or for nothing.
* A block behind ``<!-- not run: reason -->`` is left out. `NOT_RUN` in the tests says how many there may be.
* A block behind ``<!-- needs: pipe-x -->`` is left out where one of the distributions named there is not installed.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

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


class Sayings(NamedTuple):
    """What comments say is printed: by the line on which a statement ends, and the lines where none does."""

    behind: dict[int, str]
    nowhere: list[int]


def what_is_said(code: str, ends: Collection[int]) -> Sayings:
    """What the comments of *code* say is printed.

    Args:
        code: Lines of Python, counted from 1.
        ends: The lines on which its statements end.
    """
    behind: dict[int, list[str]] = {}
    nowhere = []
    end = last = -1
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        found = _SAID.match(token.string) if token.type == tokenize.COMMENT else None
        if found is None:
            continue
        line, alone = token.start[0], not token.line[: token.start[1]].strip()
        if line in ends:
            end = line
        elif alone and line - 1 in ends:
            end = line - 1
        elif not (alone and line - 1 == last):
            nowhere.append(line)
            continue
        last = line
        behind.setdefault(end, []).append(found["text"].strip())
    return Sayings({line: "\n".join(texts) for line, texts in behind.items()}, nowhere)


def fits(said: str, printed: str) -> bool:
    """Whether *printed* is what was *said*. How many spaces stand between words is not compared: columns move."""
    plain, actual = (
        "\n".join(" ".join(line.split()) for line in text.strip().splitlines()) for text in (said, printed)
    )
    pattern = ".*".join(re.escape(part) for part in plain.split("..."))
    pattern = pattern.replace("\\\n.*\\\n", "\n(.*\n)?")  # a line of dots may stand for no line at all
    return re.fullmatch(pattern, actual, re.DOTALL) is not None
