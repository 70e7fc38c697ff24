"""Kills a process that writes a table in each of its steps, and goes on in another one. Run by `test_delta_kills`.

Every process is a fork of this one, which has one thread and never touches a table. It prints what was not as it should
be, as JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import to_json, to_jsonable_python

from pipe_core import get_format
from pipe_core.kernel.contracts import ResumableSink, Sink
from pipe_delta import delta_format, transaction  # noqa: F401  # so that no child has to import it

STEPS = ((os, ("rename", "unlink", "mkdir", "rmdir")), (pa, ("OSFile",)))
BEFORE = [{"id": -1, "day": "2025-01-01"}, {"id": -2, "day": "2025-01-02"}, {"id": -3, "day": "2025-01-03"}]
WINDOW = {"column": "day", "start": "2025-01-02", "before": "2025-01-03"}


class Serializer:
    fields = ("id", "day")
    json = staticmethod(to_json)
    jsonable = staticmethod(to_jsonable_python)
    python = staticmethod(lambda value: value)


def put(sink: Sink, rows: list[dict[str, Any]]) -> None:
    """Write some rows, as a worker hands them over."""
    encoder = sink.encoder()
    row = encoder.bind(Serializer())
    sink.write(encoder.merge([encoder.join(list(map(row, rows)))]), len(rows))


class Case:
    """A way of writing.

    Args:
        folder: Where the table is.
        name: ``new``, ``append``, ``overwrite`` or ``window``.
        since: What was noted when steps begin to be counted.
    """

    def __init__(self, folder: Path, name: str, since: str) -> None:
        self.folder, self.name, self.since = folder, name, since
        self.kill_at: int | None = None
        self.mode: Any = {"new": "error", "window": "overwrite"}.get(name, name)
        self.notes = folder.with_name("notes")
        self.prepared = folder.with_name("prepared")
        self.out = folder.with_name("out")

    def sink(self) -> Any:
        options = {"window": WINDOW} if self.name == "window" else {}
        sink = get_format("delta", part_size=25, **options).sink(self.folder / "t.delta")
        assert isinstance(sink, ResumableSink)
        return sink

    def prepare(self) -> None:
        """What is there before; the table is made once and copied."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.notes.unlink(missing_ok=True)
        if self.prepared.exists():
            shutil.copytree(self.prepared, self.folder)
            return
        self.folder.mkdir()
        if self.name != "new":
            assert forked(self.fill) == 0
        shutil.copytree(self.folder, self.prepared)

    def fill(self) -> None:
        sink = get_format("delta").sink(self.folder / "t.delta")
        sink.open("error")
        put(sink, BEFORE)
        sink.commit()
        sink.close()

    def note(self, kind: str, state: Any = None) -> None:
        fresh = self.notes.with_name("notes.new")
        fresh.write_text(json.dumps([kind, state]))
        os.replace(fresh, self.notes)
        self.begin(kind)

    def begin(self, kind: str) -> None:
        """Count steps from here on, where this is what they are counted from."""
        if kind == self.since and self.kill_at is not None:
            killing(self.kill_at)

    def write(self) -> None:
        """From the beginning, or from what was noted."""
        kind, state = json.loads(self.notes.read_text()) if self.notes.exists() else ("nothing", None)
        if kind == "done":
            return
        sink = self.sink()
        self.begin(kind)
        if kind == "nothing":
            sink.open(self.mode, Serializer.fields)
            put(sink, rows(0, 30))
            self.note("half", sink.checkpoint())
        else:
            sink.resume(state, self.mode, Serializer.fields)
        if kind in ("nothing", "half"):
            put(sink, rows(30, 60))
            self.note("final", sink.checkpoint(final=True))
        sink.commit()
        self.note("done")
        sink.close()

    def write_and_look(self) -> None:
        self.write()
        self.look()

    def touch(self) -> None:
        """What the next run begins with."""
        sink = self.sink()
        sink.open("overwrite" if self.mode == "error" else self.mode)
        sink.abort()

    def look(self) -> None:
        """Write down what is in the table."""
        files = deltalake.DeltaTable(self.folder / "t.delta").file_uris()
        found = [
            row for file in files for row in pq.ParquetFile(file).read(["id"], use_threads=False)["id"].to_pylist()
        ]
        hidden = [name for name in os.listdir(self.folder) if name.startswith(".")]
        self.out.write_text(json.dumps([sorted(found), hidden]))

    def expected(self) -> list[int]:
        left = {"append": [-3, -2, -1], "window": [-3, -1]}.get(self.name, [])
        return [*left, *range(60)]


def rows(first: int, last: int) -> list[dict[str, Any]]:
    return [{"id": i, "day": "2025-01-02"} for i in range(first, last)]


def forked(function: Callable[[], None]) -> int:
    """How a child ended that called it."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.fsync = lambda number: None  # a killed process does not need it, and it takes its time
            function()
            code = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killing(number: int) -> None:
    """Kill this process at the step of that number."""
    left = iter(range(number - 1, -1, -1))

    def step() -> None:
        if next(left, None) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(real: Callable[..., Any], *, behind: bool) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            step()
            result = real(*args, **kwargs)
            if behind:
                step()
            return result

        return call

    for module, names in STEPS:
        for name in names:
            setattr(module, name, counted(getattr(module, name), behind=False))
    transaction.create_table_with_add_actions = counted(transaction.create_table_with_add_actions, behind=True)
    kind = deltalake.DeltaTable
    kind.create_write_transaction = counted(kind.create_write_transaction, behind=True)


def problems(case: Case) -> Iterator[str]:
    case.prepare()
    counts: dict[str, int] = {}
    for number in range(1, 500):
        case.prepare()
        case.kill_at = number
        code = forked(case.write)
        case.kill_at = None
        noted = json.loads(case.notes.read_text())[0] if case.notes.exists() else "nothing"
        if code == 0:
            break
        counts[noted] = counts.get(noted, 0) + 1
        if forked(case.write_and_look):
            yield f"step {number}, noted {noted}: it could not be gone on"
            continue
        found, hidden = json.loads(case.out.read_text())
        if found != case.expected():
            yield f"step {number}, noted {noted}: {found}"
        if hidden and noted == "done":  # nobody comes back to it: the next run tidies up
            forked(case.touch)
            forked(case.look)
            hidden = json.loads(case.out.read_text())[1]
        if hidden and noted != "nothing":
            yield f"step {number}, noted {noted}: {hidden} was left"
    else:
        yield "it never came to its end"
    kinds = ["nothing", "half", "final"]
    if missing := set(kinds[kinds.index(case.since) :]) - counts.keys():
        yield f"no kill came while {missing} was noted"


def main() -> None:
    assert threading.active_count() == 1
    print(json.dumps(list(problems(Case(Path(sys.argv[1]) / "data", sys.argv[2], sys.argv[3])))))


if __name__ == "__main__":
    main()
