"""Lists, functions and queues as sinks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Literal

from pipe_core.kernel.contracts import Mode, Serializer
from pipe_core.kernel.errors import OptionsError, SinkError


class PlainEncoder:
    """Rows of plain Python data."""

    __slots__ = ()

    def bind(self, serializer: Serializer) -> Callable[[Any], Any]:
        """The function that makes a row."""
        return serializer.python

    def stamp(self, position: int, row: Any) -> Any:
        """The row with its position as the first key."""
        return {"position": position, **row}

    def join(self, rows: Sequence[Any]) -> list[Any]:
        """The rows in a list."""
        return list(rows)

    def merge(self, payloads: Sequence[list[Any]]) -> list[Any]:
        """One list of them all."""
        return list(chain.from_iterable(payloads))


class MemorySink:
    """Records into an object of this process. Always appends, whatever the mode.

    A list shows records as they are written; `abort` takes back those that were not committed. What a function or a
    queue was given cannot be taken back.

    Args:
        target: A list, a function of one record, or a queue with a blocking ``put``.
    """

    def __init__(self, target: Any) -> None:
        self._target = target
        self._committed = 0
        self._open = False
        self._is_new = False
        self._is_list = isinstance(target, list)
        put = getattr(target, "put", None)
        if self._is_list:
            self._give: Callable[[Any], Any] = target.append
        elif callable(put):
            self._give = put
        elif callable(target):
            self._give = target
        else:
            kind = type(target).__name__
            text = f"The format 'memory' writes into a list, a function of one record, or a queue, not {kind}."
            raise OptionsError(text, problems={"target": f"is {kind}"})

    @property
    def name(self) -> str:
        """The name of the function, or the type of the object."""
        return f"<{getattr(self._target, '__name__', type(self._target).__name__)}>"

    @property
    def delivery(self) -> Literal["at-least-once"]:
        """At least once: nothing survives the process."""
        return "at-least-once"

    def exists(self) -> bool:
        """False: there is always room for more."""
        return False

    def encoder(self) -> PlainEncoder:
        """What workers need to make rows."""
        return PlainEncoder()

    def open(self, mode: Mode, fields: Sequence[str] | None = None) -> None:
        """Remember how long a list is."""
        self._committed = len(self._target) if self._is_list else 0
        self._open = True

    def write(self, payload: Sequence[Any], count: int) -> None:
        """Hand over the records, one by one. What a function or queue raises becomes a `SinkError`."""
        self._is_new = True
        if self._is_list:
            self._target.extend(payload)
            return
        for record in payload:
            try:
                self._give(record)
            except Exception as error:
                text = f"The sink {self.name} raised {type(error).__name__}: {error}"
                raise SinkError(text, sink=self.name) from error

    def commit(self) -> None:
        """Keep what was written."""
        self._is_new = False
        self._committed = len(self._target) if self._is_list else 0

    def abort(self, keep: bool = False) -> None:
        """Take out of a list what was not committed, unless it is to be kept."""
        if self._is_list and self._open and not keep:
            del self._target[self._committed :]
        self._open = self._is_new = False

    def close(self) -> None:
        """What was neither committed nor aborted is aborted."""
        if self._is_new:
            self.abort()
