"""What the expressions of a data frame call that is given away before anything has run."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipe_core.graph.inline import run_step
from pipe_core.graph.keeping import values_of
from pipe_core.graph.levels import Level
from pipe_core.graph.scope import Run, Scope
from pipe_daft.calls import Calls

if TYPE_CHECKING:
    from pipe_core.graph.plan import Plan, Step


class Lazy(Calls):
    """Calls steps with nothing but what stands in their columns: the frame may be collected twice, or in part.

    What a step raises, Daft raises. The event loop for coroutines lives as long as a frame does that needs it.

    Args:
        plan: Of the steps.
        scope: Where they run.
        mapped: Whether the rows are items of a map.
    """

    def __init__(self, plan: Plan, scope: Scope, mapped: bool) -> None:
        super().__init__()
        self._plan = plan
        self._scope = scope
        self._mapped = mapped
        self._blank = dict.fromkeys(plan.inputs)
        weakref.finalize(self, _close, scope.run)

    def call(self, step: Step, index: int, inputs: Mapping[int, Any]) -> Sequence[Any]:
        """See `Calls`."""
        values = values_of(self._plan, self._blank, self._scope)
        for slot, value in inputs.items():
            values[slot] = value
        run_step(step, values, Level(self._scope, (index,) if self._mapped else ()))
        return step.taken(values)


def _close(run: Run) -> None:
    run.__exit__(None, None, None)
