"""What a run has open: one frame for each activation of a plan, and the groups that they belong to."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from pipe_core.graph.keeping import values_of
from pipe_core.graph.levels import Level, MapLevel
from pipe_core.graph.plan import Plan, Step
from pipe_core.graph.scope import Item, Scope

Inputs = dict[str, Any]
_AHEAD: Final = 256
"""How many items are read ahead."""


class Group:
    """The items of one map, or the one activation of a pipeline that is not mapped.

    Args:
        plan: What runs for each.
        scope: Where.
        items: Their inputs. Only the thread that waits for the run goes through them.
        item: The place of what is around it in each map there.
        parent: The frame and the step that have it inside; None for what the run is about.
        around: Of a map, what is told of it; None where it is no map.
        window: How many results may be there, or be on their way, before somebody takes them. Default: all.

    Attributes:
        waiting: The inputs of items that have been read and not begun.
        results: The outputs of each item that has ended, by its index.
        failed: The items that have failed: what they were given, and what was raised, by their index.
        errors: All that was raised.
        count: How many have begun.
        open: How many of them have not ended.
        is_read: Whether there are no more items than those that wait or have begun.
        is_lost: Whether nobody needs it any more, because one of them has failed.
        failure: The first error of one of them.
    """

    __slots__ = (
        "around",
        "began",
        "count",
        "errors",
        "failed",
        "failure",
        "is_lost",
        "is_read",
        "item",
        "items",
        "open",
        "parent",
        "plan",
        "results",
        "scope",
        "waiting",
        "window",
    )

    def __init__(
        self,
        plan: Plan,
        scope: Scope,
        items: Iterator[Inputs],
        item: Item = (),
        parent: tuple[Frame, Step] | None = None,
        around: MapLevel | None = None,
        window: float = math.inf,
    ) -> None:
        self.plan = plan
        self.scope = scope
        self.items = items
        self.item = item
        self.parent = parent
        self.around = around
        self.window = window
        self.waiting: deque[Inputs] = deque()
        self.results: dict[int, dict[str, Any]] = {}
        self.failed: dict[int, tuple[Inputs, Exception]] = {}
        self.errors: list[Exception] = []
        self.count = self.open = 0
        self.is_read = self.is_lost = False
        self.failure: Exception | None = None
        self.began = 0.0

    @property
    def mapped(self) -> bool:
        """Whether it is a map."""
        return self.around is not None

    @property
    def is_told(self) -> bool:
        """Whether somebody is told of it, there or in the pipeline around it."""
        return self.scope.teller is not None or (self.parent is not None and self.parent[0].is_told)

    @property
    def is_low(self) -> bool:
        """Whether more items should be read."""
        return not self.is_read and len(self.waiting) < min(_AHEAD, self.window) / 2

    def read(self) -> None:
        """Read some items; of a nested map, whose items are a list, all of them."""
        most = min(_AHEAD, self.window) if self.parent is None else math.inf
        while len(self.waiting) < most:
            inputs = next(self.items, None)
            if inputs is None:
                self.is_read = True
                return
            self.waiting.append(inputs)

    def rows(self) -> list[dict[str, Any]]:
        """The outputs of each item, in order."""
        return [self.results[index] for index in range(self.count)]

    def collected(self) -> tuple[Any, ...]:
        """What the step around it gives."""
        if self.mapped:
            return tuple([row[name] for row in self.rows()] for name in self.plan.outputs)
        return tuple(self.results[0].values())

    def begins(self) -> None:
        """It begins: say so."""
        if self.parent is not None:
            self.began = self.parent[0].level.nested_begins(self.scope.pipeline)
        if self.around is not None:
            self.around.begins()

    def ends(self) -> None:
        """It has ended: say so."""
        if self.around is not None:
            self.around.ends()
        if self.parent is not None:
            self.parent[0].level.nested_ends(self.scope.pipeline, self.began, self.failure)


class Frame:
    """One activation of a plan: its values, and what its steps still wait for.

    Attributes:
        group: Which it belongs to.
        index: Its place there.
        inputs: What it was given.
        failure: What it has failed with, first.
        is_whole: Whether all its steps run in one go, by somebody who says what happens to them.
        known_as: Of one that runs in one go, the signature of its results if all of them were known.
        level: What is told of it.
        values: Of its inputs and of all that has ended.
        missing: For each step, how many others it waits for.
        left: How many steps have not ended.
        lost: The steps that cannot run, because one before them has failed.
        top: The frame that it is inside of, however deep, and that is inside of none; itself where it is that.
        running: Of such a one, how many steps run now in all that is inside.
        outcome: Of such a one, what it gives as soon as nothing runs in it any more.
    """

    __slots__ = (
        "failure",
        "group",
        "index",
        "inputs",
        "is_whole",
        "known_as",
        "left",
        "level",
        "lost",
        "missing",
        "outcome",
        "plan",
        "running",
        "top",
        "values",
    )

    def __init__(self, group: Group, inputs: Inputs, is_whole: bool) -> None:
        self.group = group
        self.plan = group.plan
        self.index = group.count
        self.level = Level(group.scope, (*group.item, group.count) if group.mapped else group.item)
        self.inputs = inputs
        self.is_whole = is_whole
        self.failure: Exception | None = None
        self.known_as: str | None = None
        self.values = values_of(self.plan, inputs, group.scope, None if group.around is None else group.around.signed)
        self.missing = [step.needs for step in self.plan.steps]
        self.left = len(self.plan.steps)
        self.lost: set[int] = set()
        self.top: Frame = self if group.parent is None else group.parent[0].top
        self.running = 0
        self.outcome: dict[str, Any] | None = None
        group.count += 1

    @property
    def is_told(self) -> bool:
        """Whether somebody is told of it."""
        return self.group.scope.teller is not None

    def is_around(self, other: Group | Frame) -> bool:
        """Whether it is inside of nothing itself, and *other* is inside of it, however deep."""
        if isinstance(other, Group):
            return other.parent is not None and other.parent[0].top is self
        return other is not self and other.top is self

    def begins(self) -> None:
        """It begins: say so."""
        if self.group.around is not None:
            self.group.around.item_begins(self.index)
        if not self.is_whole:
            self.level.begins(self.plan, self.values)

    def ends(self) -> None:
        """It has ended: say so."""
        if not self.is_whole:
            self.level.ends(self.plan.found(self.values), self.failure)
        if self.group.around is not None:
            known = self.known_as if self.is_whole else self.level.known_as(self.plan, self.values)
            self.group.around.item_ends(self.index, known, self.failure)

    def has_failed(self, error: Exception) -> None:
        """It has failed with *error*, and with it all that is around it."""
        frame: Frame | None = self
        while frame is not None:
            group = frame.group
            frame.failure = frame.failure or error
            group.failure = group.failure or error
            frame = None if group.parent is None else group.parent[0]

    @property
    def is_lost(self) -> bool:
        """Whether nobody needs it any more."""
        frame: Frame | None = self
        while frame is not None:
            group = frame.group
            if group.is_lost or frame.index in group.failed:
                return True
            frame = None if group.parent is None else group.parent[0]
        return False
