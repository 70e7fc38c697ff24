"""Control of a run from outside: pause, resume, abort."""

from __future__ import annotations

from collections.abc import Callable

from pipe_core.runtime.gate import Gate


class Control:
    """Flags that whoever holds the report sets and that the run looks at. Safe under threads and in signal handlers."""

    def __init__(self) -> None:
        self._resumed = Gate()
        self._paused = False
        self._abort = False
        self._over = False
        self._wakers: list[Callable[[], None]] = []

    @property
    def aborted(self) -> bool:
        """Whether the run shall stop."""
        return self._abort

    @property
    def paused(self) -> bool:
        """Whether the run shall wait."""
        return self._paused

    def stopping(self) -> bool:
        """Whether nobody wants more results; a function, for workers to call between batches."""
        return self._abort or self._over

    def on_abort(self, wake: Callable[[], None]) -> None:
        """Call *wake* when the run shall stop, to end a wait."""
        self._wakers.append(wake)

    def pause(self) -> None:
        """Commit nothing more until `resume`."""
        if not self._paused:
            self._resumed = Gate()
            self._paused = True
        if self._abort:  # meanwhile: who aborted may have opened the gate before
            self._resumed.open()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._paused = False
        self._resumed.open()

    def abort(self) -> None:
        """Stop the run, paused or not."""
        self._abort = True
        self._paused = False
        self._resumed.open()
        for wake in self._wakers:
            wake()

    def end(self) -> None:
        """The run ends before its time, whatever the reason: stop what its workers still do."""
        self._over = True
        for wake in self._wakers:
            wake()

    def wait_while_paused(self) -> None:
        """Return when the run may go on, or shall stop."""
        while self._paused and not self._abort:
            self._resumed.wait()
