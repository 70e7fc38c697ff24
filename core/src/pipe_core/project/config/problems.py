"""Everything that is wrong with a project's files, told at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from pipe_core.kernel.errors import ConfigError, PipeError
from pipe_core.kernel.index import suggestion
from pipe_core.project.document import short

MOST_SHOWN: Final = 50
"""Problems in a message; the error's attribute has all of them."""
MOST_KEPT: Final = 1000
LONGEST_WORD: Final = 100
"""Letters of a word that a nearest one is looked for."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake and its place.

    Attributes:
        text: What is wrong, and what to do.
        path: The file.
        line: The line in it, the first being 1; None where there are no lines.
        key: The way to the value: ``nodes.extract.retries``.
        error: The error that says so, where there is one.
    """

    text: str
    path: str
    line: int | None = None
    key: str | None = None
    error: Exception | None = None

    def __str__(self) -> str:
        where = self.path + (f", line {self.line}" if self.line else "") + (f", {self.key}" if self.key else "")
        return f"{where}: {self.text}"


class ProjectConfigError(ConfigError):
    """A project's files are refused. `problems` has everything that is wrong with them; `path` and `line` the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__(_message(problems), path=first.path, line=first.line, key=first.key)
        self.problems = tuple(problems)


class UnknownNameError(ConfigError, LookupError):
    """A project has nothing of that name. `known` lists what it has."""

    def __init__(self, message: str, *, path: str, known: Sequence[str]) -> None:
        super().__init__(message, path=path)
        self.known = tuple(known)


class Problems:
    """What was found wrong so far."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, problem: Problem) -> None:
        """Remember *problem*, unless the same was said before."""
        problem = replace(problem, text=short(problem.text), key=short(problem.key) if problem.key else None)
        if problem not in self._found[-20:]:
            self._found.append(problem)
        if len(self._found) >= MOST_KEPT:
            self.stop()

    def raise_if_any(self) -> None:
        """Raise what was found.

        Raises:
            ProjectConfigError: Something was.
        """
        if self._found:
            self.stop()

    def stop(self) -> NoReturn:
        """Raise what was found, with the error that says the first of it as the cause."""
        ordered = sorted(self._found, key=lambda one: (one.path != self._found[0].path, one.path, one.line or 0))
        raise ProjectConfigError(ordered) from next((one.error for one in ordered if one.error), None)


def nearest(word: object, known: Collection[str]) -> str:
    """`` Did you mean 'x'?`` for the nearest of *known*, where looking for it takes no time that is felt."""
    text = str(word)
    return suggestion(text, known) if len(text) <= LONGEST_WORD and len(known) <= MOST_KEPT else ""


def as_problem(error: PipeError, path: str) -> Problem:
    """The problem that *error* tells of, without the place that its message begins with."""
    if not isinstance(error, ConfigError):
        return Problem(str(error), path, error=error)
    problem = Problem("", error.path, error.line, error.key, error)
    text = str(error)
    for start in (str(problem), f"{error.path}, line {error.line}: ", f"{error.path}: "):
        if text.startswith(start):
            text = text[len(start) :]
            break
    return Problem(text, error.path, error.line, error.key, error)


def _message(problems: Sequence[Problem]) -> str:
    if len(problems) == 1:
        return str(problems[0])
    places: dict[str, list[Problem]] = {}
    for one in problems[:MOST_SHOWN]:
        places.setdefault(one.text, []).append(one)
    shown = [f"  {one}" + _also(one, others) for one, *others in places.values()]
    if len(problems) > MOST_SHOWN:
        shown.append(f"  … and {len(problems) - MOST_SHOWN} more")
    return f"There are {len(problems)} problems in the project's files:\n" + "\n".join(shown)


def _also(first: Problem, others: Sequence[Problem]) -> str:
    """Where else the same is wrong: of one module that cannot be imported there may be many functions."""
    places = []
    for one in others:
        parts = (one.path if one.path != first.path else "", f"line {one.line}" if one.line else "", one.key or "")
        places.append(", ".join(filter(None, parts)))
    return f". The same: {'; '.join(places)}" if places else ""
