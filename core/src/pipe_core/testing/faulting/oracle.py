"""The oracle: integers from 0 on go in, and what must become of each follows from the number alone."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from pydantic import BaseModel

from pipe_core.records.entry import Entry
from pipe_core.records.report import FlowReport
from pipe_core.records.store import HookStore
from pipe_core.testing.faulting.findings import Findings, compared

Outcome: TypeAlias = Literal["valid", "invalid", "dropped"]

_DROP: Final = "drop"


class Number(BaseModel):
    """The schema of the oracle's records. An invalid one has a word in the place of its number."""

    n: int


def drop_marked(entry: Entry, store: HookStore) -> list[Entry] | None:
    """The hook of the oracle: drops the records that are to be dropped."""
    return [] if entry.raw_data.get("what") == _DROP else None


class Oracle:
    """Makes records, and knows what must become of each.

    Args:
        count: How many.
        invalid: Which numbers the schema rejects. Default: every hundredth.
        dropped: Which of the others the hook drops. Default: none.

    Attributes:
        schema: What validates the records.
        hooks: What drops some of them, for ``pre_validation_hooks``.
    """

    schema = Number
    hooks = (drop_marked,)

    def __init__(
        self,
        count: int,
        *,
        invalid: Callable[[int], bool] = lambda n: n % 100 == 0,
        dropped: Callable[[int], bool] = lambda n: False,
    ) -> None:
        self.count = count
        self._invalid = invalid
        self._dropped = dropped

    def outcome(self, number: int) -> Outcome:
        """What must become of a number."""
        if self._invalid(number):
            return "invalid"
        return "dropped" if self._dropped(number) else "valid"

    # --- what goes in ---

    def records(self) -> Iterator[dict[str, Any]]:
        """All records, in order."""
        for number in range(self.count):
            outcome = self.outcome(number)
            yield {
                "n": f"not {number}" if outcome == "invalid" else number,
                "what": _DROP if outcome == "dropped" else "keep",
            }

    def write(self, path: str | Path) -> Path:
        """Write the records to a file, as JSON lines or as CSV, by its suffix.

        Raises:
            ValueError: It has another suffix.
        """
        path = Path(path)
        if path.suffix not in (".jsonl", ".csv"):
            raise ValueError(f"The oracle writes .jsonl and .csv, not {path.name!r}.")
        with open(path, "w", encoding="utf-8", newline="") as file:
            if path.suffix == ".jsonl":
                file.writelines(f"{json.dumps(record)}\n" for record in self.records())
            else:
                writer = csv.DictWriter(file, ["n", "what"])
                writer.writeheader()
                writer.writerows(self.records())
        return path

    # --- what must come out ---

    def expected(self, outcome: Outcome) -> list[int]:
        """The numbers that end like this, in order."""
        return [number for number in range(self.count) if self.outcome(number) == outcome]

    def findings(self, good: Iterable[Any], bad: Iterable[Any] = ()) -> Findings:
        """What is wrong with what came out.

        Args:
            good: The rows of the sink, in order: integers, or whatever has a field ``n``.
            bad: The rows of the error sink: positions, or whatever has a field ``position``.
        """
        return Findings(
            sink=compared([_field(row, "n") for row in good], self.expected("valid")),
            errors=compared([_field(row, "position") for row in bad], self.expected("invalid")),
        )

    def check(self, good: Iterable[Any], bad: Iterable[Any] = (), report: FlowReport | None = None) -> None:
        """Make sure that each number came out once, in order and where it belongs.

        Args:
            good: The rows of the sink.
            bad: The rows of the error sink.
            report: What the run says of itself, if that is to be compared, too.

        Raises:
            AssertionError: Something is lost, doubled, wrong or out of order; says what.
        """
        found = self.findings(good, bad)
        if found:
            raise AssertionError(str(found))
        if report is not None:
            self.check_counts(report.to_dict())

    def check_counts(self, counts: Mapping[str, Any]) -> None:
        """Make sure that the counts of a report, as `FlowReport.to_dict` gives them, are those of the oracle.

        Raises:
            AssertionError: They are not; says which.
        """
        ends = {"valid": "valid", "failed": "invalid", "dropped": "dropped"}
        wanted = {"read": self.count, **{name: len(self.expected(end)) for name, end in ends.items()}}  # type: ignore[arg-type]  # the values are outcomes
        told = {name: counts[name] for name in wanted}
        if told != wanted:
            raise AssertionError(f"the report counts {told}, and it should be {wanted}")

    def check_files(self, sink: str | Path, errors: str | Path | None = None) -> None:
        """As `check`, of files: JSON lines or CSV."""
        self.check(_rows(Path(sink)), () if errors is None else _rows(Path(errors)))


def _field(row: Any, name: str) -> int:
    if isinstance(row, int):
        return row
    return int(row[name] if isinstance(row, Mapping) else getattr(row, name))


def _rows(path: Path) -> list[Any]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file)) if path.suffix == ".csv" else [json.loads(line) for line in file]
