"""Control of a run from outside: pause, resume, abort."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Control:
    """Flags that whoever holds the report sets and that the run looks at. Safe under threads and in signal handlers."""

    def __init__(self) -> None:
        self._going = threading.Event()
        self._going.set()
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
        return not self._going.is_set()

    def stopping(self) -> bool:
        """Whether nobody wants more results; a function, for workers to call between batches."""
        return self._abort or self._over

    def on_abort(self, wake: Callable[[], None]) -> None:
        """Call *wake* when the run shall stop, to end a wait."""
        self._wakers.append(wake)

    def pause(self) -> None:
        """Commit nothing more until `resume`."""
        self._going.clear()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._going.set()

    def abort(self) -> None:
        """Stop the run, paused or not."""
        self._abort = True
        self._going.set()
        for wake in self._wakers:
            wake()

    def end(self) -> None:
        """The run ends before its time, whatever the reason: stop what its workers still do."""
        self._over = True
        for wake in self._wakers:
            wake()

    def wait_while_paused(self) -> None:
        """Return when the run may go on, or shall stop."""
        self._going.wait()
