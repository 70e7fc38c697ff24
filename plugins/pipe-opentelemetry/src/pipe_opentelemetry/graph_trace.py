"""The spans of one run of a pipeline: of the run, of pipelines inside, of maps and items, and of calls of nodes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import SpanContext, Status, StatusCode

from pipe_opentelemetry.calls import CallCompanion, CallMark, is_shown

if TYPE_CHECKING:
    from pipe_core.graph.callbacks import CallbackContext
    from pipe_opentelemetry.spans import Spans

Key = tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...], bool]
"""The pipelines, steps and items around an activation, and whether it is a map."""

_CUT_SHORT = "ended before all of it had run"


class Activation:
    """A pipeline, a map or an item that runs.

    Args:
        around: What it is inside of.
        span: Its span; None where it has none.

    Attributes:
        failed: What has failed in it and was not made good, and why.
        lost: Of a map, how many items have failed.
        cached: How many nodes in it, or items of it, did not have to run.
        done: How many of its steps have ended well.
        tries: How often nodes in it have failed.
        is_item: Whether it is an item, which ends behind its pipeline.
    """

    __slots__ = ("around", "cached", "done", "failed", "is_item", "lost", "span", "tries")

    def __init__(self, around: Activation | None, span: trace.Span | None) -> None:
        self.around = around
        self.span = span
        self.failed: dict[Any, str] = {}
        self.tries: dict[str, int] = {}
        self.lost = self.cached = self.done = 0
        self.is_item = False


class GraphTrace:
    """Makes the spans of one run.

    Args:
        spans: Makes spans.
        items: Of each map so many items have spans; None for all.
        ctx: Where the run begins.
        owner: What tells this run from others.

    Attributes:
        companion: What goes along to calls of nodes.
    """

    def __init__(self, spans: Spans, items: int | None, ctx: CallbackContext, owner: str) -> None:
        self._spans = spans
        self._items = items
        self._owner = owner
        self._open: dict[Key, Activation] = {}
        self._errors: dict[tuple[Key, str], BaseException] = {}
        name = _name(ctx)
        self._root = spans.start(name, {"pipe.kind": "pipeline", "pipe.pipeline": name})
        self._is_begun = False
        self._is_recording = self._root.is_recording()
        self.companion = self._made_companion()

    def _made_companion(self) -> CallCompanion | None:
        context = self._root.get_span_context()
        if not context.is_valid:
            return None
        state = context.trace_state.to_header() if context.trace_state else ""
        has_calls = self._is_recording and self._spans.can_choose()
        ids = context.trace_id, context.span_id, int(context.trace_flags)
        return CallCompanion(self._owner, *ids, state, self._items, has_calls)

    @property
    def is_over(self) -> bool:
        """Whether everything that began has ended."""
        return self._is_begun and not self._open

    # --- pipelines, maps, items ---

    def pipeline_starts(self, ctx: CallbackContext) -> None:
        """A pipeline begins: perhaps that of an item."""
        if _key(ctx) not in self._open:
            self._begin(ctx, _key(ctx), "pipeline", _name(ctx))

    def pipeline_ends(self, ctx: CallbackContext) -> None:
        """A pipeline has ended."""
        activation = self._open.get(_key(ctx))
        if activation is None:
            return
        if not activation.failed and activation.done < (ctx.nodes_to_run or 0):
            activation.failed[None] = _CUT_SHORT
        if not activation.is_item:
            self._end(ctx, _key(ctx), activation)

    def nested_ends(self, ctx: CallbackContext) -> None:
        """A pipeline has ended that is a step of another one, by whatever engine it ran."""
        activation = self._open.get(_key(ctx))
        if activation is not None:
            activation.done += 1

    def map_starts(self, total: int | None, ctx: CallbackContext) -> None:
        """A map begins."""
        said = {} if total is None else {"pipe.items": total}
        self._begin(ctx, _key(ctx, is_map=True), "map", f"{_name(ctx)} map", said)

    def map_ends(self, ctx: CallbackContext) -> None:
        """A map has ended."""
        key = _key(ctx, is_map=True)
        activation = self._open.get(key)
        if activation is None:
            return
        if activation.span is not None and activation.lost:
            activation.span.set_attribute("pipe.failed", activation.lost)
        self._end(ctx, key, activation)

    def item_starts(self, index: int, ctx: CallbackContext) -> None:
        """An item begins."""
        begun = self._begin(ctx, _key(ctx), "item", f"{_name(ctx)} item", {"pipe.item": list(ctx.item)})
        begun.is_item = True

    def item_ends(self, ctx: CallbackContext) -> None:
        """An item has ended."""
        activation = self._open.get(_key(ctx))
        if activation is not None:
            self._end(ctx, _key(ctx), activation)

    def item_is_cached(self, ctx: CallbackContext) -> None:
        """An item does not run, because its outputs are known."""
        activation = self._open.get(_key(ctx))
        if activation is not None:
            if activation.span is not None:
                activation.span.set_attribute("pipe.cached", True)
            if activation.around is not None:
                activation.around.cached += 1

    def _begin(
        self, ctx: CallbackContext, key: Key, kind: str, name: str, said: dict[str, Any] | None = None
    ) -> Activation:
        around = self._around(ctx, is_item=kind == "item")
        said = {"pipe.kind": kind, "pipe.pipeline": _name(ctx), **(said or {})}
        span = None
        if not self._is_begun:
            span = self._root
            span.update_name(name)
            span.set_attributes(said)
        elif self._is_recording and is_shown(ctx.item, self._items):
            span = self._spans.start(name, said, _inside(self._root if around is None else around.span), _wall(ctx))
        self._is_begun = True
        activation = self._open[key] = Activation(around, span)
        return activation

    def _end(self, ctx: CallbackContext, key: Key, activation: Activation) -> None:
        del self._open[key]
        around, span = activation.around, activation.span
        text = next(iter(activation.failed.values()), None)
        if text is None and activation.lost:
            text = f"{activation.lost} items have failed" if activation.lost > 1 else "an item has failed"
        if text is not None and around is not None:
            if activation.is_item:
                around.lost += 1
            else:
                around.failed[key] = text
        if span is None:
            return
        if activation.cached:
            span.set_attribute("pipe.cached_items" if key[-1] else "pipe.cached_nodes", activation.cached)
        if text is not None:
            span.set_status(Status(StatusCode.ERROR, text))
        span.end(_wall(ctx))

    def _around(self, ctx: CallbackContext, *, is_item: bool = False) -> Activation | None:
        """What something is inside of that begins; None for the run itself."""
        path, steps, item = ctx.hierarchy_path, ctx.steps, ctx.item
        if is_item:
            return self._open.get((path, steps, item[:-1], True))
        for depth in range(len(path) - 1, 0, -1):
            found = self._open.get((path[:depth], steps[: max(0, depth - 1)], item, False))
            if found is not None:
                return found
        return None

    # --- nodes ---

    def node_fails(self, node: str, error: BaseException, ctx: CallbackContext) -> None:
        """A node has raised *error*; its end is told next."""
        self._errors[_key(ctx), node] = error

    def node_ends(self, node: str, seconds: float, ctx: CallbackContext) -> None:
        """A node has ended."""
        activation = self._open.get(_key(ctx))
        error = self._errors.pop((_key(ctx), node), None)
        if activation is not None:
            tries = activation.tries.get(node, 0)
            if error is None:
                activation.done += 1
                activation.failed.pop(node, None)
            else:
                activation.tries[node] = tries + 1
                activation.failed[node] = f"{node}: {_text(error)}"
        else:
            tries = 0
        if activation is None or activation.span is not None:
            self._call(node, seconds, error, tries, ctx, self._root if activation is None else activation.span)
        elif error is not None:
            self._tell_elsewhere(node, error, ctx, activation)

    def node_is_cached(self, node: str, ctx: CallbackContext) -> None:
        """A node does not run."""
        activation = self._open.get(_key(ctx))
        if activation is None:
            return
        activation.cached += 1
        activation.done += 1
        activation.failed.pop(node, None)
        if activation.span is not None:
            activation.span.add_event("pipe.cached", {"pipe.node": node}, _wall(ctx))

    def _call(
        self, node: str, seconds: float, error: BaseException | None, tries: int, ctx: CallbackContext, around: Any
    ) -> None:
        """Make the span of a call."""
        if not self._is_recording:
            return
        mark: Any = next((one for one in ctx.marks if isinstance(one, CallMark) and one.owner == self._owner), None)
        if mark is None:
            ended = _wall(ctx)
            mark = CallMark(self._owner, 0, ended - int(seconds * 1e9), ended)
        said = {"pipe.kind": "node", "pipe.node": node, "pipe.pipeline": _name(ctx)}
        if ctx.item:
            said["pipe.item"] = list(ctx.item)  # type: ignore[assignment]  # attributes may be lists of numbers
        if tries:
            said["pipe.attempt"] = tries + 1  # type: ignore[assignment]  # and numbers
        links = [trace.Link(SpanContext(one, other, is_remote=True), said) for one, other, said in mark.links]
        span = self._spans.start(
            mark.name or node,
            {**said, **mark.attributes},
            _inside(around),
            mark.began,
            mark.span_id or None,
            links,
        )
        ended = _wall(ctx) if mark.ended is None else mark.ended
        for name, attributes, at in mark.events:
            span.add_event(name, attributes, at)
        if error is not None:
            span.record_exception(error, timestamp=ended)
            span.set_status(Status(StatusCode.ERROR, _text(error)))
        elif mark.status is not None:
            code = StatusCode(mark.status[0])
            span.set_status(Status(code, mark.status[1] if code is StatusCode.ERROR else None))
        span.end(max(mark.began, ended))

    def _tell_elsewhere(self, node: str, error: BaseException, ctx: CallbackContext, activation: Activation) -> None:
        """Tell of the *error* of a node that has no span, on the nearest one around it."""
        around: Activation | None = activation
        while around is not None and around.span is None:
            around = around.around
        span = self._root if around is None or around.span is None else around.span
        span.record_exception(error, {"pipe.node": node, "pipe.item": list(ctx.item)}, _wall(ctx))


def _key(ctx: CallbackContext, *, is_map: bool = False) -> Key:
    return ctx.hierarchy_path, ctx.steps, ctx.item, is_map


def _name(ctx: CallbackContext) -> str:
    return ctx.get_pipeline_metadata(ctx.current_pipeline_id).get("pipeline_name") or "pipeline"


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _inside(span: trace.Span | None) -> Any:
    return None if span is None else trace.set_span_in_context(span)


def _wall(ctx: CallbackContext) -> int:
    """When an event happened, in nanoseconds since 1970, by the clock of where it did."""
    if ctx.behind is not None:
        return int((ctx.time + ctx.behind) * 1e9)
    return time.time_ns() - int((time.monotonic() - ctx.time) * 1e9)
