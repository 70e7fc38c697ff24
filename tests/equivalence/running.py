"""One case on one executor: what it leaves behind, in a form that can be compared."""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipe_core import Pipe, PipeError
from pipe_core.codecs.samples import difference

Counts = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Case:
    """A pipe that must do the same on every executor.

    Attributes:
        name: What the test is called.
        source: Makes the source, out of the folder of input files.
        counts: What it must count: read, valid, failed, dropped, expanded.
        schema, pre, post: As the pipe takes them. A class of hooks is made anew for every run.
        sink, errors: The name of a file, or ``list``, ``function``, ``async function`` or ``queue``.
        front: How it is run: ``run``, ``start``, ``arun``, ``stream`` or ``async stream``.
        raises: The class of the error that ends the run.
        unordered: Rows may come in another order.
        sets: Rows hold sets, whose members may come in another order.
        basic: It also runs where workers are slow to start.
        options: More parameters of the pipe.
    """

    name: str
    source: Callable[[Path], Any]
    counts: Counts
    schema: Any = None
    pre: Sequence[Any] = ()
    post: Sequence[Any] = ()
    sink: str | None = "good.jsonl"
    errors: str | None = "bad.jsonl"
    front: str = "run"
    raises: str | None = None
    unordered: bool = False
    sets: bool = False
    basic: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Outcome:
    """What a run left behind."""

    good: Any
    bad: Any
    entries: list[Any]
    facts: dict[str, Any]
    error: str | None
    files: list[str]

    def difference(self, other: Outcome) -> str | None:
        """Where *other* is not the same."""
        for name, mine in vars(self).items():
            if found := difference(mine, getattr(other, name), name):
                return found
        return None


class End:
    """A place that rows go to, and what has come there."""

    def __init__(self, kind: str | None, folder: Path) -> None:
        self.rows: list[Any] = []
        self._path: Path | None = None
        self._queue: queue.Queue[Any] = queue.Queue()
        self.target: Any = None
        match kind:
            case None:
                pass
            case "list":
                self.target = self.rows
            case "function":
                self.target = self.rows.append
            case "async function":
                self.target = self._later
            case "queue":
                self.target = self._queue
            case _:
                self.target = self._path = folder / kind

    async def _later(self, row: Any) -> None:
        await asyncio.sleep(0)
        self.rows.append(row)

    def content(self, case: Case) -> Any:
        """What is there now: bytes of a file, or rows."""
        if self._path is None:
            rows = [*self.rows, *(self._queue.get() for _ in range(self._queue.qsize()))]
            return sorted(rows, key=repr) if case.unordered else rows
        if not self._path.exists():
            return None
        found = self._path.read_bytes()
        if case.sets:
            return [_sorted(json.loads(line)) for line in found.splitlines()]
        return sorted(found.splitlines()) if case.unordered else found


def run_case(case: Case, executor: Any, inputs: Path, folder: Path) -> Outcome:
    """Run *case* on *executor*, with its targets in *folder*."""
    good, bad = End(case.sink, folder), End(case.errors, folder)
    pipe = Pipe(
        case.source(inputs),
        good.target,
        errors=bad.target,
        schema=case.schema() if getattr(case.schema, "makes_schema", False) else case.schema,
        pre_validation_hooks=list(case.pre),
        post_validation_hooks=list(case.post),
        executor=executor,
        **case.options,
    )
    entries: list[Any] = []
    error = None
    try:
        FRONTS[case.front](pipe, entries)
    except PipeError as problem:
        error = f"{type(problem).__name__}: {problem}".replace(str(inputs), "inputs").replace(str(folder), "folder")
    left = sorted(path.name for path in folder.iterdir() if not path.name.endswith(".part"))
    return Outcome(good.content(case), bad.content(case), entries, _facts(pipe, case), error, left)


def _facts(pipe: Pipe, case: Case) -> dict[str, Any]:
    """What reports must have in common."""
    assert pipe.report is not None
    told = pipe.report.to_dict()
    names = ("status", "read", "valid", "failed", "dropped", "expanded", "delivery", "histogram", "first_failures")
    facts = {name: told[name] for name in names}
    if case.unordered:  # then the first ones are those that came first
        del facts["first_failures"]
        for kind in facts["histogram"]:
            del kind["examples"]
    return facts


# --- fronts ---


def _start(pipe: Pipe, entries: list[Any]) -> None:
    assert pipe.start().wait(60)


def _stream(pipe: Pipe, entries: list[Any]) -> None:
    _keep(pipe, entries)


def _async_stream(pipe: Pipe, entries: list[Any]) -> None:
    async def main() -> list[Any]:
        return [entry async for entry in pipe]

    _keep(asyncio.run(main()), entries)


FRONTS: Mapping[str, Callable[[Pipe, list[Any]], object]] = {
    "run": lambda pipe, entries: pipe.run(),
    "start": _start,
    "arun": lambda pipe, entries: asyncio.run(pipe.arun()),
    "stream": _stream,
    "async stream": _async_stream,
}


def _keep(given: Iterable[Any], entries: list[Any]) -> None:
    for entry in given:
        data = entry.validated_data
        shown = data if data is None or isinstance(data, str | int) else dict(data)
        place = entry.id.split(":", 1)[1]
        entries.append([place, entry.position, entry.status, entry.raw_data, shown, entry.errors, entry.metadata])


def _sorted(value: Any) -> Any:
    """*value* with every list sorted."""
    if isinstance(value, dict):
        return {key: _sorted(member) for key, member in value.items()}
    return sorted(map(_sorted, value), key=repr) if isinstance(value, list) else value
