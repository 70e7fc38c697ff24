"""Ctrl-C: known by a flag of our own handler, so that a `KeyboardInterrupt` raised by user code stays user code's."""

from __future__ import annotations

import _thread
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, Final

from pipe_core.kernel import ctrl_c
from pipe_core.kernel.errors import RunCancelledError

GRACE: Final = 1.0
"""Seconds that running user code has to come back by itself after the first signal."""


class Interrupts:
    """Turns SIGINT (and SIGTERM when asked) into a call of *stop* while the block lasts.

    The first signal asks the run to stop. Where user code does not come back within `GRACE`, or at a second signal,
    `KeyboardInterrupt` is raised in it. Works in the main thread only, and only where nobody else has a handler;
    elsewhere the block changes nothing.

    Args:
        stop: Called once, from the handler: must only set flags.
        terminate: Handle SIGTERM too.
    """

    def __init__(self, stop: Callable[[], None], *, terminate: bool = False) -> None:
        self.received: int | None = None
        self._stop = stop
        self._signals = [signal.SIGINT, signal.SIGTERM] if terminate else [signal.SIGINT]
        self._before: dict[int, Any] = {}
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Interrupts:
        """Install the handlers, where that is possible."""
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                current = signal.getsignal(number)
                if current in (signal.SIG_DFL, signal.default_int_handler):
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Put back what was there."""
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        ctrl_c.forget(self)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
        ctrl_c.note(self)
        self._stop()
        self._timer = threading.Timer(GRACE, _signal_main_thread, [number])
        self._timer.daemon = True
        self._timer.start()


@contextlib.contextmanager
def interruptible(stop: Callable[[], None], *, terminate: bool = False) -> Iterator[Interrupts]:
    """As `Interrupts`. What a signal ended is raised as the signal: `KeyboardInterrupt`, or `SystemExit` with 143."""
    with Interrupts(stop, terminate=terminate) as interrupts:
        try:
            yield interrupts
        except (RunCancelledError, KeyboardInterrupt) as stopped:  # the latter where user code did not come back
            if interrupts.received == signal.SIGTERM:
                raise SystemExit(143) from None
            if interrupts.received is not None and isinstance(stopped, RunCancelledError):
                raise KeyboardInterrupt from None
            raise


def _signal_main_thread(number: int) -> None:
    """Wake the main thread out of whatever it waits for: a signal to another thread would not."""
    main = threading.main_thread().ident
    if main is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main, number)
    else:  # Windows
        _thread.interrupt_main(signal.Signals(number))
