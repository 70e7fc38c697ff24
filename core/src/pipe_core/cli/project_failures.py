"""How the failure of a project's run is told: each node with what it raised, why, and where in the project's code."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pipe_core.cli import exits
from pipe_core.kernel.errors import PipeError
from pipe_core.looks.wording import one_line

if TYPE_CHECKING:
    from pipe_core.cli.project_options import Where
    from pipe_core.project.errors import RunFailedError

_MOST: Final = 5
"""Causes that are told, and failed nodes that are told at length."""
_ELSEWHERE: Final = "Traceback of the worker:"
"""How the note begins that an error brings along from another process."""
_FRAME: Final = re.compile(r'^  File "(.+)", line (\d+), in (.+)(?:\n    (.+))?', re.MULTILINE)
_BETWEEN: Final = re.compile(r"\n\n(?:The above exception was|During handling of the above exception).*\n\n")

_Frame = tuple[str, int, str, str]


class RunFailed(click.ClickException):
    """A run has failed. Its message tells which nodes, why, and how to go on."""

    exit_code = exits.RUN_FAILED


def failed(error: RunFailedError, folder: Path, where: Where) -> RunFailed:
    """What to say of a run that has failed.

    Args:
        error: What was raised.
        folder: The project's folder.
        where: Which project was asked for.
    """
    result = error.result
    lines = []
    for name in result.failed[:_MOST]:
        found = result.nodes[name].error
        lines.append(f"Node '{name}' has failed: {_told(found)}")
        if isinstance(found, BaseException):
            lines += [f"  caused by {one}" for one in _causes(found)]
            lines += [f"  at {place}" for place in _place(found, folder)]
    if len(result.failed) > _MOST:
        lines.append(f"and {len(result.failed) - _MOST} more: {', '.join(result.failed[_MOST:])}")
    if not lines:
        lines.append(str(error).partition(" Correct it and go on")[0])
    if result.skipped:
        lines.append(f"Not run because of that: {', '.join(result.skipped)}")
    if result.run:
        lines.append(f"Correct it and go on with: pipe resume {result.run}{where.words()}")
    return RunFailed("\n".join(lines))


def _told(error: BaseException | str | None) -> str:
    if not isinstance(error, BaseException):
        return str(error)
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _causes(error: BaseException) -> Iterator[str]:
    """What led to *error*, the nearest first, without what was told already."""
    if getattr(error, "reasons", ()):  # it says in its own words what a schema says in many lines
        return
    if isinstance(error, PipeError) and isinstance(error, FileNotFoundError):  # or what the system says with a number
        return
    said = str(error)
    for cause, text in _chain(error):
        if " " not in text or text.rstrip(".") not in said:  # a word may be there by chance
            yield cause
        said += f"\n{text}"


def _chain(error: BaseException) -> Iterator[tuple[str, str]]:
    """What led to *error*, the nearest first: as it is told, and the text of it alone."""
    for part in reversed(_BETWEEN.split(_from_elsewhere(error))[:-1]):
        last = part.rstrip().rpartition("\n")[2]
        yield last, last.partition(": ")[2]
    for _ in range(_MOST):
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None:
            return
        yield _told(cause), str(cause).strip()
        error = cause


def _place(error: BaseException, folder: Path) -> Iterator[str]:
    """The last line of the project's own code on the way to *error*."""
    here: list[_Frame] = [
        (one.filename, one.lineno or 0, one.name, one.line or "") for one in traceback.extract_tb(error.__traceback__)
    ]
    there = _BETWEEN.split(_from_elsewhere(error))[-1]
    frames = [*here, *((path, int(line), name, code) for path, line, name, code in _FRAME.findall(there))]
    ours = [frame for frame in frames if _is_ours(Path(frame[0]), folder)]
    if ours:
        path, line, name, code = ours[-1]
        shown = Path(path).relative_to(folder)
        yield f"{shown}, line {line}, in {name}" + (f": {one_line(code, 100)}" if code else "")


def _is_ours(path: Path, folder: Path) -> bool:
    return path.is_relative_to(folder) and "site-packages" not in path.parts


def _from_elsewhere(error: BaseException) -> str:
    """The traceback that *error* has from another process; empty where it is of this one."""
    notes = (note for note in getattr(error, "__notes__", ()) if isinstance(note, str))
    return next((note.removeprefix(_ELSEWHERE) for note in notes if note.startswith(_ELSEWHERE)), "")
