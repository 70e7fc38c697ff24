"""A value that was saved, but not shown yet."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

from pipe_core.kernel.contracts import Sink


class Staged:
    """A value on stable storage that nobody sees before `commit`.

    Where the format, or the place, cannot keep something back, it is there already; `delivery` tells.

    Attributes:
        dataset: The name of the data set.
        state: Plain data that JSON can say, with which `Catalog.settle` commits in this process or in a later one.
        delivery: ``exactly-once``; or ``at-least-once`` where the value is visible already, and is written once more
            when the process is killed before it has noted the state down and the node runs again.
        records: How many records were written; None for values that are no records.

    Args:
        sinks: Where it is, in the order of the state's parts.
        settle: Commits by the state alone.
        abandon: Removes by the state alone.
        telling: Lets errors tell which data set they are about.
    """

    def __init__(
        self,
        state: Mapping[str, Any],
        sinks: Sequence[Sink],
        *,
        records: int | None,
        settle: Callable[[Mapping[str, Any]], None],
        abandon: Callable[[Mapping[str, Any]], None],
        telling: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.dataset: str = state["dataset"]
        self.state = state
        self.delivery: Literal["exactly-once", "at-least-once"] = state["delivery"]
        self.records = records
        self._sinks: Sequence[Sink] | None = sinks
        self._settle = settle
        self._abandon = abandon
        self._telling = telling
        self._done = False

    def commit(self) -> None:
        """Show it. What is committed already is left alone. Raises `PipeError`."""
        if self._done:
            return
        try:
            if self._sinks is not None and len(self._sinks) == len(self.state["parts"]) and not self.state["removed"]:
                with self._telling():
                    for sink in self._sinks:
                        sink.commit()
            else:
                self.close()
                self._settle(self.state)
        finally:  # what is staged can be settled, then, by whoever has the state
            self.close()
        self._done = True

    def abort(self) -> None:
        """Leave the data set as it was, where it is not committed. Raises `PipeError`."""
        if self._done:
            return
        self._done = True
        if self._sinks is None or len(self._sinks) < len(self.state["parts"]):
            self.close()
            self._abandon(self.state)
            return
        try:
            with self._telling():
                for sink in self._sinks:
                    sink.abort()
        finally:
            self.close()

    def close(self) -> None:
        """Let go of it. What is staged stays, for `Catalog.settle`."""
        sinks, self._sinks = self._sinks or (), None
        with contextlib.ExitStack() as closing:
            for sink in sinks:
                closing.callback(sink.close)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    def __repr__(self) -> str:
        return f"<Staged {self.dataset!r}, {'committed' if self._done else 'not committed'}>"
