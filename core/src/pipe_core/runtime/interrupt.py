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
from pipe_core.runtime.gate import Gate

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
        self._over = Gate()

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
        self._over.open()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        ctrl_c.forget(self)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
        ctrl_c.note(self)
        # First of all the way out, whatever *stop* waits for. Without `threading`: it has locks of its own, and this
        # may have come while the main thread had one of them.
        _thread.start_new_thread(self._insist, (number,))
        self._stop()

    def _insist(self, number: int) -> None:
        if not self._over.wait(GRACE):
            _signal_main_thread(number)


@contextlib.contextmanager
def interruptible(stop: Callable[[], None], *, terminate: bool = False) -> Iterator[Interrupts]:
    """As `Interrupts`; at the end of the block a signal is raised: `KeyboardInterrupt`, or `SystemExit` with 143.

    Also one that came too late to stop anything: it was meant for the program.
    """
    hung: KeyboardInterrupt | None = None
    with Interrupts(stop, terminate=terminate) as interrupts:
        try:
            yield interrupts
        except RunCancelledError:
            if interrupts.received is None:
                raise
        except KeyboardInterrupt as raised:
            if interrupts.received is None:
                raise
            hung = raised  # it says where user code did not come back
    if interrupts.received == signal.SIGTERM:
        raise SystemExit(143)
    if interrupts.received is not None:
        raise hung or KeyboardInterrupt


def _signal_main_thread(number: int) -> None:
    """Wake the main thread out of whatever it waits for: a signal to another thread would not."""
    main = threading.main_thread().ident
    if main is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main, number)
    else:  # Windows
        _thread.interrupt_main(signal.Signals(number))
