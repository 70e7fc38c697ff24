"""Consecutive records between reading and parsing, and how they are cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from pipe_core.kernel.contracts import Rejection, SizeNow

GROUP: Final = 1000
"""Records that are taken out of a block at once where the driver reads."""

ItemT = TypeVar("ItemT")


@dataclass(slots=True)
class Group(Generic[ItemT]):
    """Some items, one a record; an empty one where rejected.

    Attributes:
        items: A row's cells, or the bytes of a JSON value.
        rejected: The records that could not be read, by index.
    """

    items: list[ItemT]
    rejected: Mapping[int, Rejection] = field(default_factory=dict)

    def cut(self, start: int, stop: int) -> Group[ItemT]:
        """The items from *start* to *stop*."""
        rejected = {i - start: why for i, why in self.rejected.items() if start <= i < stop}
        return Group(self.items[start:stop], rejected)

    def pieces(self, size: int) -> Iterator[Group[ItemT]]:
        """The same items in groups of at most *size*."""
        for start in range(0, len(self.items), size):
            yield self.cut(start, start + size)


def regrouped(groups: Iterator[Group[ItemT]], size: SizeNow, *, patient: bool = True) -> Iterator[Group[ItemT]]:
    """The same items in groups of ``size()``, asked for each. What came before an error is given first.

    Only the last group is smaller; where the source is not to be waited for (*patient* is False), others may be.
    """
    pending: Group[ItemT] = Group([])
    while True:
        try:
            group = next(groups)
        except StopIteration:
            failure = None
            break
        except Exception as error:  # raised again below, behind what was read before it
            failure = error
            break
        pending = _joined(pending, group)
        while len(pending.items) >= (count := max(size(), 1)) or (pending.items and not patient):
            yield pending.cut(0, count)
            pending = pending.cut(count, len(pending.items))
    if pending.items:
        yield pending
    if failure is not None:
        raise failure


def limited(groups: Iterator[Group[ItemT]], count: int | None) -> Iterator[Group[ItemT]]:
    """The first *count* items; all of them for None."""
    if count is None:
        yield from groups
        return
    while count > 0 and (group := next(groups, None)) is not None:
        yield group.cut(0, count)
        count -= len(group.items)


def _joined(first: Group[ItemT], second: Group[ItemT]) -> Group[ItemT]:
    if not first.items:
        return second
    shift = len(first.items)
    moved = {i + shift: why for i, why in second.rejected.items()}
    return Group(first.items + second.items, {**first.rejected, **moved})
