"""What callbacks are told, written down, and the law that holds for its order."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from pipe_core import CallbackContext
from pipe_core.graph.callbacks import EVENTS

_ENDS: Final = {
    "on_pipeline_end": "pipeline",
    "on_node_end": "node",
    "on_nested_pipeline_end": "nested",
    "on_map_end": "map",
    "on_map_item_end": "item",
}
_STARTS: Final = {name.replace("_end", "_start"): kind for name, kind in _ENDS.items()}


@dataclass(frozen=True)
class Told:
    """One event.

    Attributes:
        event: The name of the method.
        subject: Which node, item or child; empty where the path says it.
        path: The pipelines around it.
        item: Its place in the maps around it.
        facts: What else was told, without times.
    """

    event: str
    subject: str
    path: tuple[str, ...]
    item: tuple[int, ...]
    facts: str


class Recording:
    """A callback that listens to everything.

    Attributes:
        told: All that it heard, in order.
        threads: Who told it.
    """

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.threads: set[threading.Thread] = set()

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name not in EVENTS:
            raise AttributeError(name)

        def hear(*facts: Any) -> None:
            ctx: CallbackContext = facts[-1]
            subject = str(facts[0]) if "node" in name or "item" in name or name == "on_error" else ""
            if "nested" in name:
                subject = facts[1]
            rest = [one for one in facts[:-1] if not isinstance(one, float)]
            self.threads.add(threading.current_thread())
            self.told.append(Told(name, subject, ctx.hierarchy_path, ctx.item, repr(rest)))

        return hear

    def counted(self) -> Counter[Told]:
        """How often it heard what, in whatever order."""
        return Counter(self.told)

    def named(self, event: str) -> list[str]:
        """The subjects of an event, in order."""
        return [one.subject for one in self.told if one.event == event]


def check_order(told: Iterable[Told]) -> None:
    """Make sure that every start is followed by its end, and that what is inside of something ends before it.

    Raises:
        AssertionError: That is not so; says which event is out of place.
    """
    is_open: dict[Hashable, Hashable] = {}  # what has started, and what is around it
    for one in told:
        if one.event in _STARTS:
            key = _STARTS[one.event], one.path, one.item, one.subject
            assert key not in is_open, f"{one} has started already"
            around = _around(key, is_open)
            assert around is None or around in is_open, f"{one} starts outside of {around}"
            is_open[key] = around
        elif one.event in _ENDS:
            key = _ENDS[one.event], one.path, one.item, one.subject
            assert key in is_open, f"{one} has not started"
            inside = [other for other, around in is_open.items() if around == key]
            assert not inside, f"{one} comes before the end of {inside}"
            del is_open[key]
        else:  # of a node
            assert ("node", one.path, one.item, one.subject) in is_open, f"{one} is told outside of its node"
    assert not is_open, f"{list(is_open)} have not ended"


def _around(key: Any, is_open: dict[Hashable, Hashable]) -> Hashable | None:
    kind, path, item, _ = key
    if kind in ("node", "nested"):
        return "pipeline", path, item, ""
    if kind == "item":
        return "map", path, item[:-1], ""
    if kind == "pipeline" and item and ("item", path, item, str(item[-1])) in is_open:
        return "item", path, item, str(item[-1])
    return None if len(path) == 1 else ("nested", path[:-1], item, path[-1])
