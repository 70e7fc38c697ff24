"""As a program: writes a folder of part files again and again, each time in a process that is killed one step later.

A step is a call that changes a file system.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from arrow_files import write

from pipe_core import get_format

STEPS = ("mkdir", "rename", "replace", "link", "unlink", "rmdir", "chmod", "open", "fsync")
OLD = [{"n": -i} for i in range(5)]
NEW = [{"n": i} for i in range(4)]


def killed_at(step: int) -> None:
    """From now on the process is killed instead of making the step."""
    steps = count(1)

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def one(*args: Any, **how: Any) -> Any:
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **how)

        return one

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))


def main(root: Path, format: str, mode: str) -> None:
    get_format(format)  # imported once, not by each process
    import_module(f"pipe_arrow.{format}_file")
    for step in count(1):
        case = root / f"{step:03}"
        case.mkdir()
        shutil.copytree(root / "before", case / "out")
        if not (child := os.fork()):
            killed_at(step)
            write(format, f"{case}/out/", NEW, mode=mode, part_size=2)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != -signal.SIGKILL:
            sys.exit(code)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
