"""What a worker process does for a run: steps and items of a pipeline that it was given once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.companions import opened
from pipe_core.graph.errors import short
from pipe_core.graph.inline import call_step, run_plan
from pipe_core.graph.keeping import signatures_of, values_for
from pipe_core.graph.levels import Level
from pipe_core.graph.plan import Plan, Values
from pipe_core.graph.relay import Heard, Recorder, failing, packed
from pipe_core.graph.scope import Item, Run, Scope
from pipe_core.graph.travelling import blame_outputs
from pipe_core.runtime.wire import dumps, open_error, pack_error

if TYPE_CHECKING:
    from pipe_core.graph.engine import Engine
    from pipe_core.graph.pipeline import Pipeline
    from pipe_core.runtime.share import Shared

    Home = tuple[Shared[Pipeline], tuple[str, ...], tuple[str, ...]]

Inside = tuple[str, int | None]
"""The executor of nodes that a worker uses itself, and how many of them run at once there."""


@dataclass(slots=True)
class Answer:
    """What a worker sends back.

    Attributes:
        ends: The outputs of each item, or its error as bytes; of a step, as of one item.
        seconds: How long that took.
        events: What callbacks are to be told.
        signatures: Of the outputs of a step, where results are kept.
        known: The signature of each item of which nothing had to run.
        clock: How many seconds the wall clock is ahead of the one that the times of *events* are by.
    """

    ends: list[list[Any] | bytes]
    seconds: float
    events: list[Heard]
    signatures: dict[int, str] = field(default_factory=dict)
    known: list[str | None] = field(default_factory=list)
    clock: float = field(default_factory=lambda: time() - monotonic())


_HERE: Final = Run()
"""The one run of a worker process: its coroutines share a loop, which ends with the process."""


@cache
def _engine(inside: Inside) -> Engine:
    from pipe_core.graph.engine import Engine

    return Engine(inside[0], "sync", inside[1])


def _at(home: Home, run: Run, heard: list[Heard], listens: bytes | None) -> tuple[Plan, Scope]:
    shared, wanted, given = home
    pipeline = shared.get()
    if listens is None:
        scope = Scope(run, pipeline)
    else:
        scope = Scope(run, pipeline, callbacks=[Recorder(heard)], companions=opened(listens))
    return pipeline.plan_for(wanted, given), scope


def _packed(answer: Answer, names: Sequence[str], node: str | None = None) -> bytes:
    """*answer* as bytes. An output that cannot travel is the error of its item, or of the *node* that it is about."""
    answer.events = packed(answer.events)
    try:
        return dumps(answer)
    except Exception:  # whatever somebody else's code raises
        answer.events = [_travelling(one) for one in answer.events]
        for place, end in enumerate(answer.ends):
            if not isinstance(end, bytes) and not _travels(end):
                answer.ends[place] = error = pack_error(blame_outputs(names, end))
                if node is not None:
                    answer.events = failing(answer.events, node, error)
        return dumps(answer)


def _travelling(heard: Heard) -> Heard:
    facts, marks = tuple(map(_standing, heard.facts)), tuple(filter(_travels, heard.marks))
    return heard._replace(facts=facts, marks=marks)


def _standing(fact: Any) -> Any:
    """*fact*, or what stands for it where it cannot travel: what callbacks are told must not end a run."""
    if _travels(fact):
        return fact
    if isinstance(fact, dict):
        return {name: _standing(value) for name, value in fact.items()}
    return open_error(pack_error(fact)) if isinstance(fact, BaseException) else short(fact)


def _travels(value: Any) -> bool:
    try:
        dumps(value)
    except Exception:  # as above
        return False
    return True


def step_there(
    home: Home, index: int, inputs: list[Any], signed: dict[int, str] | None, item: Item, listens: bytes | None
) -> bytes:
    """The outputs of one step for its *inputs*: an `Answer`. *listens* is None, or companions that were packed."""
    heard: list[Heard] = []
    plan, scope = _at(home, _HERE, heard, listens)
    step = plan.steps[index]
    values = values_for(plan, step, inputs, signed)
    began = monotonic()
    level = Level(scope, item)
    level.is_inside()
    end: list[Any] | bytes
    try:
        call_step(step, values, level)
        end = step.taken(values)
    except BaseException as error:
        end = pack_error(error)
    answer = Answer([end], monotonic() - began, heard, signatures_of(values, step.outputs) or {})
    return _packed(answer, step.node.outputs, step.node.name)


def items_there(
    home: Home, items: list[tuple[Values, Item]], goes_on: bool, listens: bytes | None, inside: Inside | None
) -> bytes:
    """The outputs of each of these items, up to the first that fails unless the run *goes_on*: an `Answer`."""
    heard: list[Heard] = []
    began = monotonic()
    ends: list[list[Any] | bytes] = []
    known: list[str | None] = []
    for values, item in items:
        try:
            if inside is None:
                plan, scope = _at(home, _HERE, heard, listens)
                known.append(run_plan(plan, values, scope, item))
            else:
                with Run(around=_HERE) as run:  # it ends with its first failure; the loop does not
                    plan, scope = _at(home, run, heard, listens)
                    _engine(inside).run_values(plan, values, scope, item)
                    known.append(None)
        except BaseException as error:
            ends.append(pack_error(error))
            known.append(None)
            if not (goes_on and isinstance(error, Exception)):
                break
        else:
            ends.append([values[slot] for slot in plan.outputs.values()])
    return _packed(Answer(ends, monotonic() - began, heard, known=known), home[1])
