"""What is seen of a project's run while it goes on: lines for each node, on a terminal below them a bar; or the log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from pipe_core.cli.output import redact
from pipe_core.graph.callbacks import PipelineCallback
from pipe_core.looks.wording import duration, one_line

if TYPE_CHECKING:
    from pipe_core.graph.callbacks import CallbackContext
    from pipe_core.project.runs.runner import Runner
    from pipe_core.project.state import NodeState

_LOGGER: Final = "pipe_core.project"


def callbacks_for(runner: Runner, *, progress: bool, verbose: int) -> list[Any]:
    """Who shows what happens in runs of *runner*.

    Args:
        runner: Runs.
        progress: Whether anything is shown.
        verbose: Whether the log is shown, which says the same.
    """
    if not progress:
        return []
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    lines = [] if verbose else [NodeLines(runner, starts=not on_terminal)]
    if not on_terminal:
        return lines
    from pipe_core.graph.progress import ProgressCallback

    return [*lines, ProgressCallback()]


class NodeLines(PipelineCallback):
    """Writes a line when a node has ended; of a stream, when it begins.

    Args:
        runner: Whose state says how.
        starts: Whether also when one begins.
    """

    def __init__(self, runner: Runner, *, starts: bool) -> None:
        self._runner = runner
        self._starts = starts
        self._streams: set[str] = set()

    def on_node_start(self, node_id: str, inputs: dict[str, Any], ctx: CallbackContext) -> None:
        """A node begins, or another attempt of it."""
        node = self._node(node_id)
        if node.node_type == "streaming":
            self._stream_begins(node_id)
        elif self._starts:
            attempt = node.attempt
            _write(f"{node_id}: started" + (f", attempt {attempt}" if attempt > 1 else ""))

    def on_node_end(self, node_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None:
        """It has ended, well if there are outputs."""
        node = self._node(node_id)
        if outputs and node.node_type == "batch":
            stored = f", stored {', '.join(node.output_path)}" if node.output_path else ""
            _write(f"{node_id}: completed in {_time(node)}{stored}")

    def on_error(self, node_id: str, error: BaseException, ctx: CallbackContext) -> None:
        """An attempt has failed."""
        node = self._node(node_id)
        if isinstance(error, Exception) and node.word in ("failed", "retrying"):
            again = "; it is tried again" if node.word == "retrying" else ""
            _write(f"{node_id}: failed after {_time(node)}: {type(error).__name__}: {one_line(error)}{again}")

    def _stream_begins(self, name: str) -> None:
        """Tell of its first micro-batch in this run."""
        key = f"{self._runner.run_id} {name}"
        if key not in self._streams:
            self._streams.add(key)
            _write(f"{name}: started, in micro-batches")

    def _node(self, name: str) -> NodeState:
        state = self._runner.state
        assert state is not None  # it runs
        return state.node(name)


def _time(node: NodeState) -> str:
    return duration(node.duration or 0.0)


def _write(line: str) -> None:
    print(redact(line), file=sys.stderr, flush=True)  # above the bar, where there is one


class _Log(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _write(self.format(record))


def _is_of_runs(record: logging.LogRecord) -> bool:
    """Whether nobody else shows it: warnings of parts of the library are shown in any case."""
    return record.name == _LOGGER or record.levelno < logging.WARNING


@contextmanager
def logged(verbose: int) -> Iterator[None]:
    """Show the log of projects on standard error while the block lasts: once ``-v`` what ends, twice what begins."""
    if not verbose:
        yield
        return
    logger, handler = logging.getLogger(_LOGGER), _Log()
    handler.addFilter(_is_of_runs)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if verbose == 1 else logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
