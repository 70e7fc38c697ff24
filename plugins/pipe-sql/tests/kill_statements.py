"""Kills a process before each statement that it runs, and goes on in another one. Run as a script.

Every process is a fork of this one. It prints what was not as it should be, as JSON.
"""

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

from sqlalchemy import Connection

from pipe_core import get_format
from pipe_core.testing.formatting.ground import PlainSerializer

OLD = [("old", 1), ("older", 2)]
NEW = [("new", 3), ("newer", 4), ("newest", 5)]


class Case:
    """One way to write.

    Args:
        url: The database.
        notes: Where it is noted how far a run came.
        mode: What becomes of the rows that are there.
        before: Whether there are some.
        between: Whether only those of some dates are replaced; there are none of these.
    """

    def __init__(self, url: str, notes: Path, mode: Any, before: bool, between: bool) -> None:
        self.url, self.notes, self.mode, self.before, self.between = url, notes, mode, before, between
        self.path = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else None

    def execute(self, *statements: str) -> list[Any]:
        """The rows that the last statement gives."""
        if self.path is not None:
            with closing(sqlite3.connect(self.path)) as connection, connection:
                return [connection.execute(statement).fetchall() for statement in statements][-1]
        import psycopg

        with psycopg.connect(self.url) as connection:
            cursors = [connection.execute(statement) for statement in statements]
            return cursors[-1].fetchall() if cursors[-1].description else []

    def tables(self) -> set[str]:
        names = "name FROM sqlite_master WHERE type = 'table'" if self.path else "tablename FROM pg_tables WHERE "
        own = "" if self.path else "schemaname = 'public'"
        return {row[0] for row in self.execute(f"SELECT {names}{own}")}

    def prepare(self) -> None:
        self.notes.unlink(missing_ok=True)
        if self.path is not None:
            for path in self.path.parent.glob(f"{self.path.name}*"):
                path.unlink()
        else:
            self.execute("SELECT 1", *(f'DROP TABLE "{name}"' for name in self.tables()))
        if self.before:
            values = ", ".join(map(str, OLD))
            self.execute("CREATE TABLE rows (name TEXT, n INTEGER)", f"INSERT INTO rows VALUES {values}")

    def sink(self) -> Any:
        sink = get_format("sql", table="rows").sink(self.url)
        if self.between:
            sink.replace_between("name", "1999-01-01", "1999-01-02")
        sink.expect_checkpoints()
        return sink

    def run(self) -> None:
        """From the beginning, or from what was noted."""
        kind, state = json.loads(self.notes.read_text()) if self.notes.exists() else ("nothing", None)
        if kind == "done":
            return
        sink = self.sink()
        if kind == "nothing":
            sink.open(self.mode)
            put(sink, NEW[:2])
            self.note("half", sink.checkpoint())
        else:
            sink.resume(state, self.mode)
        if kind != "final":
            put(sink, NEW[2:])
            self.note("final", sink.checkpoint(final=True))
        sink.commit()
        self.note("done")
        sink.close()

    def note(self, kind: str, state: Any = None) -> None:
        fresh = self.notes.with_name("fresh")
        fresh.write_text(json.dumps([kind, state]))
        os.replace(fresh, self.notes)

    def found(self) -> tuple[list[Any], set[str]]:
        """The rows, and the tables in which some wait."""
        if self.path is not None and not self.path.exists():
            return [], set()
        tables = self.tables()
        rows = [tuple(row) for row in self.execute("SELECT name, n FROM rows")] if "rows" in tables else []
        return rows, {name for name in tables if "staged" in name}


def put(sink: Any, rows: list[tuple[str, int]]) -> None:
    encoder = sink.encoder()
    row = encoder.bind(PlainSerializer(None))
    sink.write(encoder.join([row({"name": name, "n": n}) for name, n in rows]), len(rows))


def forked(function: Callable[[], None], kill_at: int = 0) -> int:
    """How a child ended that called it."""
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
    steps = count(1)

    def traced(*_: Any) -> None:
        if next(steps) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(traced)
        return connection

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def one(self: Connection, *args: Any) -> Any:
            if self.dialect.name != "sqlite":
                traced()
            return real(self, *args)

        return one

    connect, sqlite3.connect = sqlite3.connect, watched  # type: ignore[assignment]  # a function in the place of one
    for name in ("exec_driver_sql", "commit"):
        setattr(Connection, name, counted(getattr(Connection, name)))


def problems(case: Case) -> Iterator[str]:
    kinds: set[str] = set()
    for number in count(1):
        case.prepare()
        code = forked(case.run, number)
        noted = json.loads(case.notes.read_text())[0] if case.notes.exists() else "nothing"
        kinds.add(noted)
        if code not in (0, -signal.SIGKILL):
            yield f"statement {number}: ended with {code}"
        if noted in ("nothing", "half") and case.found()[0] != (OLD if case.before else []):
            yield f"statement {number}: rows were visible before the state was noted"
        if code and number % 3 == 0:
            forked(case.run, number % 5 + 1)
        if code and forked(case.run):
            yield f"statement {number}, noted {noted}: it could not be gone on"
        rows, staged = case.found()
        kept = OLD if case.before and (case.mode == "append" or case.between) else []
        leaves = noted == "nothing" and case.mode == "append"  # nobody knows of rows that waited before that was noted
        if rows != [*kept, *NEW] or (staged and not leaves):
            yield f"statement {number}, noted {noted}: {rows}, {staged}"
        if code == 0:
            break
    if kinds != {"nothing", "half", "final", "done"}:
        yield f"it was killed at {kinds} only"


def main() -> None:
    url, notes, mode, before, between = json.loads(sys.argv[1])
    case = Case(url, Path(notes), mode, before, between)
    case.prepare()
    case.run()  # what is imported is imported once, not by each child
    print(json.dumps(list(problems(case))))


if __name__ == "__main__":
    main()
