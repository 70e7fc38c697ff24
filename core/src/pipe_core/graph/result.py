"""`MapResult`: the outputs of each item of a map, by item and by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, SupportsIndex, overload

from pipe_core.graph.errors import GraphError, OutputNotFoundError
from pipe_core.kernel.index import suggestion

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ItemFailure:
    """An item of a map that has failed.

    Attributes:
        index: Its place.
        inputs: What it was given.
        error: What it raised; its notes say in which node.
    """

    index: int
    inputs: Mapping[str, Any]
    error: Exception


class FailedRow(Row):
    """What `Pipeline.imap` gives for an item that has failed: None for each output.

    Attributes:
        failure: What has failed, and why.
    """

    def __init__(self, row: Row, failure: ItemFailure) -> None:
        super().__init__(row)
        self.failure = failure


class MapResult(list[Row]):
    """A dictionary of outputs for each item, in the order of the items. ``result["name"]`` is a column.

    An item that has failed, where the map went on, has None for each output, and stands in `failed`.

    Args:
        rows: One an item.
        names: Of the outputs, also where there are no items.
        failed: Those that have failed.
        again: Runs such items once more.
    """

    def __init__(
        self,
        rows: Iterable[Row],
        names: Iterable[str],
        failed: Iterable[ItemFailure] = (),
        again: Callable[[list[Mapping[str, Any]]], MapResult] | None = None,
    ) -> None:
        super().__init__(rows)
        self.names = tuple(names)
        self.failed = list(failed)
        self._again = again

    @overload
    def __getitem__(self, key: str) -> list[Any]: ...
    @overload
    def __getitem__(self, key: SupportsIndex) -> Row: ...
    @overload
    def __getitem__(self, key: slice) -> list[Row]: ...
    def __getitem__(self, key: Any) -> Any:
        """A row by its place, a column by its name."""
        if not isinstance(key, str):
            return super().__getitem__(key)
        if key not in self.names:
            raise OutputNotFoundError(
                f"Output '{key}' not found in the result.{suggestion(key, self.names)} "
                f"Available outputs: {', '.join(self.names)}",
                output=key,
                available=self.names,
            )
        return [row[key] for row in self]

    def __copy__(self) -> MapResult:
        return MapResult(self, self.names, self.failed, self._again)

    def __reduce__(self) -> tuple[Any, ...]:
        return MapResult, (list(self), self.names, self.failed)

    def columns(self) -> dict[str, list[Any]]:
        """Every output as a list."""
        return {name: self[name] for name in self.names}

    def retry_failed(self) -> MapResult:
        """Run the items that have failed once more. Gives a new result, with all items.

        Raises:
            GraphError: The result was pickled: what ran it did not come along.
        """
        if not self.failed:
            return self
        if self._again is None:
            raise GraphError(
                "This result has been in bytes, and no longer knows what ran it. Map the inputs of its failures again."
            )
        found = self._again([failure.inputs for failure in self.failed])
        rows = list(self)
        for failure, row in zip(self.failed, found, strict=True):
            rows[failure.index] = row
        failed = [ItemFailure(self.failed[one.index].index, one.inputs, one.error) for one in found.failed]
        return MapResult(rows, self.names, failed, self._again)
