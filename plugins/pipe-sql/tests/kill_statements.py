"""Kills a process before each statement that it runs in SQLite, and goes on in another one. Run as a script."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

from pipe_core import get_format
from pipe_core.testing.formatting.ground import PlainSerializer

OLD = [("old", 1), ("older", 2)]
NEW = [("new", 3), ("newer", 4), ("newest", 5)]


class Case:
    def __init__(self, path: Path, mode: Any, before: bool, between: bool) -> None:
        self.path, self.mode, self.before, self.between = path, mode, before, between
        self.notes = path.with_name("notes")

    def prepare(self) -> None:
        for path in self.path.parent.iterdir():
            path.unlink()
        if self.before:
            with closing(sqlite3.connect(self.path)) as connection, connection:
                connection.execute("CREATE TABLE rows (name TEXT, n INTEGER)")
                connection.executemany("INSERT INTO rows VALUES (?, ?)", OLD)

    def sink(self) -> Any:
        sink = get_format("sql", table="rows").sink(self.path)
        if self.between:
            sink.replace_between("name", "1999-01-01", "1999-01-02")
        return sink

    def run(self) -> None:
        sink = self.sink()
        if self.notes.exists():
            state = json.loads(self.notes.read_text())
            if state != "done":
                sink.resume(state, self.mode)
                sink.commit()
        else:
            sink.open(self.mode)
            encoder = sink.encoder()
            row = encoder.bind(PlainSerializer(None))
            sink.write(encoder.join([row({"name": name, "n": n}) for name, n in NEW]), len(NEW))
            self.note(sink.checkpoint(final=True))
            sink.commit()
        self.note("done")
        sink.close()

    def note(self, state: Any) -> None:
        fresh = self.path.with_name("fresh")
        fresh.write_text(json.dumps(state))
        os.replace(fresh, self.notes)

    def found(self) -> Any:
        with closing(sqlite3.connect(self.path)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            rows = connection.execute("SELECT name, n FROM rows").fetchall() if "rows" in tables else []
        return rows, {name for name in tables if "staged" in name}


def forked(function: Callable[[], None], kill_at: int = 0) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            killing(kill_at)
            function()
            code = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killing(number: int) -> None:
    """Kill this process before the statement of that number."""
    connect, steps = sqlite3.connect, count(1)

    def traced(statement: str) -> None:
        if next(steps) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(traced)
        return connection

    sqlite3.connect = watched  # type: ignore[assignment]


def problems(case: Case) -> Iterator[str]:
    for number in count(1):
        case.prepare()
        code = forked(case.run, number)
        if code not in (0, -signal.SIGKILL):
            yield f"statement {number}: ended with {code}"
        if code and not case.notes.exists() and case.path.exists() and case.found()[0] != (OLD if case.before else []):
            yield f"statement {number}: rows were visible before the state was noted"
        if code:
            forked(case.run, number % 5 + 1)
        if forked(case.run):
            yield f"statement {number}: it could not be gone on"
        rows, staged = case.found()
        kept = OLD if case.before and (case.mode == "append" or case.between) else []
        leaves = case.mode == "append" or case.between  # nobody knows of rows that waited before that was noted
        if rows != [*kept, *NEW] or (staged and not leaves):
            yield f"statement {number}: {rows}, {staged}"
        if code == 0:
            return


def main() -> None:
    mode, before, between = json.loads(sys.argv[2])
    case = Case(Path(sys.argv[1]) / "shop.db", mode, before, between)
    case.prepare()
    case.sink().exists()  # imported once, not by each child
    print(json.dumps(list(problems(case))))


if __name__ == "__main__":
    main()
