"""What a table of malformed files is made of: a file, and what must come out of it record by record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Bad:
    """A record that must be rejected with this type."""

    type: str


@dataclass(frozen=True)
class File:
    """A malformed file.

    Attributes:
        name: What is wrong with it.
        suffix: Of its name.
        data: Its bytes.
        outcome: Its records in their order, with `Bad` for those that must be rejected; None where it cannot be said
            how many come: a beginning of `whole`. Without `whole` they may be others, because only a check sum at the
            end tells; then it is the error that counts.
        error: What the error of the source must say; None where reading it must end well.
        whole: All records of the file as it was before it was damaged.
        options: Of its format.
    """

    name: str
    suffix: str
    data: bytes
    outcome: tuple[Any, ...] | None = ()
    error: str | None = None
    whole: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """What pytest calls it."""
        return f"{self.suffix[1:]}-{self.name}".replace(" ", "_")

    @property
    def format(self) -> str:
        """The name of its format."""
        found = self.suffix.split(".")[1]
        return "csv" if found == "tsv" else found


def places(before: Any, bad: Any, behind: Any) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The bad one first, between two good ones, and last."""
    yield "first", (bad, before, behind)
    yield "between", (before, bad, behind)
    yield "last", (before, behind, bad)


def distinct(files: Iterable[File]) -> int:
    """How many of the files have bytes that no other one has."""
    return len({file.data for file in files})
