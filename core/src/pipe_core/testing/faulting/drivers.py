"""Programs in processes of their own that are killed, many of them a second: forks of one process that is warm."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from pipe_core.kernel.errors import PipeError
from pipe_core.runtime.failpoints import VARIABLE, parse
from pipe_core.testing.faulting.family import TAG, Family

_MODULES: Final = (
    "email.parser",  # what reads the metadata of packages
    "pipe_core",
    "pipe_core.executors.sync",
    "pipe_core.formats.csv_format",
    "pipe_core.formats.json_format",
    "pipe_core.formats.jsonl_format",
    "pipe_core.formats.part_sink",
    "pipe_core.kernel.loading",
    "pipe_core.kernel.options",
    "pipe_core.records.pipe",
    "pipe_core.records.planning",
    "pipe_core.schedulers.fifo",
    "stevedore.named",
)
"""What a run of records imports when it needs it."""
_LOOK: Final = 0.02
"""Seconds that the warm process waits for one program, and hears of no other."""


class DriverError(PipeError, RuntimeError):
    """A program cannot be started here, or does not end."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended.

    Attributes:
        code: Its exit code, or minus the signal that killed it.
        output: What it wrote to standard output.
        errors: What it wrote to standard error.
    """

    code: int
    output: str
    errors: str

    @property
    def killed(self) -> bool:
        """Whether it was killed, as by ``kill -9``."""
        return self.code == -signal.SIGKILL

    @property
    def said(self) -> Any:
        """What it printed last, as JSON."""
        return json.loads(self.output.splitlines()[-1])


class Drivers:
    """Runs programs in forks of a process that has imported pipe already, so that one costs milliseconds.

    Use it as a context manager, or call `close`. Several threads may use it at once. POSIX only.

    Args:
        preload: Modules to import before, beside those of pipe's own that a run needs. They must start no thread.
        seconds: How long a program may run.

    Raises:
        DriverError: There is no fork on this system, or a module has started a thread, which no fork survives.
    """

    def __init__(self, preload: Sequence[str] = (), *, seconds: float = 60.0) -> None:
        if not hasattr(os, "fork"):
            raise DriverError(
                f"Programs are forks of a warm process, and {sys.platform} has no fork. Run these tests on Linux or "
                f"macOS, and skip them here."
            )
        self._seconds = seconds
        self._lock = threading.Lock()
        self._started: list[Driver] = []
        self._folder = tempfile.TemporaryDirectory(prefix="pipe-drivers-")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipe_core.testing.faulting.forking", *_MODULES, *preload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self._check(self._answer())
        except BaseException:
            self.close()
            raise

    def _check(self, began: Mapping[str, Any]) -> None:
        if len(threads := began["threads"]) > 1:
            raise DriverError(
                f"A process is only forked as long as it has one thread, and these run: {', '.join(threads)}. Which "
                f"module of preload starts a thread when it is imported? Leave it out."
            )

    def start(
        self,
        script: str | Path,
        *arguments: str,
        folder: str | Path = ".",
        failpoints: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> Driver:
        """Begin to run a script, as ``python script.py`` would.

        Args:
            script: The path of the script.
            *arguments: Its ``sys.argv[1:]``.
            folder: Where it runs.
            failpoints: Where it shall fail: ``"sink.commit.before=kill@3"``, see `pipe_core.runtime.failpoints`.
            environment: What is added to that of this process.

        Raises:
            SettingsError: There is no such failpoint.
        """
        parse(failpoints)
        tag = uuid.uuid4().hex
        files = {word: os.path.join(self._folder.name, f"{tag}.{word}") for word in ("output", "errors")}
        answer = self._ask(
            do="start",
            script=os.path.abspath(script),
            arguments=arguments,
            folder=os.path.abspath(folder),
            environment={**(environment or {}), VARIABLE: failpoints, TAG: tag},
            **files,
        )
        driver = Driver(self, answer["pid"], Family(answer["pid"], tag), files["output"], files["errors"])
        self._started.append(driver)
        return driver

    def run(
        self,
        script: str | Path,
        *arguments: str,
        folder: str | Path = ".",
        failpoints: str = "",
        environment: Mapping[str, str] | None = None,
        kill_after: float | None = None,
    ) -> Ended:
        """Run a script to its end, as `start` and `Driver.wait` do.

        Args:
            script: The path of the script.
            *arguments: Its ``sys.argv[1:]``.
            folder: Where it runs.
            failpoints: Where it shall fail.
            environment: What is added to that of this process.
            kill_after: Kill it after so many seconds, unless it has ended before.

        Raises:
            SettingsError: There is no such failpoint.
            DriverError: It does not end.
        """
        driver = self.start(script, *arguments, folder=folder, failpoints=failpoints, environment=environment)
        if kill_after is not None:
            time.sleep(kill_after)
            driver.kill()
        return driver.wait()

    def close(self) -> None:
        """End the warm process, and all programs that still run."""
        for driver in self._started:
            driver._give_up()
        self._started.clear()
        with contextlib.suppress(OSError):  # it has ended by itself
            self._process.communicate(timeout=10)
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # --- the warm process ---

    def _ask(self, **request: Any) -> Any:
        with self._lock:
            assert self._process.stdin is not None
            try:
                self._process.stdin.write(f"{json.dumps(request)}\n")
                self._process.stdin.flush()
            except (OSError, ValueError) as error:
                raise DriverError("The warm process of these programs has ended. Was it killed, or closed?") from error
            return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise DriverError("The warm process of these programs has ended; what it said is on standard error.")
        return json.loads(line)


class Driver:
    """A program that runs.

    Attributes:
        pid: Its process, the leader of a session and a process group of its own.
    """

    def __init__(self, drivers: Drivers, pid: int, family: Family, output: str, errors: str) -> None:
        self._drivers = drivers
        self._family = family
        self._files = Path(output), Path(errors)
        self._ended: Ended | None = None
        self.pid = pid

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal, unless it has ended."""
        if self._ended is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds: float | None = None) -> Ended:
        """Wait until it ends.

        Args:
            seconds: How long. Default: what `Drivers` was given.

        Raises:
            DriverError: It does not end; all of its processes are killed then.
        """
        limit = self._drivers._seconds if seconds is None else seconds
        deadline = time.monotonic() + limit
        while self.poll() is None:
            if time.monotonic() > deadline:
                self._family.kill()
                raise DriverError(f"The program still runs after {limit:g} s. It said: {self._texts()}")
        assert self._ended is not None
        return self._ended

    def poll(self) -> Ended | None:
        """How it ended; None while it runs."""
        if self._ended is None:
            code = self._drivers._ask(do="wait", pid=self.pid, seconds=_LOOK)["code"]
            if code is not None:
                self._ended = Ended(code, *self._texts())
        return self._ended

    def family(self) -> list[int]:
        """The processes that it has started, and that live."""
        return self._family.members()

    def orphans(self, seconds: float = 2.0) -> list[int]:
        """What still lives of them after so many seconds."""
        return self._family.orphans(seconds)

    def _texts(self) -> tuple[str, str]:
        output, errors = (file.read_text("utf-8", "replace") if file.exists() else "" for file in self._files)
        return output, errors

    def _give_up(self) -> None:
        if self._ended is None:
            self._family.kill()
