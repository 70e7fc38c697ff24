"""The warm process: it has imported what programs need, and every program is a fork of it.

``python -m pipe_core.testing.faulting.forking [modules]`` reads a request a line from standard input, as JSON, and
answers each with a line. It has one thread, so its forks are whole. `pipe_core.testing.faulting.drivers` speaks with
it.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import signal
import sys
import threading
import time
from typing import IO, Any, Final

_LONGEST_SLEEP: Final = 0.005


class Program:
    """What a fork of the warm process is to run.

    Args:
        request: The script, its arguments, what is added to the environment, its folder, and where it writes to.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request

    def enter(self) -> None:
        """Become it: a session of its own, its folder, its files, its environment."""
        os.setsid()
        for number, path, flags in (
            (0, os.devnull, os.O_RDONLY),
            (1, self._request["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND),
            (2, self._request["errors"], os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        ):
            file = os.open(path, flags, 0o600)
            os.dup2(file, number)
            os.close(file)
        os.chdir(self._request["folder"])
        os.environ.update(self._request["environment"])

    def run(self) -> None:
        """Run the script as ``python script.py`` does. Whatever it raises ends this process, as it does there."""
        script = self._request["script"]
        sys.argv = [script, *self._request["arguments"]]
        sys.path[0] = os.path.dirname(script)
        runpy.run_path(script, run_name="__main__")


def serve(requests: IO[str], answers: IO[str]) -> Program | None:
    """Answer requests until there are no more. In a fork: the program that it is."""
    children: set[int] = set()
    for line in requests:
        request = json.loads(line)
        if request["do"] == "start":
            pid = os.fork()
            if pid == 0:
                return Program(request)
            children.add(pid)
            answer: dict[str, Any] = {"pid": pid}
        else:
            code = _ended(request["pid"], request["seconds"])
            if code is not None:
                children.discard(request["pid"])
            answer = {"code": code}
        print(json.dumps(answer), file=answers, flush=True)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return None


def _ended(pid: int, seconds: float) -> int | None:
    """How a child ended: its exit code, or minus the signal; None where it has not after so many seconds."""
    deadline, pause = time.monotonic() + seconds, 0.0005
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_SLEEP)


def main() -> None:
    """Import what was asked for, say so, and serve."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what an import prints is no answer
    for name in sys.argv[1:]:
        importlib.import_module(name)
    print(json.dumps({"threads": [one.name for one in threading.enumerate()]}), file=answers, flush=True)
    program = serve(sys.stdin, answers)
    if program is not None:
        answers.close()
        program.enter()
        program.run()


if __name__ == "__main__":
    main()
