"""`Queues`: a queue for each key and a round over the keys. The policy of `round_robin` and of `fair`.

They differ in the key, and in when they go round: ``round_robin`` has a queue for each slot and goes round when a task
comes, ``fair`` has one for each tag and goes round when a slot asks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, TypeAlias

Queue: TypeAlias = OrderedDict[int, Any]
"""Tasks by sequence, in the order in which they came: each can be taken out from anywhere in O(1)."""


class Queues:
    """First in, first out for each key; whose turn it was goes to the end of the round. Everything in O(1)."""

    def __init__(self) -> None:
        self._queues: OrderedDict[Hashable, Queue] = OrderedDict()
        self._keys: dict[int, Hashable] = {}

    def remove(self, task: Any, /) -> bool:
        """Forget *task*. False when it does not wait here."""
        sequence = task.sequence
        if sequence not in self._keys:
            return False
        key = self._keys.pop(sequence)
        queue = self._queues[key]
        del queue[sequence]
        if not queue:
            self._emptied(key)
        return True

    def __len__(self) -> int:
        """How many tasks wait."""
        return len(self._keys)

    def _turn(self) -> Hashable:
        """The key whose turn it is. It is the last of the round then."""
        key = next(iter(self._queues))
        self._queues.move_to_end(key)
        return key

    def _put(self, key: Hashable, task: Any) -> None:
        sequence = task.sequence
        self._queues[key][sequence] = task
        self._keys[sequence] = key

    def _take(self, key: Hashable, last: bool = False) -> Any:
        queue = self._queues[key]
        sequence, task = queue.popitem(last)
        del self._keys[sequence]
        if not queue:
            self._emptied(key)
        return task

    def _emptied(self, key: Hashable) -> None:
        """The queue of *key* holds nothing any more."""
