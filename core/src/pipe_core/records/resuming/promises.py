"""What a run with checkpoints can promise, by what its sinks can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pipe_core.kernel.contracts import Mode, ResumableSink, Sink


def is_resumable(sink: Sink) -> bool:
    """Whether a later process can go on with what *sink* was given."""
    return isinstance(sink, ResumableSink) and bool(getattr(sink, "resumable", True))


def can_stop_anywhere(sink: Sink) -> bool:
    """Whether there can be checkpoints before the end. A sink that keeps nothing back is told to commit."""
    if getattr(sink, "only_final", False):
        return False
    return is_resumable(sink) or sink.delivery == "at-least-once"


def delivery_of(sinks: Sequence[Sink], mode: Mode, *, kept: bool) -> Literal["exactly-once", "at-least-once"]:
    """What a report promises.

    Where nobody can go on with a sink, nobody knows whether it was committed by a process that was killed then. A
    target that is replaced or must not exist shows that; one that is appended to may get everything twice.
    """
    doubtful = [one for one in sinks if kept and mode == "append" and not is_resumable(one)]
    weak = [one for one in sinks if one.delivery != "exactly-once"]
    return "at-least-once" if weak or doubtful else "exactly-once"


def notes_on(sinks: Sequence[Sink]) -> list[str]:
    """What somebody should know who counts on checkpoints: which sinks keep a run from having some."""
    return [
        f"there is no checkpoint before everything is written: {_reason(one)}. If the run stops before that, it is "
        f"resumed from the beginning"
        for one in sinks
        if not can_stop_anywhere(one)
    ]


def _reason(sink: Sink) -> str:
    if is_resumable(sink):
        return f"{sink.name} is one file, in which nobody can go on (in a folder of part files one can)"
    if getattr(sink, "only_final", False):
        return f"what {sink.name} was given has an end"
    return f"what {sink.name} was given is lost with its process until it is committed"
