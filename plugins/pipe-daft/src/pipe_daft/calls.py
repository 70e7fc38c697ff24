"""What the expressions of a run call, and what becomes of its items."""

from __future__ import annotations

import contextvars
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from pipe_core.graph.engine import ASYNC_SLOTS
from pipe_core.graph.frames import Frame, Group
from pipe_core.graph.inline import run_step
from pipe_core.graph.result import ItemFailure
from pipe_core.kernel.errors import PipeError
from pipe_daft.expressions import ITEM, frame_of
from pipe_daft.waiting import Waiting

if TYPE_CHECKING:
    from pipe_core.graph.plan import Step

Row = dict[str, Any]
Place = tuple[int, int]
"""Of a step: that of its item, and its own in the plan."""

_is_inside: contextvars.ContextVar[bool] = contextvars.ContextVar("pipe_daft_is_inside", default=False)


class _Lost:
    def __repr__(self) -> str:
        return "<lost>"


LOST: Final = _Lost()
"""Stands in a column where something before has failed."""


def is_inside() -> bool:
    """Whether this is called by an expression, however deep. There Daft must not be waited for: it has few threads."""
    return _is_inside.get()


class Calls(ABC):
    """Calls steps for rows, in the context of who began the run."""

    def __init__(self) -> None:
        self._context = contextvars.copy_context()
        self._context.run(_is_inside.set, True)

    def batch(self, step: Step, slots: Sequence[int], rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        """See `CallsSteps`. Coroutines of the rows run at once."""
        call = partial(self._in_context, step, slots)
        if not step.node.is_async or len(rows) < 2:
            return [call(row) for row in rows]
        with ThreadPoolExecutor(min(len(rows), ASYNC_SLOTS), "pipe-daft") as waiting:
            return list(waiting.map(call, rows))

    def _in_context(self, step: Step, slots: Sequence[int], row: Sequence[Any]) -> Sequence[Any]:
        index, *inputs = row
        return self._context.copy().run(self.call, step, index, dict(zip(slots, inputs, strict=True)))

    @abstractmethod
    def call(self, step: Step, index: int, inputs: Mapping[int, Any]) -> Sequence[Any]:
        """The outputs of *step* for the item at *index*, with *inputs* by slot."""


class Kept(Calls):
    """The items of a run that is waited for. Use it for a block.

    What fails becomes no error of Daft's, which would end all rows: what comes of it is lost, and Daft goes on. Where
    the first failure ends the run, or an item, "first" is the one that would be the first if items and their steps ran
    one after the other: what comes behind it does not begin any more, and what comes before it does.

    Args:
        group: The items. Only their inputs are not there yet.

    Attributes:
        first: The place of the failure that ends the run, and its error.
        errors: All that was raised, by place.
    """

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.first: tuple[Place, Exception] | None = None
        self.errors: dict[Place, Exception] = {}
        self._group = group
        self._run = group.scope.run
        self._waiting = Waiting(self._run)
        self._frames: dict[int, Frame] = {}
        self._failed: dict[int, int] = {}  # in which step each item has failed that has
        self._open: dict[Frame, None] = {}  # that have begun and not ended
        self._running = 0
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        """Say that it begins."""
        self._group.begins()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Say that it has ended."""
        for frame in reversed(self._open):
            frame.ends()
        self._group.ends()
        self._waiting.catch_up()

    def collect(self, items: Sequence[Row]) -> list[tuple[Row, ItemFailure | None]]:
        """Let Daft run *items*, which come behind those that it has run.

        Returns:
            The outputs of each that are there, and why it has failed if it has. Without those from `first` on.

        Raises:
            BaseException: What has ended the run, other than a failure.
        """
        if not items:
            return []
        first, plan = self._group.count, self._group.plan
        frames = [Frame(self._group, item, False) for item in items]
        self._frames = {frame.index: frame for frame in frames}
        try:
            found = self._waiting.wait_for(lambda: frame_of(plan, items, first, self).to_pydict())
        except BaseException:
            self._run.stop()
            self._settle()
            self._check_end()
            raise
        self._settle()
        self._check_end()
        return self._rows(frames, found)

    def _rows(self, frames: Sequence[Frame], columns: Mapping[str, list[Any]]) -> list[tuple[Row, ItemFailure | None]]:
        places = {index: place for place, index in enumerate(columns[ITEM])}
        if len(columns[ITEM]) != len(frames) or any(frame.index not in places for frame in frames):
            raise PipeError(
                f"Daft was given {len(frames)} items, and gave {len(columns[ITEM])} rows for {len(places)} of them. "
                f"This is a defect of Daft or of pipe-daft: please report it with the versions of both."
            )
        found: list[tuple[Row, ItemFailure | None]] = []
        for frame in frames:
            if self.first is not None and frame.index >= self.first[0][0]:
                break
            row = {name: columns[name][places[frame.index]] for name in self._group.plan.outputs}
            if (failed := self._group.failed.get(frame.index)) is not None:
                found.append((dict.fromkeys(row), ItemFailure(frame.index, *failed)))
            else:
                found.append(({name: value for name, value in row.items() if value is not LOST}, None))
        return found

    def _settle(self) -> None:
        """Wait for what runs: Daft may have given up waiting for it."""

        def is_settled(seconds: float) -> bool:
            with self._changed:
                return self._changed.wait_for(lambda: not self._running, seconds)

        self._waiting.until(is_settled)
        self._frames = {}

    def _check_end(self) -> None:
        error = self._waiting.error or self._run.ended_by
        if error is not None:
            raise error

    # --- in threads of Daft's ---

    def call(self, step: Step, index: int, inputs: Mapping[int, Any]) -> Sequence[Any]:
        """See `Calls`. A step that must not run any more, or that fails, gives what is lost."""
        frame = self._frames.get(index)
        if frame is None:  # given up
            return [LOST] * len(step.outputs)
        goes = self._begins(frame, step, inputs)
        try:
            if not goes:
                return [LOST] * len(step.outputs)
            for slot, value in inputs.items():
                frame.values[slot] = value
            run_step(step, frame.values, frame.level)
            return step.taken(frame.values)
        except BaseException as error:  # raised by who waits for the run
            self._has_failed(frame, step, error)
            return [LOST] * len(step.outputs)
        finally:
            self._ends(frame, goes)

    def _begins(self, frame: Frame, step: Step, inputs: Mapping[int, Any]) -> bool:
        with self._changed:
            if any(value is LOST for value in inputs.values()) or self._is_behind(frame.index, step.index):
                return False
            try:
                self._run.check()
            except BaseException:  # the run is over; who waits for it raises that
                return False
            self._running += 1
            if frame not in self._open:
                self._open[frame] = None
                frame.begins()
            return True

    def _has_failed(self, frame: Frame, step: Step, error: BaseException) -> None:
        if error is self._run.ended_by:
            return
        if not isinstance(error, Exception):
            self._run.interrupt(error)
            return
        with self._changed:
            if self._is_behind(frame.index, step.index):  # began before the other one failed
                return
            if not self._run.goes_on:
                self.first = (frame.index, step.index), error
            elif self._group.mapped:
                self.errors.pop((frame.index, self._failed.get(frame.index, -1)), None)
                self._failed[frame.index] = step.index
                self._group.failed[frame.index] = frame.inputs, error
            self.errors[frame.index, step.index] = error

    def _is_behind(self, item: int, step: int) -> bool:
        """Whether a failure is before it, of those that end the run or the item."""
        if not self._run.goes_on:
            return self.first is not None and (item, step) > self.first[0]
        return self._group.mapped and self._failed.get(item, step) < step

    def _ends(self, frame: Frame, has_run: bool) -> None:
        with self._changed:
            self._running -= has_run
            frame.left -= 1
            if frame.left == 0 and frame in self._open:
                del self._open[frame]
                frame.ends()
            self._changed.notify_all()
