"""A plan as a Daft data frame: a column for each input, and an expression for each node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

from pipe_core.kernel.errors import UnsupportedCapabilityError

if TYPE_CHECKING:
    from daft import DataFrame, DataType, Expression, Series

    from pipe_core.graph.plan import Plan, Step

ITEM: Final = "(item)"
"""The column with the places of the items. No input and no output can be called so."""
DEEPEST: Final = 50
"""So many nodes are in one plan at most. Daft goes down plans by recursion, and the process ends at twice as many."""


class CallsSteps(Protocol):
    """Calls steps for rows."""

    def batch(self, step: Step, slots: Sequence[int], rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        """The outputs of *step* for each of *rows*: the place of an item, and what belongs in *slots*."""


def frame_of(
    plan: Plan, items: Sequence[Mapping[str, Any]], first: int, calls: CallsSteps, cut: int = DEEPEST
) -> DataFrame:
    """A frame with a row for each of *items*, and a column for each output behind that of their places.

    Nothing has run, but of plans with more than *cut* nodes the first ones.

    Columns are of Daft's type ``Python``: they hold the objects themselves, and Daft makes nothing else of them.

    Args:
        plan: What there is to do for each.
        items: The inputs of each.
        first: The place of the first one.
        calls: Calls the steps.
        cut: After so many nodes what there is is computed, and what follows is another plan of Daft's.
    """
    import daft  # it takes a third of a second

    kind = daft.DataType.python()
    places = daft.Series.from_pylist(list(range(first, first + len(items))), dtype=daft.DataType.int64())
    inputs = {name: daft.Series.from_pylist([item[name] for item in items], dtype=kind) for name in plan.inputs}
    frame = daft.from_pydict({ITEM: places, **inputs})
    columns = {slot: daft.col(name) for name, slot in plan.inputs.items()}
    names = _names(plan)
    for step in plan.steps:
        if step.index and step.index % cut == 0:
            frame = frame.collect()
        taken = {slot: columns[slot] for slot in step.slots if slot in columns}  # others have defaults
        outputs = step.node.outputs
        column = outputs[0] if len(outputs) == 1 else f"({', '.join(outputs)})"
        frame = frame.with_column(column, _expression(step, names[step.index], taken, calls))
        for slot, output in zip(step.outputs, outputs, strict=True):
            columns[slot] = daft.col(column) if len(outputs) == 1 else daft.col(column).get(output)
    return frame.select(daft.col(ITEM), *(columns[slot].alias(name) for name, slot in plan.outputs.items()))


def _names(plan: Plan) -> list[str]:
    """What the expressions are called. Daft takes two of one name and the same columns for one."""
    times = Counter(step.node.name for step in plan.steps)
    return [
        step.node.name if times[step.node.name] == 1 else f"{step.node.name} ({', '.join(step.node.outputs)})"
        for step in plan.steps
    ]


def _expression(step: Step, name: str, taken: Mapping[int, Expression], calls: CallsSteps) -> Expression:
    from daft import DataType, col, func

    outputs = step.node.outputs
    kind = DataType.python()
    if len(outputs) > 1:
        kind = DataType.struct(dict.fromkeys(outputs, DataType.python()))
    # In batches, for only then Daft raises what a function raises, and not a text about it.
    call: Any = func.batch(return_dtype=kind, use_process=False)(_called(step, name, list(taken), kind, calls))
    expression: Expression = call(col(ITEM), *taken.values())
    return expression


def _called(step: Step, name: str, slots: Sequence[int], kind: DataType, calls: CallsSteps) -> Callable[..., Series]:
    """What Daft calls for *step*, under its *name*: it shows it in plans."""
    here = _Here(step, slots, calls)

    def call(*columns: Series) -> Series:
        from daft import Series

        rows = list(zip(*(column.to_pylist() for column in columns), strict=True))
        found = here.calls.batch(here.step, here.slots, rows)
        outputs = here.step.node.outputs
        if len(outputs) == 1:
            return Series.from_pylist([one for (one,) in found], dtype=kind)
        return Series.from_pylist([dict(zip(outputs, one, strict=True)) for one in found], dtype=kind)

    call.__module__ = ""  # else its name has this module before it
    call.__name__ = call.__qualname__ = name
    return call


class _Here:
    """What an expression calls in this process.

    Daft pickles each function to see whether it could, and then calls the function itself. So nodes may hold what
    cannot be pickled; what this makes in another process only says that it should not be there.
    """

    def __init__(self, step: Step, slots: Sequence[int], calls: CallsSteps) -> None:
        self.step = step
        self.slots = slots
        self.calls = calls

    def __reduce__(self) -> tuple[Any, ...]:
        return elsewhere, (self.step.node.name,)


def elsewhere(node: str) -> NoReturn:
    """An expression has come to another process.

    Raises:
        UnsupportedCapabilityError: Always.
    """
    raise UnsupportedCapabilityError(
        f"The node '{node}' of a DaftEngine runs in the process that began the run, and Daft has sent it to another "
        f"one. Let Daft run here, by daft.set_runner_native(), or run the pipeline on a cluster by "
        f"Engine(map_executor='ray').",
        capability="remote",
        executor="daft",
    )
