"""A run that goes on in a thread of its own, and what stops it."""

from __future__ import annotations

import threading
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pipe_core.project.runs.result import RunResult
    from pipe_core.project.runs.runner import Runner

_LOOK: Final = 0.02


class RunningRun:
    """A run of a pipeline whose streams go on until `stop`. Made by `Runner.start`."""

    def __init__(self, runner: Runner, pipeline: Any, options: dict[str, Any]) -> None:
        self._runner = runner
        self._pipeline = pipeline if isinstance(pipeline, str) else getattr(pipeline, "name", pipeline)
        self._stopping = threading.Event()
        self._result: RunResult | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, args=[pipeline, options], name="pipe-run", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return self._thread.is_alive()

    def stop(self, timeout: float | None = None) -> RunResult:
        """Stop the streams behind the micro-batches that run, and give the result. Nodes that end come to their end.

        Args:
            timeout: How many seconds to wait for that; None: as long as it takes.

        Raises:
            TimeoutError: It goes on after that time; it will stop.
            RunFailedError: As `Runner.run`.
        """
        self._stopping.set()
        return self.wait(timeout)

    def wait(self, timeout: float | None = None) -> RunResult:
        """Wait for its end, and give the result.

        Args:
            timeout: How many seconds to wait; None: as long as it takes.

        Raises:
            TimeoutError: It goes on after that time.
            RunFailedError: As `Runner.run`.
        """
        until = None if timeout is None else monotonic() + timeout
        while self._thread.is_alive():  # in steps, so that a Ctrl-C is heard
            if until is not None and monotonic() >= until:
                raise TimeoutError(f"The run goes on after {timeout:.3g} s.")
            self._thread.join(_LOOK)
        if self._error is not None:
            raise self._error
        assert self._result is not None  # one of the two
        return self._result

    def until(self, is_so: Any, timeout: float = 30.0) -> bool:
        """Wait until ``is_so()``, or the end of the run, or *timeout* seconds. Whether it is so."""
        last = monotonic() + timeout
        while not is_so():
            if not self.is_running or monotonic() >= last:
                return bool(is_so())
            sleep(_LOOK)
        return True

    def __repr__(self) -> str:
        if self.is_running:
            word = "stopping" if self._stopping.is_set() else "running"
        else:
            word = "failed" if self._result is None else self._result.status
        return f"<RunningRun of '{self._pipeline}': {word}>"

    def _work(self, pipeline: Any, options: dict[str, Any]) -> None:
        try:
            self._result = self._runner.run(pipeline, stopping=self._stopping, **options)
        except BaseException as error:
            self._error = error
