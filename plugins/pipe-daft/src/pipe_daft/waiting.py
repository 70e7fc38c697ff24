"""The thread that waits for Daft: it tells callbacks what has happened, and hears Ctrl-C."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from pipe_core.graph.scope import Run

T = TypeVar("T")

_LONGEST_WAIT: Final = 1.0
"""So many seconds it waits at most: a Ctrl-C that comes just before it begins to wait is heard behind that."""


class Waiting:
    """Waits for what Daft does in threads of its own.

    Daft gives up at a Ctrl-C what it waits for, and leaves behind what runs; so it is never this thread that calls it.

    Args:
        run: What it waits for.

    Attributes:
        error: What has ended the run, if anything did.
    """

    def __init__(self, run: Run) -> None:
        self.error: BaseException | None = None
        self._run = run
        self._news: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        run.flow = self

    def post(self, news: Callable[[], None], /) -> None:
        """Call *news*, in the order in which they come."""
        self._news.put(news)

    def fail(self, error: BaseException, /) -> None:
        """End the run with *error*: what runs is waited for, and nothing else begins."""
        self.error = self.error or error
        self._run.stop()

    def wait_for(self, work: Callable[[], T]) -> T:
        """The result of *work*, which another thread does.

        Raises:
            BaseException: What *work* raised.
        """
        found: list[T] = []
        raised: list[BaseException] = []
        is_over = threading.Event()

        def target() -> None:
            try:
                found.append(work())
            except BaseException as error:  # raised where it is waited for
                raised.append(error)
            finally:
                is_over.set()
                self._news.put(None)

        thread = threading.Thread(target=contextvars.copy_context().run, args=[target], name="pipe-daft", daemon=True)
        thread.start()
        while not is_over.is_set():
            self._hear()
        thread.join()
        if raised:
            raise raised[0]
        return found[0]

    def until(self, holds: Callable[[float], bool]) -> None:
        """Wait until *holds*, which is given how many seconds it may wait for that, says so."""
        is_over = False
        while not is_over:
            try:
                is_over = holds(_LONGEST_WAIT)
            except BaseException as error:  # Ctrl-C
                self.fail(error)

    def catch_up(self) -> None:
        """Call what has not been called."""
        while not self._news.empty():
            news = self._news.get()
            if news is not None:
                news()

    def _hear(self) -> None:
        try:
            news = self._news.get(timeout=_LONGEST_WAIT)
            if news is not None:
                news()
        except Empty:
            pass
        except BaseException as error:  # Ctrl-C
            self.fail(error)
