"""What a signature was made of, and in what two of them differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipe_core.graph.caching.signatures import combined, signature_of


@dataclass(frozen=True, slots=True)
class Parts:
    """What the signature of a result was made of.

    Attributes:
        node: The node's name.
        code: What `sign_code` gives for its function.
        inputs: The digest of each input, by name; or the signature of what gave it.
    """

    node: str
    code: Mapping[str, str]
    inputs: Mapping[str, str]

    @property
    def signature(self) -> str:
        """The signature itself."""
        return signature_of(combined(self.code), self.inputs)

    def distance(self, other: Parts) -> int:
        """In how many parts they differ."""
        return len(why(other, self))


def nearest(parts: Parts, candidates: Iterable[Parts]) -> Parts | None:
    """The one of the same node that differs least; of several the first."""
    return min((one for one in candidates if one.node == parts.node), key=parts.distance, default=None)


def why(previous: Parts | None, now: Parts) -> list[str]:
    """What has changed since the *previous* result of a node, in words; empty if nothing has.

    Args:
        previous: Of an earlier result; None where there is none.
        now: Of the result that is wanted.
    """
    if previous is None:
        return [f"no result of '{now.node}' is in the cache"]
    return [
        *(f"{part} of '{now.node}' {how}" for part, how in _changes(previous.code, now.code, "has changed")),
        *(f"input '{name}' {how}" for name, how in _changes(previous.inputs, now.inputs, "has another value")),
    ]


def _changes(before: Mapping[str, str], now: Mapping[str, str], other: str) -> Iterable[tuple[str, str]]:
    for name in dict.fromkeys((*now, *before)):
        if name not in before:
            yield name, "is new"
        elif name not in now:
            yield name, "is gone"
        elif before[name] != now[name]:
            yield name, other
