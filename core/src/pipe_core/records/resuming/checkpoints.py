"""When the checkpoints of a run are made, and in which order its parts become durable.

First the error sink, then the sink, then what hooks remember, then the file that names all of it. A process that is
killed in between leaves the checkpoint of before, and sinks cut off what lies behind that when they are resumed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipe_core.kernel.contracts import ResumableSink, Sink
from pipe_core.kernel.errors import OptionsError, SinkError, TooManyErrorsError
from pipe_core.records.hooks import BaseHook
from pipe_core.records.resuming.checkpoint import Checkpoint
from pipe_core.records.resuming.promises import can_stop_anywhere, is_resumable
from pipe_core.runtime.failpoints import failpoint

if TYPE_CHECKING:
    from pipe_core.records.commit import Commit
    from pipe_core.records.hooks import BoundHook
    from pipe_core.records.opening import Ends
    from pipe_core.records.report import FlowReport
    from pipe_core.records.resuming.kept_run import KeptRun


class Checkpoints:
    """Makes the checkpoints of one run.

    Args:
        kept: Where they go.
        seconds: How often.
        ends: Where records go.
        hooks: The hooks of the run, in order.
    """

    def __init__(self, kept: KeptRun, seconds: float, ends: Ends, hooks: Sequence[BoundHook]) -> None:
        self.kept = kept
        self._seconds = seconds
        self._sink, self._errors = ends.sink, ends.errors
        self._hooks = [hook for hook in hooks if hook.kind == "run"]
        self._between = all(can_stop_anywhere(one) for one in (ends.sink, ends.errors) if one is not None)
        self._last = time.monotonic()
        self._read = -1
        self._failed = False
        self._memories = kept.begun.memories if kept.begun is not None else (0,) * len(self._hooks)

    def restore(self) -> None:
        """Let the hooks remember what they knew at the checkpoint at which the run goes on."""
        begun = self.kept.begun
        if begun is None:
            return
        self._read = begun.read
        for number, (hook, length) in enumerate(zip(self._hooks, begun.memories, strict=True)):
            for news in self.kept.memory(number, length):
                hook.source.restore(news)

    def due(self, report: FlowReport) -> float | None:
        """Seconds until the next one; None where nothing is new."""
        if not self._between or report.read == self._read:
            return None
        return max(0.0, self._last + self._seconds - time.monotonic())

    def keep_if_due(self, report: FlowReport, commit: Commit) -> None:
        """Make one when it is time for it. Raises `SinkError` or `CheckpointError`."""
        if self.due(report) == 0.0:
            self.keep(report, commit)

    def keep(self, report: FlowReport, commit: Commit, *, final: bool = False) -> None:
        """Make one of all that has been committed.

        Raises:
            SinkError: A sink cannot bring what it has to stable storage.
            CheckpointError: The checkpoint itself cannot be kept.
        """
        self._failed = True
        failpoint("checkpoint.begin")
        errors = _state(self._errors, final)
        failpoint("checkpoint.errors.after")
        sink = _state(self._sink, final)
        failpoint("checkpoint.sink.after")
        self._memories = tuple(self._remembered(number, hook) for number, hook in enumerate(self._hooks))
        failpoint("checkpoint.hooks.after")
        if final:
            self._commit_for_good()
        state = report._state()
        self.kept.keep(Checkpoint(final, state, commit.extent, sink, errors, self._memories))
        failpoint("checkpoint.kept")
        self._last, self._read, self._failed = time.monotonic(), report.read, False

    def leave(self, report: FlowReport, commit: Commit, error: BaseException) -> bool:
        """The run has failed with *error*: keep as much of it as possible. Whether somebody can go on with it.

        What a sink that failed has written of its last rows, nobody knows: the checkpoint of before holds then.
        """
        if not can_go_on(error):
            self.kept.forget()
            return False
        sound = commit.is_whole and not self._failed and not isinstance(error, SinkError)
        if sound and self._between and report.read != self._read:
            try:
                self.keep(report, commit)
            except Exception as problem:
                error.add_note(f"and then, while keeping how far it came: {type(problem).__name__}: {problem}")
        for one in commit.sinks():
            if self.commits(one):
                one.abort()
        report.resumable_at = max(0, self._read)
        return True

    def commits(self, sink: Sink) -> bool:
        """Whether *sink* is committed with the final checkpoint, because nobody could do so behind it."""
        return not is_resumable(sink)

    def _commit_for_good(self) -> None:
        for sink, word in ((self._errors, "errors"), (self._sink, "sink")):
            if sink is not None and self.commits(sink):
                failpoint(f"{word}.commit.before")
                sink.commit()
                failpoint(f"{word}.commit.after")

    def _remembered(self, number: int, hook: BoundHook) -> int:
        news = hook.source.checkpoint()
        return self._memories[number] if news is None else self.kept.remember(number, news)


def can_go_on(error: BaseException) -> bool:
    """Whether a run that ended with *error* can be resumed. One with too many errors has wrong input."""
    from pipe_core.kernel.errors import ConservationError

    return not isinstance(error, TooManyErrorsError | ConservationError)


def check_hooks(hooks: Sequence[BoundHook]) -> None:
    """Refuse run-scoped hooks whose memory would be lost.

    Raises:
        OptionsError: One has no `checkpoint` and `restore`.
    """
    for hook in hooks:
        own = [getattr(type(hook.source), name, None) for name in ("checkpoint", "restore")]
        if None in own or BaseHook.checkpoint in own:
            raise OptionsError(
                f"{hook.name} decides by what it remembers of the run (scope = 'run'), and a resumed run would not "
                f"know that. Write its methods checkpoint() and restore(news), or leave checkpoint= out."
            )


def _state(sink: Sink | None, final: bool) -> dict[str, Any] | None:
    if sink is None:
        return None
    if isinstance(sink, ResumableSink) and is_resumable(sink):
        return dict(sink.checkpoint(final))
    if not final:
        sink.commit()
    return None
