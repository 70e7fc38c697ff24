"""A sink that is stopped at one of its steps. As a program: a process for each step, which is killed at it.

A step is a call that changes a file system.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from pipe_core import get_format
from pipe_core.formats import exchange, part_sink

STEPS = ("mkdir", "rename", "replace", "link", "unlink", "rmdir", "chmod", "open", "fsync")
OLD = {f"part-{i:05}.jsonl": b'{"n":%d}\n' % -i for i in (0, 1, 2)}
NEW = {f"part-{i:05}.jsonl": b'{"n":%d}\n' % i for i in (0, 1)}


@contextmanager
def stopped(step: int, stop: Callable[[], None], at_once: bool = True) -> Iterator[Callable[[], bool]]:
    """Calls *stop* instead of a step. What it gives says whether it was called."""
    steps = count(1)

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def one(*args: Any, **how: Any) -> Any:
            if next(steps) == step:
                stop()
            return call(*args, **how)

        return one

    exchanged = exchange._exchanged
    calls = {name: getattr(os, name) for name in STEPS}
    try:
        for name, call in calls.items():
            setattr(os, name, counted(call))
        exchange._exchanged = counted(exchanged) if at_once else lambda one, other: False
        yield lambda: next(steps) > step
    finally:
        exchange._exchanged = exchanged
        for name, call in calls.items():
            setattr(os, name, call)


def laid_out(folder: Path, mode: str) -> Path:
    """The target, with part files where there are some before."""
    out = folder / "out.jsonl"
    folder.mkdir()
    if mode != "error":
        out.mkdir()
        for name, data in OLD.items():
            (out / name).write_bytes(data)
    return out


def written(out: Path, mode: Any) -> None:
    """Write the new part files."""
    most, part_sink.MOST = part_sink.MOST, 1  # type: ignore[misc]  # a constant, for others
    sink: Any = get_format("jsonl").sink(f"{out}/")
    try:
        sink.open(mode)
        for data in NEW.values():
            sink.write(data, 1)
        sink.commit()
    finally:
        part_sink.MOST = most  # type: ignore[misc]  # as above
        sink.close()


def results(mode: str) -> tuple[Any, list[Any]]:
    """What is at the target before, and what may be there when the process was killed."""
    if mode == "error":
        return None, [None, NEW]
    if mode == "overwrite":
        return OLD, [OLD, NEW]
    more = [(f"part-{i + len(OLD):05}.jsonl", data) for i, data in enumerate(NEW.values())]
    return OLD, [{**OLD, **dict(more[:i])} for i in range(len(more) + 1)]


def found(out: Path) -> Any:
    """What is at the target."""
    return {path.name: path.read_bytes() for path in out.iterdir()} if out.is_dir() else None


def main(root: Path, mode: str, at_once: bool) -> None:
    get_format("jsonl")  # imported once, not by each process
    for step in count(1):
        out = laid_out(root / f"{step:03}", mode)
        if not (child := os.fork()):
            with stopped(step, lambda: os.kill(os.getpid(), signal.SIGKILL), at_once):
                written(out, mode)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != -signal.SIGKILL:
            sys.exit(code)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "at once")
