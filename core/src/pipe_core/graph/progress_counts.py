"""How far a run is, counted from what callbacks are told of it.

What happens in all items of a map is counted together: there is one `Place` for each pipeline of a run, however many
items it runs for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Final, Literal

from pipe_core.kernel.errors import RunCancelledError

if TYPE_CHECKING:
    from pipe_core.graph.callbacks import CallbackContext
    from pipe_core.graph.scope import Item

Path = tuple[str, ...]
Key = tuple[Path, "Item"]
"""The pipelines around an event, and the place of the item in each map there."""
How = Literal["good", "cached", "failed", "lost"]
"""How something has ended. What is lost did not fail itself: something else has ended it."""

_CANCELLED: Final = (RunCancelledError, CancelledError)
"""What is raised where a run ends, by nodes that are no reason for it."""
_LATELY: Final = 10.0
"""The rate is that of so many seconds, the last ones,"""
_LEAST: Final = 5
"""or of more, in which so many have ended: of fewer it would say nothing."""


class Count:
    """How many have ended, and how fast.

    Args:
        now: When it begins.

    Attributes:
        done: How many have ended; those that have failed and those that were cached are some of them.
        failed: How many have failed.
        cached: How many did not have to run.
        lost: How many have ended and do not count, because something else has ended them.
    """

    __slots__ = ("_seen", "cached", "done", "failed", "lost")

    def __init__(self, now: float) -> None:
        self.done = self.failed = self.cached = self.lost = 0
        self._seen = deque([(now, 0)])

    def add(self, how: How) -> None:
        """One more has ended."""
        if how == "lost":
            self.lost += 1
            return
        self.done += 1
        if how == "failed":
            self.failed += 1
        elif how == "cached":
            self.cached += 1

    def rate(self, now: float) -> float:
        """So many a second, lately. For one thread."""
        seen, done = self._seen, self.done
        while len(seen) > 1 and seen[1][0] <= now - _LATELY and done - seen[1][1] >= _LEAST:
            seen.popleft()
        since, before = seen[0]
        if done != seen[-1][1]:
            seen.append((now, done))
        return (done - before) / (now - since) if now > since else 0.0


class Ends:
    """How things have ended about which more will be told.

    Attributes:
        open: For how many of them.
        hows: Those that are known.
    """

    __slots__ = ("hows", "open")

    def __init__(self) -> None:
        self.open = 0
        self.hows: list[How] = []

    def take(self) -> How:
        """How one of them has ended."""
        return self.hows.pop(0) if self.hows else "lost"

    def together(self) -> How:
        """How all of them have ended."""
        return "failed" if "failed" in self.hows else "lost" if "lost" in self.hows else "good"


class Activation:
    """A pipeline that runs; several, where nothing tells them apart: one that is twice in another, at the same time.

    Attributes:
        open: How many.
        steps: How many nodes run in each.
        done: How many have ended well.
        cached: How many of those did not have to run.
        running: The nodes that run, and how many times.
        errors: What nodes have raised that have not begun again, and the how many-th error of the run it was.
        ends: How pipelines inside have ended.
        has_failed: Whether one of those has failed.
    """

    __slots__ = ("cached", "done", "ends", "errors", "has_failed", "open", "running", "steps")

    def __init__(self) -> None:
        self.open = self.steps = self.done = self.cached = 0
        self.running: dict[str, int] = {}
        self.errors: dict[str, tuple[int, Exception]] = {}
        self.ends: dict[str, Ends] = {}
        self.has_failed = False

    def end(self) -> How:
        """One of them ends. Gives how."""
        self.open -= 1
        if self.done >= self.steps:
            return "cached" if self.cached >= self.steps else "good"
        return "failed" if self.errors or self.has_failed else "lost"


class Place:
    """A pipeline of a run.

    Args:
        name: Of the pipeline.
        now: When it begins.

    Attributes:
        inside: The pipelines inside of it that have begun.
        nodes: What has gone through each node, in the order in which they began.
        is_inner: Whether it runs for items of a map that is around it.
        maps: How many maps of it run now.
        items: Those of its maps; None where it is not mapped.
        total: How many there are; None where nobody knows.
        runs: How many times it runs now, beside those of its own items.
        last: The last one of these.
        how: How that has ended.
        began: When it, or its map, began.
    """

    __slots__ = ("began", "how", "inside", "is_inner", "items", "last", "maps", "name", "nodes", "runs", "total")

    def __init__(self, name: str, now: float) -> None:
        self.name = name
        self.began = now
        self.inside: dict[str, Place] = {}
        self.nodes: dict[str, Count] = {}
        self.is_inner = False
        self.maps = self.runs = 0
        self.items: Count | None = None
        self.total: int | None = None
        self.last = Activation()
        self.how: How = "lost"

    def forget(self) -> None:
        """Count from 0 what goes through the nodes."""
        self.nodes = {}
        for place in self.inside.values():
            place.forget()


class Failure:
    """The first error of a run.

    Args:
        order: The how many-th it was.
        error: What was raised.
        node: By which node; None where nobody knows, because a worker died on a whole item.
        item: For which item.
    """

    __slots__ = ("error", "item", "node", "order")

    def __init__(self, order: int, error: Exception, node: str | None, item: Item) -> None:
        self.order, self.error, self.node, self.item = order, error, node, item


class Counts:
    """All counts of a run. Its methods are the events, told in their order by one thread; others may look.

    Args:
        clock: Seconds.
        ctx: Of the first event.

    Attributes:
        root: The outermost pipeline that anything is told of.
        open: How many pipelines and maps have begun and not ended.
        failure: The first error of what has failed; None where nothing has.
    """

    def __init__(self, clock: Callable[[], float], ctx: CallbackContext) -> None:
        self._clock = clock
        self._depth = len(ctx.item)
        self._places: dict[Path, Place] = {}
        self._activations: dict[Key, Activation] = {}
        self._items: dict[Key, Ends] = {}
        self._maps: dict[Key, Ends] = {}
        self._errors = 0
        self.open = 0
        self.failure: Failure | None = None
        self.root = self._place(ctx)

    # --- pipelines ---

    def pipeline_starts(self, ctx: CallbackContext) -> None:
        """A pipeline begins."""
        self.open += 1
        place, key = self._place(ctx), (ctx.hierarchy_path, ctx.item)
        activation = self._activations.get(key)
        if activation is None:
            activation = self._activations[key] = Activation()
        activation.open += 1
        steps = ctx.nodes_to_run
        activation.steps = ctx.get_pipeline_metadata(key[0][-1])["total_nodes"] if steps is None else steps
        if key not in self._items:
            if not place.runs:
                place.began = self._clock()
            place.is_inner = len(ctx.item) > self._depth
            place.runs += 1
            place.last = activation

    def pipeline_ends(self, ctx: CallbackContext) -> None:
        """It has ended."""
        self.open -= 1
        key = (ctx.hierarchy_path, ctx.item)
        activation, place, item = self._activations[key], self._place(ctx), self._items.get(key)
        how = activation.end()
        if ctx.failure is not None:
            how = "failed"
        for node, (order, error) in activation.errors.items() if how == "failed" else ():
            place.nodes[node].add("failed")
            self._has_failed(order, error, node, ctx.item)
        if ctx.failure is not None and self.failure is None:  # by what no node has raised
            self._has_failed(self._next_order(), ctx.failure, None, ctx.item)
        if not activation.open:
            del self._activations[key]
        elif how in ("good", "cached"):  # the others go on
            activation.done -= activation.steps
        if item is not None:
            item.hows.append(how)
        else:
            place.runs -= 1
            place.how = how
            self._tell_around(key, how)

    def nested_starts(self, child: str, ctx: CallbackContext) -> None:
        """A pipeline begins inside of another."""
        self._count(self._place(ctx), self._named(child, ctx))

    def nested_ends(self, child: str, ctx: CallbackContext) -> None:
        """It has ended."""
        activation = self._activations.get((ctx.hierarchy_path, ctx.item))
        if activation is None:
            return
        ends = activation.ends.get(child)
        how: How = ends.take() if ends is not None else "good"
        if ends is None and ctx.failure is not None:  # of one that has other callbacks nothing else is heard
            activation.errors[self._named(child, ctx)] = self._next_order(), ctx.failure
            return
        activation.has_failed |= how == "failed"
        activation.done += how in ("good", "cached")
        activation.cached += how == "cached"
        self._count(self._place(ctx), self._named(child, ctx)).add(how)

    def _tell_around(self, key: Key, how: How) -> None:
        """Let the pipeline around it know how it has ended."""
        path, item = key
        around = self._activations.get((path[:-1], item))
        if around is not None:
            around.ends.setdefault(path[-1], Ends()).hows.append(how)

    # --- nodes ---

    def node_starts(self, node: str, ctx: CallbackContext) -> None:
        """A node begins, perhaps again."""
        activation = self._activations.get((ctx.hierarchy_path, ctx.item))
        if activation is not None:  # what was given up may begin or end when all is over
            if activation.errors:
                activation.errors.pop(node, None)
            activation.running[node] = activation.running.get(node, 0) + 1
            self._count(self._places[ctx.hierarchy_path], node)

    def node_ends(self, node: str, outputs: dict[str, Any], ctx: CallbackContext) -> None:
        """It has ended, well if there are *outputs*."""
        activation = self._activations.get((ctx.hierarchy_path, ctx.item))
        if activation is None:
            return
        if (others := activation.running.pop(node, 1) - 1) > 0:
            activation.running[node] = others
        if outputs:
            activation.done += 1
            self._places[ctx.hierarchy_path].nodes[node].done += 1

    def node_is_cached(self, node: str, ctx: CallbackContext) -> None:
        """It does not run."""
        activation = self._activations.get((ctx.hierarchy_path, ctx.item))
        if activation is not None:
            activation.done += 1
            activation.cached += 1
            self._count(self._places[ctx.hierarchy_path], node).add("cached")

    def node_fails(self, node: str, error: BaseException, ctx: CallbackContext) -> None:
        """It has raised *error*."""
        activation = self._activations.get((ctx.hierarchy_path, ctx.item))
        if activation is None or not isinstance(error, Exception) or isinstance(error, _CANCELLED):
            return
        activation.errors[node] = self._next_order(), error

    def _has_failed(self, order: int, error: Exception, node: str | None, item: Item) -> None:
        if self.failure is None or order < self.failure.order:
            self.failure = Failure(order, error, node, item)

    def _next_order(self) -> int:
        self._errors += 1
        return self._errors

    # --- maps ---

    def map_starts(self, total: int | None, ctx: CallbackContext) -> None:
        """A map begins."""
        self.open += 1
        place, key = self._place(ctx), (ctx.hierarchy_path, ctx.item)
        place.is_inner = len(ctx.item) > self._depth
        if place.items is None or not (place.maps or place.is_inner):
            place.began = self._clock()
            place.items, place.total = Count(place.began), 0
            place.forget()
        place.maps += 1
        place.total = None if total is None or place.total is None else place.total + total
        self._maps.setdefault(key, Ends()).open += 1

    def map_ends(self, ctx: CallbackContext) -> None:
        """It has ended."""
        self.open -= 1
        key = (ctx.hierarchy_path, ctx.item)
        ends = self._maps[key]
        ends.open -= 1
        if not ends.open:
            del self._maps[key]
        self._place(ctx).maps -= 1
        self._tell_around(key, ends.together())

    def item_starts(self, ctx: CallbackContext) -> None:
        """An item begins."""
        key = (ctx.hierarchy_path, ctx.item)
        ends = self._items.get(key)
        if ends is None:
            ends = self._items[key] = Ends()
        ends.open += 1

    def item_ends(self, ctx: CallbackContext) -> None:
        """It has ended."""
        key = (ctx.hierarchy_path, ctx.item)
        ends = self._items[key]
        ends.open -= 1
        if not ends.open:
            del self._items[key]
        how = ends.take()
        if ctx.failure is not None and how != "failed":  # a worker died on all of it, or its results cannot travel
            how = "failed"
            self._has_failed(self._next_order(), ctx.failure, None, ctx.item)
        self._item(ctx, how)

    def item_is_cached(self, ctx: CallbackContext) -> None:
        """It does not run."""
        ends = self._items.get((ctx.hierarchy_path, ctx.item))
        if ends is None:
            self._item(ctx, "cached")
        else:  # it has begun, and will end
            ends.hows[:] = ["cached"]

    def _item(self, ctx: CallbackContext, how: How) -> None:
        path, item = ctx.hierarchy_path, ctx.item
        items = self._places[path].items
        assert items is not None  # its map has begun
        items.add(how)
        if how in ("failed", "lost"):
            self._maps[path, item[:-1]].hows.append(how)

    # --- where it belongs ---

    def _place(self, ctx: CallbackContext) -> Place:
        path = ctx.hierarchy_path
        place = self._places.get(path)
        if place is None:
            place = self._places[path] = Place(self._named(path[-1], ctx), self._clock())
            if (around := self._places.get(path[:-1])) is not None:
                around.inside[place.name] = place
        return place

    def _named(self, pipeline: str, ctx: CallbackContext) -> str:
        return ctx.get_pipeline_metadata(pipeline).get("pipeline_name") or pipeline

    def _count(self, place: Place, node: str) -> Count:
        count = place.nodes.get(node)
        if count is None:
            count = place.nodes[node] = Count(self._clock())
        return count
