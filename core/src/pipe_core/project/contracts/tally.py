"""What a contract found: what it let pass, what it discarded, and what it refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pipe_core.project.contracts.errors import Misfit


@dataclass(frozen=True, slots=True)
class ContractNote:
    """What a contract changed, or let pass, of what one node was given, or gave. It travels.

    Attributes:
        side: ``input`` or ``output``; ``load`` or ``save`` for a contract of a data set.
        name: The name of the input, the output or the data set.
        records: How many records there were.
        rows: How many of them were discarded.
        values: How many values of each field were discarded.
        new_fields: Fields that the schema does not know, and that passed.
        example: The first that was discarded, and why.
    """

    side: str
    name: str
    records: int
    rows: int = 0
    values: Mapping[str, int] = field(default_factory=dict)
    new_fields: tuple[str, ...] = ()
    example: str = ""

    @property
    def discarded(self) -> int:
        """How many rows and values were discarded."""
        return self.rows + sum(self.values.values())

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "side": self.side,
            "name": self.name,
            "records": self.records,
            "rows": self.rows,
            "values": dict(self.values),
            "new_fields": list(self.new_fields),
            "example": self.example,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The note that was written down as *data*."""
        return cls(**{**data, "new_fields": tuple(data["new_fields"])})

    def __str__(self) -> str:
        found = []
        if self.rows:
            found.append(f"{self.rows:,} of {self.records:,} records were discarded")
        if self.values:
            each = ", ".join(f"{count:,} of '{name}'" for name, count in self.values.items())
            found.append(f"values were discarded: {each}")
        if self.new_fields:
            found.append(f"new fields passed: {', '.join(self.new_fields)}")
        first = f" (the first: {self.example})" if self.example else ""
        return f"{self.side} '{self.name}': {'; '.join(found)}{first}"


def summed(notes: Iterable[ContractNote]) -> tuple[ContractNote, ...]:
    """One note for each contract, of all that is told of it."""
    found: dict[tuple[str, str], ContractNote] = {}
    for note in notes:
        known = found.get((note.side, note.name))
        found[note.side, note.name] = note if known is None else _sum(known, note)
    return tuple(found.values())


def _sum(one: ContractNote, other: ContractNote) -> ContractNote:
    values = {name: one.values.get(name, 0) + other.values.get(name, 0) for name in {**one.values, **other.values}}
    return ContractNote(
        one.side,
        one.name,
        one.records + other.records,
        one.rows + other.rows,
        values,
        tuple(dict.fromkeys((*one.new_fields, *other.new_fields))),
        one.example or other.example,
    )


@dataclass(slots=True)
class Tally:
    """What was found so far.

    Attributes:
        records: How many records there were.
        rows: How many were discarded.
        values: How many values of each field were discarded.
        new_fields: Those that passed, in order.
        refused: How many records do not fit and cannot be mended.
        first_refused: The first of them: its position, and all that is wrong with it.
        first_discarded: The first record of which something was discarded, alike.
    """

    records: int = 0
    rows: int = 0
    values: Counter[str] = field(default_factory=Counter)
    new_fields: dict[str, None] = field(default_factory=dict)
    refused: int = 0
    first_refused: tuple[int, Sequence[Misfit]] | None = None
    first_discarded: tuple[int, Sequence[Misfit]] | None = None

    def refuse(self, position: int, misfits: Sequence[Misfit]) -> None:
        """A record does not fit."""
        self.refused += 1
        if self.first_refused is None or position < self.first_refused[0]:
            self.first_refused = position, misfits

    def discard_row(self, position: int, misfits: Sequence[Misfit]) -> None:
        """A record is discarded."""
        self.rows += 1
        self._discarded(position, misfits)

    def discard_values(self, position: int, fields: Iterable[str], misfits: Sequence[Misfit]) -> None:
        """Values of a record are discarded."""
        self.values.update(fields)
        self._discarded(position, misfits)

    def _discarded(self, position: int, misfits: Sequence[Misfit]) -> None:
        if self.first_discarded is None or position < self.first_discarded[0]:
            self.first_discarded = position, misfits

    def note(self, side: str, name: str) -> ContractNote | None:
        """What is to be told of it; None where nothing is."""
        if not (self.rows or self.values or self.new_fields):
            return None
        example = ""
        if self.first_discarded is not None:
            position, misfits = self.first_discarded
            example = f"record {position:,}, {misfits[0]}"
        return ContractNote(side, name, self.records, self.rows, dict(self.values), tuple(self.new_fields), example)
