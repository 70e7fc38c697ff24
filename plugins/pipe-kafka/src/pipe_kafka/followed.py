"""What has come to a topic, with what could not be read of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipe_core.kernel.contracts import Followed, Rejection


@dataclass(frozen=True, slots=True)
class FollowedMessages(Followed):
    """What has come to a topic since a position.

    Attributes:
        rejected: The messages of the range that could not be read, in order. They are not among the records.
    """

    rejected: Sequence[Rejection] = ()
