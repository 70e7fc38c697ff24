"""Kills a process that writes in each of its steps, and goes on in another one. Run as a script, by `test_resuming`.

Every process is a fork of this one, which has one thread. It prints what was not as it should be, as JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic_core import to_json, to_jsonable_python

from pipe_core import get_format
from pipe_core.formats import exchange, joined_sink, part_sink
from pipe_core.kernel.contracts import Mode, ResumableSink, Sink

STEPS = ("rename", "replace", "link", "unlink", "fsync", "mkdir", "rmdir", "chmod", "open", "ftruncate")


class Serializer:
    fields = ("id", "text")
    json = staticmethod(to_json)
    jsonable = staticmethod(to_jsonable_python)
    python = staticmethod(lambda value: value)


def put(sink: Sink, first: int, count: int) -> None:
    """Write some rows, as a worker of another process hands them over."""
    encoder = sink.encoder()
    if hasattr(encoder, "away"):
        encoder = encoder.__reduce__()[0](*encoder.__reduce__()[1])
    row = encoder.bind(Serializer())
    rows = [row({"id": i, "text": "x" * (i % 7)}) for i in range(first, first + count)]
    sink.write(encoder.merge([encoder.join(rows)]), count)


class Case:
    """One kind of target.

    Args:
        folder: Where it is.
        spec: What it is called, how it is written, whether something is there before, and so on.
    """

    def __init__(self, folder: Path, spec: dict[str, Any]) -> None:
        self.folder = folder
        self.name: str = spec["name"]
        self.mode: Mode = spec["mode"]
        self.before: bool = spec["before"]
        self.held: bool = spec.get("held", False)
        self.options = {"via": spec["via"]} if "via" in spec else {}
        self.target = folder / self.name.rstrip("/")
        self.notes = folder.with_name(f"{folder.name}.notes")

    def sink(self) -> Any:
        suffix = self.name.rstrip("/").split(".")[1]
        sink = get_format(suffix, **self.options).sink(f"{self.folder}/{self.name}")
        assert isinstance(sink, ResumableSink)
        return sink

    def prepare(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.notes.unlink(missing_ok=True)
        self.folder.mkdir()
        if self.before:
            sink = self.sink()
            sink.open("error")
            put(sink, 900, 5)
            sink.commit()
            sink.close()

    def note(self, kind: str, state: Any = None) -> None:
        fresh = self.notes.with_name(f"{self.notes.name}.new")
        with open(fresh, "w") as file:
            json.dump([kind, state], file)
        os.replace(fresh, self.notes)

    def write(self) -> None:
        """From the beginning, or from what was noted."""
        kind, state = json.loads(self.notes.read_text()) if self.notes.exists() else ("nothing", None)
        if kind == "done":
            return
        sink = self.sink()
        if kind == "nothing":
            if self.held:
                sink.hold_appended()
            sink.open(self.mode, Serializer.fields)
            if self.mode == "append" and not self.held and not self.name.endswith("/"):
                self.note("begun", sink.checkpoint())  # what is appended shows at once
        else:
            sink.resume(state, self.mode, Serializer.fields)
        if kind in ("nothing", "begun"):
            put(sink, 0, 40)
            self.note("half", sink.checkpoint())
        if kind in ("nothing", "begun", "half"):
            put(sink, 40, 30)
            self.note("final", sink.checkpoint(final=True))
        sink.commit()
        self.note("done")
        sink.close()

    def touch(self) -> None:
        """What the next run begins with."""
        sink = self.sink()
        sink.open("append" if self.mode == "append" else "overwrite")
        sink.abort()

    def found(self) -> dict[str, str]:
        """What is there, hidden things too."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes().hex()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }


def forked(function: Callable[[], None], kill_at: int | None = None) -> int:
    """How a child ended that called it."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.fsync = lambda number: None  # a killed process does not need it, and it takes its time
            if kill_at is not None:
                killing(kill_at)
            function()
            code = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killing(number: int) -> None:
    """Kill this process before the step of that number."""
    left = iter(range(number - 1, -1, -1))

    def step(real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            if next(left, None) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return counted

    for name in STEPS:
        setattr(os, name, step(getattr(os, name)))
    exchange._exchanged = step(exchange._exchanged)


def warm(case: Case) -> None:
    """Import what writing imports, so that no child has to."""
    case.before = not case.before
    case.prepare()
    case.before = not case.before


def problems(case: Case) -> Iterator[str]:
    warm(case)
    case.prepare()
    if code := forked(case.write):
        yield f"undisturbed: ended with {code}"
        return
    expected = case.found()
    if any(name.startswith(".") for name in expected):
        yield f"undisturbed: left {list(expected)}"
    for number in range(1, 500):
        case.prepare()
        code = forked(case.write, number)
        noted = json.loads(case.notes.read_text())[0] if case.notes.exists() else "nothing"
        if code == 0:
            return
        again = forked(case.write, 1 + number % 5) if number % 3 == 0 else 0
        if again not in (0, -signal.SIGKILL) or forked(case.write):
            yield f"step {number}, noted {noted}: it could not be gone on"
            continue
        found = case.found()
        visible = {name: data for name, data in found.items() if not name.startswith(".")}
        if visible != expected:
            yield f"step {number}, noted {noted}: {sorted(visible)} instead of {sorted(expected)}, or other bytes"
        elif len(found) > len(visible) and noted != "nothing":
            if noted == "done":  # nobody comes back to it: the next run tidies up
                forked(case.touch)
            if left := [name for name in case.found() if name.startswith(".")]:
                yield f"step {number}, noted {noted}: {left} was left"
    yield "it never came to its end"


def main() -> None:
    spec = json.loads(sys.argv[2])
    part_sink.LEAST = joined_sink.LEAST = spec.get("least", 1)
    if not spec.get("at_once", True):  # as on a file system that cannot exchange two names
        exchange._exchanged = lambda one, other: False
    print(json.dumps(list(problems(Case(Path(sys.argv[1]) / "data", spec)))))


if __name__ == "__main__":
    main()
