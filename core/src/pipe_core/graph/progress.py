"""`ProgressCallback`: how far runs of pipelines are, live on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from pipe_core.graph.callbacks import PipelineCallback
from pipe_core.graph.progress_counts import Counts
from pipe_core.graph.progress_views import Lines, Screen
from pipe_core.kernel.errors import OptionsError
from pipe_core.looks.terminal import take_terminal

if TYPE_CHECKING:
    from rich.console import Console

    from pipe_core.graph.callbacks import CallbackContext


@dataclass(frozen=True, slots=True)
class _Shown:
    """A run that is shown: on the screen, or in lines."""

    counts: Counts
    lines: Lines | None


class ProgressCallback(PipelineCallback):
    """Shows how far runs are: of each pipeline the nodes that have ended, of each map its items, and how fast.

    A terminal has live bars: below a pipeline those of the pipelines inside as long as they run, below a map a line for
    each node. At the end of the run one line takes their place. Anything else than a terminal gets plain lines.
    Several runs may share one object, also at the same time.

    Args:
        enable: Whether it shows anything.
        every: Seconds between two lines, where there is no terminal.
        refresh: How often a second bars are drawn, where there is one.
        stream: Where to. Default: standard error.
        clock: Seconds, for rates and for the time between two lines.

    Raises:
        OptionsError: *every* or *refresh* is no positive number.
    """

    def __init__(
        self,
        enable: bool = True,
        *,
        every: float = 2.0,
        refresh: float = 5.0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, value in (("every", every), ("refresh", refresh)):
            if not _is_positive(value):
                raise OptionsError(f"{name} wants a positive number, not {value!r}.", problems={name: "not positive"})
        self._every, self._refresh, self._stream, self._clock = every, refresh, stream, clock
        self._enable = enable
        self._key = f"pipe_core.graph.progress {id(self)}"
        self._lock = threading.Lock()  # runs may begin and end at the same time
        self._screen: Screen | None = None

    # --- runs ---

    def _begun(self, ctx: CallbackContext) -> Counts:
        """The counts of a run in which something begins: perhaps the run."""
        counts = self._counts(ctx)
        if counts is None:
            counts = Counts(self._clock, ctx)
            with self._lock:
                if self._screen is None and (console := self._terminal()) is not None:
                    self._screen = Screen(console, self._refresh, self._clock)
                if self._screen is None:
                    lines = Lines(counts, self._every, self._clock, self._stream)
                else:
                    lines = None
                    self._screen.add(counts)
            ctx.set(self._key, _Shown(counts, lines))
        return counts

    def _terminal(self) -> Console | None:
        try:
            return take_terminal(self._stream, notebooks=True)
        except ValueError:  # it was closed, as the first line will find
            return None

    def _counts(self, ctx: CallbackContext) -> Counts | None:
        shown: _Shown | None = ctx.get(self._key)
        if shown is None:
            return None
        if shown.lines is not None:
            shown.lines.advance()
        return shown.counts

    def _ended(self, ctx: CallbackContext) -> None:
        """A pipeline or a map has ended: perhaps the run."""
        shown: _Shown = ctx.get(self._key)
        if shown.counts.open:
            return
        ctx.set(self._key, None)
        if shown.lines is not None:
            shown.lines.finish()
            return
        with self._lock:
            if self._screen is not None and self._screen.remove(shown.counts):
                self._screen = None

    # --- events ---

    def on_pipeline_start(self, pipeline_id: str, inputs: dict[str, Any], ctx: CallbackContext) -> None:
        """A pipeline begins."""
        if self._enable:
            self._begun(ctx).pipeline_starts(ctx)

    def on_pipeline_end(self, pipeline_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None:
        """It has ended."""
        if (counts := self._counts(ctx)) is not None:
            counts.pipeline_ends(ctx)
            self._ended(ctx)

    def on_node_start(self, node_id: str, inputs: dict[str, Any], ctx: CallbackContext) -> None:
        """A node begins."""
        if (counts := self._counts(ctx)) is not None:
            counts.node_starts(node_id, ctx)

    def on_node_end(self, node_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None:
        """It has ended."""
        if (counts := self._counts(ctx)) is not None:
            counts.node_ends(node_id, outputs, ctx)

    def on_node_cached(self, node_id: str, signature: str, ctx: CallbackContext) -> None:
        """A node does not run."""
        if (counts := self._counts(ctx)) is not None:
            counts.node_is_cached(node_id, ctx)

    def on_error(self, node_id: str, error: BaseException, ctx: CallbackContext) -> None:
        """A node has raised *error*."""
        if (counts := self._counts(ctx)) is not None:
            counts.node_fails(node_id, error, ctx)

    def on_nested_pipeline_start(self, parent_id: str, child_id: str, ctx: CallbackContext) -> None:
        """A pipeline begins inside of another one."""
        if (counts := self._counts(ctx)) is not None:
            counts.nested_starts(child_id, ctx)

    def on_nested_pipeline_end(self, parent_id: str, child_id: str, duration: float, ctx: CallbackContext) -> None:
        """It has ended."""
        if (counts := self._counts(ctx)) is not None:
            counts.nested_ends(child_id, ctx)

    def on_map_start(self, total_items: int | None, ctx: CallbackContext) -> None:
        """A map begins."""
        if self._enable:
            self._begun(ctx).map_starts(total_items, ctx)

    def on_map_item_start(self, idx: int, ctx: CallbackContext) -> None:
        """An item begins."""
        if (counts := self._counts(ctx)) is not None:
            counts.item_starts(ctx)

    def on_map_item_end(self, idx: int, duration: float, ctx: CallbackContext) -> None:
        """It has ended."""
        if (counts := self._counts(ctx)) is not None:
            counts.item_ends(ctx)

    def on_map_item_cached(self, idx: int, signature: str, ctx: CallbackContext) -> None:
        """An item does not run."""
        if (counts := self._counts(ctx)) is not None:
            counts.item_is_cached(ctx)

    def on_map_end(self, total_duration: float, ctx: CallbackContext) -> None:
        """A map has ended."""
        if (counts := self._counts(ctx)) is not None:
            counts.map_ends(ctx)
            self._ended(ctx)


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
