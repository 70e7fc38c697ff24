"""As a program: writes with checkpoints in a process that is killed one step later each time, and goes on in another.

Every process is a fork of this one. It prints what was not as it should be, as JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from arrow_files import put, read, write
from arrow_steps import killed_at

from pipe_core import get_format

OLD = [{"n": -1, "m": 0.5, "late": "x"}]
PIECES = ([{"n": i, "m": i} for i in range(5)], [{"n": i, "m": i + 0.5, "late": "y"} for i in range(5, 8)])
"""The second one needs a wider column, and one more."""
NEW = [{"n": i, "m": float(i), "late": None} for i in range(5)] + PIECES[1]


class Case:
    def __init__(self, folder: Path, format: str, name: str, mode: str) -> None:
        self.folder, self.format, self.mode = folder, format, mode
        self.target = f"{folder}/{name}"
        self.notes = folder.with_name("notes")
        self.between = name.endswith("/")

    def prepare(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.notes.unlink(missing_ok=True)
        self.folder.mkdir()
        if self.mode != "error":
            write(self.format, self.target, OLD)

    def note(self, kind: str, state: Any = None) -> None:
        fresh = self.notes.with_name("notes.new")
        fresh.write_text(json.dumps([kind, state]))
        os.rename(fresh, self.notes)

    def write(self) -> None:
        """From the beginning, or from what was noted."""
        kind, state = json.loads(self.notes.read_text()) if self.notes.exists() else ("nothing", None)
        if kind == "done":
            return
        sink = get_format(self.format, part_size=5).sink(self.target)
        if kind == "nothing":
            sink.open(self.mode)
            put(sink, PIECES[0])
            if self.between:
                self.note("half", sink.checkpoint())
        else:
            sink.resume(state, self.mode)
        if kind != "final":
            put(sink, PIECES[1])
            self.note("final", sink.checkpoint(final=True))
        sink.commit()
        self.note("done")
        sink.close()

    def problem(self) -> str | None:
        found = read(self.format, self.target)
        expected = OLD + NEW if self.mode == "append" else NEW
        if found.error is not None or found.records != expected:
            return f"{found.error or found.records}"
        hidden = [name for name in os.listdir(self.folder) if name[0] == "."]
        return f"{hidden} was left" if hidden else None


def forked(function: Callable[[], None], step: int | None = None) -> int:
    """How a child ended that called it."""
    if not (child := os.fork()):
        code = 1
        try:
            if step is not None:
                killed_at(step)
            function()
            code = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def problems(case: Case) -> Iterator[str]:
    kinds: set[str] = set()
    for step in count(1):
        case.prepare()
        code = forked(case.write, step)
        noted = json.loads(case.notes.read_text())[0] if case.notes.exists() else "nothing"
        kinds.add(noted)
        if code == 0:
            break
        again = forked(case.write, 2) if step % 3 == 0 else 0
        if code != -signal.SIGKILL or again not in (0, -signal.SIGKILL) or forked(case.write):
            yield f"step {step}, noted {noted}: it could not be gone on"
        elif (problem := case.problem()) and not ("left" in problem and noted in ("done", "nothing")):  # nobody knows
            yield f"step {step}, noted {noted}: {problem}"
    if problem := case.problem():
        yield f"undisturbed: {problem}"
    if kinds != ({"nothing", "half", "final", "done"} if case.between else {"nothing", "final", "done"}):
        yield f"it was killed at {kinds} only"


def main(root: Path, format: str, name: str, mode: str) -> None:
    os.fsync = lambda number: None  # a killed process does not need it, and it takes its time
    get_format(format)  # imported once, not by each process
    import_module(f"pipe_arrow.{format}_writer" if format == "avro" else f"pipe_arrow.{format}_file")
    import_module("pipe_arrow.feather_file")
    print(json.dumps(list(problems(Case(root / "data", format, name, mode)))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
