"""What a worker gives back for one chunk or split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipe_core.kernel.contracts import Extent, Payload, Row

Phase = Literal["source", "pre", "validation", "post", "encode", "sink", "worker"]


@dataclass(slots=True)
class Failure:
    """A record that was rejected. `index` counts from the first record of the chunk or split.

    `row` is its row for the error sink, still without its position.
    """

    index: int
    phase: Phase
    errors: list[dict[str, Any]]
    row: Row
    hook: str | None = None
    part: int = 0


@dataclass(slots=True)
class Pending:
    """An entry that run-scoped hooks have yet to decide on.

    Attributes:
        index: As in `Failure`.
        verdicts: For each run-scoped hook that it reached, in order: the value to decide on, and its row for the error
            sink should the hook refuse it.
        row: Its row for the sink, where it went all the way.
        failure: Its failure, where it did not.
        entry: The entry itself, where the run streams entries.
    """

    index: int
    part: int
    verdicts: Sequence[tuple[Any, Row]]
    row: Row = None
    failure: Failure | None = None
    entry: Any = None


@dataclass(slots=True)
class Result:
    """What became of one chunk or split.

    Attributes:
        read: Records taken from the source, rejected ones included.
        valid: Records that went all the way; `payload` holds their rows.
        pending: In place of `payload` and `failures`: every entry, where run-scoped hooks decide.
        seconds: Time spent, by phase.
        extent: Where in the source it began and ended, for splits.
        fatal: An error that ends the run: the source's or a hook's contract.
    """

    read: int = 0
    valid: int = 0
    dropped: int = 0
    expanded: int = 0
    payload: Payload = None
    failures: list[Failure] = field(default_factory=list)
    pending: list[Pending] | None = None
    entries: list[Any] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    extent: Extent | None = None
    fatal: BaseException | None = None
