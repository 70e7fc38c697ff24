"""One activation of a pipeline, or of a map: what is told of it and of what is in it."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from pipe_core.graph.companions import Surroundings
from pipe_core.graph.keeping import signatures_of, signed_once

if TYPE_CHECKING:
    from pipe_core.graph.callbacks import CallbackContext
    from pipe_core.graph.pipeline import Pipeline
    from pipe_core.graph.plan import Plan, Step, Values
    from pipe_core.graph.scope import Item, Scope


class Level:
    """One activation of a pipeline: what is told of it and of its steps.

    Args:
        scope: The pipeline in its run.
        item: The place of the activation in the maps around it.
    """

    __slots__ = ("_began", "_context", "_entered", "_open", "item", "known", "scope")

    def __init__(self, scope: Scope, item: Item) -> None:
        # Steps that have begun, and when, with what is told of them; their end is told once.
        self._open: dict[tuple[int, float], CallbackContext | None] = {}
        self._entered: dict[tuple[int, float], Surroundings] = {}  # of those that have not ended, told or not
        self.known = 0  # steps that did not have to run
        self.scope = scope
        self.item = item
        self._began = 0.0
        self._context: CallbackContext | None = None

    def begins(self, plan: Plan, values: Values) -> None:
        """The pipeline begins with *values*."""
        teller = self.scope.teller
        if teller is not None:
            self._began = monotonic()
            self._context = self.scope.context(self.item)
            self._context.nodes_to_run = len(plan.steps)
            inputs = {name: values[slot] for name, slot in plan.inputs.items()}
            teller.tell("on_pipeline_start", self.scope.pipeline.id, inputs, self._context)

    def is_inside(self) -> None:
        """It has begun elsewhere: only of its steps is anything told here."""
        if self.scope.teller is not None:
            self._context = self.scope.context(self.item)

    def ends(self, outputs: dict[str, Any], failed: BaseException | None = None) -> None:
        """It has ended, or *failed*."""
        teller = self.scope.teller
        if teller is not None:
            lasted, context = monotonic() - self._began, self._at_end(failed)
            teller.tell("on_pipeline_end", self.scope.pipeline.id, outputs, lasted, context)

    def _at_end(self, failed: BaseException | None) -> CallbackContext | None:
        if failed is None:
            return self._context
        context = self.scope.context(self.item, failed)  # others share the one that there is
        context.nodes_to_run = None if self._context is None else self._context.nodes_to_run
        return context

    def node_begins(self, step: Step, values: Values) -> float:
        """A step begins. Gives when."""
        teller = self.scope.teller
        if teller is None:
            return monotonic()
        teller.tell("on_node_start", step.node.name, step.inputs(values), self._context)
        began = monotonic()
        context = self._context
        if self.scope.companions:
            context = self.scope.context(self.item)  # one for each call: it gets the marks
            context.nodes_to_run = None if self._context is None else self._context.nodes_to_run
            self._entered[step.index, began] = Surroundings(self.scope.companions, step.node.name, context)
        self._open[step.index, began] = context
        return began

    def node_ends(self, step: Step, values: Values, began: float, error: BaseException | None) -> None:
        """A step has ended, that *began* then."""
        if self.scope.teller is None:
            return
        ended = monotonic()
        if (entered := self._entered.pop((step.index, began), None)) is not None:
            entered.leave()
        if (context := self._open.pop((step.index, began), None)) is not None:
            outputs = {} if error is not None else step.results(values)
            self._tell_end(step, outputs, ended - began, error, context)

    def node_is_given_up(self, step: Step, error: BaseException) -> None:
        """Nobody waits for a step any more that has begun, if it has. What it does later is not told."""
        for index, began in list(self._open):
            if index == step.index and (context := self._open.pop((index, began), None)) is not None:
                self._tell_end(step, {}, monotonic() - began, error, context)

    def node_is_lost(self, step: Step, values: Values, error: BaseException, lasted: float) -> None:
        """A step has ended in another process, of which nothing was heard."""
        teller = self.scope.teller
        if teller is not None:
            inputs = step.inputs(values)
            teller.tell("on_node_start", step.node.name, inputs, self._context, at=monotonic() - lasted)
            self._tell_end(step, {}, lasted, error, self._context)

    def _tell_end(
        self,
        step: Step,
        outputs: dict[str, Any],
        lasted: float,
        error: BaseException | None,
        context: CallbackContext | None,
    ) -> None:
        teller = self.scope.teller
        assert teller is not None  # else no step is open
        if error is not None:
            teller.tell("on_error", step.node.name, error, context)
        teller.tell("on_node_end", step.node.name, outputs, lasted, context)

    def node_is_known(self, step: Step, signature: str) -> None:
        """A step does not run: what it gives was found."""
        self.known += 1
        teller = self.scope.teller
        if teller is not None:
            teller.tell("on_node_cached", step.node.name, signature, self._context)

    def known_as(self, plan: Plan, values: Values) -> str | None:
        """The signature of what it gives, if no step had to run."""
        if self.known < len(plan.steps):
            return None
        return (signatures_of(values, tuple(plan.outputs.values())) or {}).get(next(iter(plan.outputs.values())))

    def nested_begins(self, child: Pipeline) -> float:
        """A pipeline begins inside of this one. Gives when."""
        teller = self.scope.teller
        if teller is not None:
            teller.tell("on_nested_pipeline_start", self.scope.pipeline.id, child.id, self._context)
        return monotonic()

    def nested_ends(self, child: Pipeline, began: float, failed: BaseException | None = None) -> None:
        """It has ended, or *failed*."""
        teller = self.scope.teller
        if teller is not None:
            lasted, context = monotonic() - began, self._at_end(failed)
            teller.tell("on_nested_pipeline_end", self.scope.pipeline.id, child.id, lasted, context)


class MapLevel:
    """A map, and what is told of it and of its items.

    Args:
        scope: Of what runs for each item.
        item: The place of the map itself.
        total: How many items there are; None where nobody knows.
        fixed: The inputs that are the same for all items.
    """

    __slots__ = ("_began", "_context", "_started", "_total", "item", "scope", "signed")

    def __init__(self, scope: Scope, item: Item, total: int | None, fixed: dict[str, Any]) -> None:
        self.scope = scope
        self.item = item
        self._total = total
        self.signed = {} if scope.cache is None else signed_once(fixed)
        self._started: dict[int, float] = {}
        self._began = 0.0
        self._context: CallbackContext | None = None

    def begins(self) -> None:
        """The map begins."""
        teller = self.scope.teller
        if teller is not None:
            self._began = monotonic()
            self._context = self.scope.context(self.item)
            teller.tell("on_map_start", self._total, self._context)

    def item_begins(self, index: int) -> None:
        """An item begins."""
        teller = self.scope.teller
        if teller is not None:
            self._started[index] = monotonic()
            teller.tell("on_map_item_start", index, self.scope.context((*self.item, index)))

    def item_ends(self, index: int, known_as: str | None = None, failed: BaseException | None = None) -> None:
        """An item has ended, or *failed*; without running, if it is *known_as* something."""
        teller = self.scope.teller
        if teller is not None:
            if known_as is not None:
                teller.tell("on_map_item_cached", index, known_as, self.scope.context((*self.item, index)))
            lasted = monotonic() - self._started.pop(index)
            teller.tell("on_map_item_end", index, lasted, self.scope.context((*self.item, index), failed))

    def ends(self) -> None:
        """The map has ended."""
        teller = self.scope.teller
        if teller is not None:
            teller.tell("on_map_end", monotonic() - self._began, self._context)
