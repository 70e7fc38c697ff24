"""The end of a run that is kept, and of one whose end was all that was missing."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from pipe_core.kernel.contracts import ResumableSink
from pipe_core.records.places import as_sink
from pipe_core.records.resuming.asked import check_targets
from pipe_core.records.resuming.checkpoints import can_go_on
from pipe_core.runtime.failpoints import failpoint

if TYPE_CHECKING:
    from pipe_core.records.plan import Wishes
    from pipe_core.records.report import FlowReport
    from pipe_core.records.resuming.checkpoint import Checkpoint
    from pipe_core.records.resuming.kept_run import KeptRun
    from pipe_core.runtime.run_loop import RunLoop


def make_visible(wishes: Wishes, kept: KeptRun, final: Checkpoint, report: FlowReport, loop: RunLoop) -> None:
    """Commit the sinks of a run that was killed when everything was written, each once. Its source is not needed.

    Raises:
        ResumeError: The sinks are others than those of the run.
        SinkError: What was written is gone, or cannot be made visible.
    """
    mode = "overwrite" if wishes.mode == "ignore" else wishes.mode
    errors, sink = as_sink(wishes.errors, loop, hostile=True), as_sink(wishes.sink, loop)
    report.sink, report.errors = (None if one is None else one.name for one in (sink, errors))
    check_targets(kept.began or {}, report.sink, report.errors, kept.run)
    report.source = str((kept.began or {}).get("source", ""))
    report.executor = "none"
    report.notes.append("everything had been written when the run was killed: it was only made visible")
    with contextlib.ExitStack() as closing:
        resumed = []
        for one, state, word in ((errors, final.errors, "errors"), (sink, final.sink, "sink")):
            if isinstance(one, ResumableSink) and state is not None:
                one.resume(state, mode)
                closing.callback(one.close)
                resumed.append((one, word))
        for one, word in resumed:
            failpoint(f"{word}.commit.before")
            one.commit()
            failpoint(f"{word}.commit.after")


def end_kept(kept: KeptRun, report: FlowReport, error: BaseException | None) -> None:
    """Write down how the run ended, and let others have its folder. One that never began leaves none."""
    if not kept.is_noted:
        kept.discard()
        return
    try:
        failpoint("run.ended")
        kept.note(
            "end",
            status=report.status.value,
            resumable=error is not None and can_go_on(error),
            error=None if error is None else f"{type(error).__name__}: {error}",
            report=report.to_dict(),
        )
    except OSError as problem:  # the targets are what they are; whoever resumes finds nothing left to do
        report.notes.append(f"how the run ended could not be written down: {problem}")
    finally:
        kept.close()
