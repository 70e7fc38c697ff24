"""`DaftEngine`: what a pipeline asks of its engine, done by Daft."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.engine import Engine
from pipe_core.graph.errors import GraphError, items_failed
from pipe_core.graph.frames import Group
from pipe_core.graph.items import check_mode, count_of, items_of, names_of
from pipe_core.graph.levels import Level, MapLevel
from pipe_core.graph.result import FailedRow, MapResult
from pipe_core.graph.scope import CancelToken, OnError, Run, Scope
from pipe_core.kernel.errors import OptionsError
from pipe_daft.calls import Kept, Row, is_inside
from pipe_daft.expressions import ITEM, frame_of
from pipe_daft.lazy import Lazy
from pipe_daft.refusals import check_lazy, check_plan, check_runner

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from pipe_core.graph.pipeline import Pipeline
    from pipe_core.graph.plan import Plan

_WINDOW: Final = 64
"""How many items `imap` gives Daft at once."""
_IN_LINE: Final = Engine("sync", "sync")


class DaftEngine:
    """Runs pipelines as Daft data frames: a row for each item, a column for each input, an expression for each node.

    Results, order and errors are those of the default `Engine`. A pipeline that is a node of another one is one
    expression, mapped or not, which runs what is inside in line. Daft decides how many rows it takes at once and in
    which of its threads; a pipeline that is run from inside of such an expression runs in line there.

    Args:
        collect: Whether results are computed, and given as by the `Engine`. Else `run` and `map` give a
            `daft.DataFrame` with a row for each item and a column for each output, and no node has run.

    Raises:
        OptionsError: *collect* is neither True nor False.
    """

    takes_within = True
    """Whether it takes ``within=``: what a nested pipeline inherits."""

    def __init__(self, collect: bool = True) -> None:
        if not isinstance(collect, bool):
            raise OptionsError(f"collect wants True or False, not {collect!r}.")
        self.collect = collect

    def run(
        self,
        pipeline: Pipeline,
        inputs: Mapping[str, Any],
        output_name: str | Sequence[str] | None = None,
        *,
        timeout: float | None = None,
        on_error: OnError = "raise",
        token: CancelToken | None = None,
        loop: AbstractEventLoop | None = None,
        within: Level | None = None,
    ) -> Any:
        """See `Pipeline.run`. Options are those of `Engine.run`.

        Raises:
            UnsupportedCapabilityError: A node says how it runs, or an option needs a run that is waited for.
        """
        _check_on_error(on_error)
        run = Run(loop, timeout, on_error, token, None if within is None else within.scope.run)
        if is_inside() and self.collect:
            return _IN_LINE.run(
                pipeline, inputs, output_name, timeout=timeout, on_error=on_error, token=token, loop=loop, within=within
            )
        inputs = {**pipeline.bound_inputs, **inputs}
        plan = pipeline.plan_for(output_name, inputs)
        self._check(pipeline, plan, run, within)
        scope = Scope(run, pipeline, None if within is None else within.scope, engine=self)
        if not self.collect:
            return frame_of(plan, [inputs], 0, Lazy(plan, scope, mapped=False)).exclude(ITEM)
        with run:
            with Kept(Group(plan, scope, iter(()), () if within is None else within.item)) as kept:
                found = kept.collect([inputs])
            if kept.first is not None:
                raise kept.first[1]
            ((outputs, _),) = found
        if kept.errors and on_error == "collect":
            raise items_failed(_in_order(kept), len(plan.steps), "nodes", outputs)
        return outputs

    def map(
        self,
        pipeline: Pipeline,
        inputs: Mapping[str, Any],
        map_over: str | Sequence[str],
        map_mode: str = "zip",
        output_name: str | Sequence[str] | None = None,
        *,
        timeout: float | None = None,
        on_error: OnError = "raise",
        token: CancelToken | None = None,
        loop: AbstractEventLoop | None = None,
        within: Level | None = None,
    ) -> Any:
        """See `Pipeline.map`. Options are those of `Engine.map`. All items are read before the first one begins.

        Raises:
            UnsupportedCapabilityError: As in `run`.
        """
        _check_on_error(on_error)
        run = Run(loop, timeout, on_error, token, None if within is None else within.scope.run)
        if is_inside() and self.collect:
            how: Any = {"timeout": timeout, "on_error": on_error, "token": token, "loop": loop, "within": within}
            return _IN_LINE.map(pipeline, inputs, map_over, map_mode, output_name, **how)
        inputs = {**pipeline.bound_inputs, **inputs}
        plan = pipeline.plan_for(output_name, inputs)
        over = names_of(map_over)
        items = items_of(inputs, over, check_mode(map_mode))
        self._check(pipeline, plan, run, within)
        if not self.collect:
            calls = Lazy(plan, Scope(run, pipeline, engine=self), mapped=True)
            return frame_of(plan, list(items), 0, calls).exclude(ITEM)
        fixed = {name: value for name, value in inputs.items() if name not in over}
        total = count_of(inputs, over, map_mode)
        return self._mapped(pipeline, plan, items, total, fixed, on_error, run, within)

    def _mapped(
        self,
        pipeline: Pipeline,
        plan: Plan,
        items: Iterator[Row],
        total: int | None,
        fixed: Row,
        on_error: OnError,
        run: Run,
        within: Level | None = None,
    ) -> MapResult:
        with run:
            scope = Scope(run, pipeline, None if within is None else within.scope, engine=self)
            around = MapLevel(scope, () if within is None else within.item, total, fixed)
            with Kept(Group(plan, scope, iter(()), around.item, around=around)) as kept:
                found = kept.collect(list(items))
            if kept.first is not None:
                raise kept.first[1]

        def again(inputs: list[Mapping[str, Any]]) -> MapResult:
            another = Run(None, run.timeout, "continue", run.token)  # perhaps long behind the end of its loop
            return self._mapped(pipeline, plan, iter(map(dict, inputs)), len(inputs), fixed, "continue", another)

        failed = [failure for _, failure in found if failure is not None]
        result = MapResult([row for row, _ in found], plan.outputs, failed, again)
        if failed and on_error == "collect":
            raise items_failed(_in_order(kept), len(found), "items", result)
        return result

    def imap(
        self,
        pipeline: Pipeline,
        inputs: Mapping[str, Any],
        map_over: str | Sequence[str],
        map_mode: str = "zip",
        output_name: str | Sequence[str] | None = None,
        *,
        ordered: bool = True,
        window: int | None = None,
        timeout: float | None = None,
        on_error: OnError = "raise",
        token: CancelToken | None = None,
        loop: AbstractEventLoop | None = None,
    ) -> Iterator[Row]:
        """See `Pipeline.imap`. Options are those of `Engine.imap`.

        Daft is given a window of items at once, 64 by default, and the next one when somebody wants more. Outputs come
        in the order of the items, also where it need not be kept.

        Raises:
            UnsupportedCapabilityError: As in `run`, and with ``collect=False``.
        """
        run = Run(loop, timeout, on_error, token)
        if is_inside() and self.collect:
            how: Any = {"timeout": timeout, "on_error": on_error, "token": token, "loop": loop, "window": window}
            yield from _IN_LINE.imap(pipeline, inputs, map_over, map_mode, output_name, ordered=ordered, **how)
            return
        inputs = {**pipeline.bound_inputs, **inputs}
        plan = pipeline.plan_for(output_name, inputs)
        over = names_of(map_over)
        items = items_of(inputs, over, check_mode(map_mode))
        self._check(pipeline, plan, run, imap=True)
        fixed = {name: value for name, value in inputs.items() if name not in over}
        with run:
            around = MapLevel(Scope(run, pipeline, engine=self), (), count_of(inputs, over, map_mode), fixed)
            group = Group(plan, around.scope, iter(()), around=around)
            with Kept(group) as kept:
                for some in _windows(items, window or _WINDOW):
                    for row, failure in kept.collect(some):
                        yield row if failure is None else FailedRow(row, failure)
                    if kept.first is not None:
                        raise kept.first[1]
            if kept.errors and on_error == "collect":
                raise items_failed(_in_order(kept), group.count, "items", None)

    def _check(
        self, pipeline: Pipeline, plan: Plan, run: Run, within: Level | None = None, *, imap: bool = False
    ) -> None:
        check_runner()
        check_plan(plan, self)
        if not self.collect:
            given = {"timeout": run.timeout is not None, "on_error": run.goes_on, "token": run.token is not None}
            given |= {"loop": run.given is not None, "within": within is not None, "imap": imap}
            check_lazy(pipeline, plan, given)

    def __repr__(self) -> str:
        return f"DaftEngine(collect={self.collect})"


def _in_order(kept: Kept) -> list[Exception]:
    return [error for _, error in sorted(kept.errors.items())]


def _windows(items: Iterator[Row], size: int) -> Iterator[list[Row]]:
    """*size* items after the other. An error in reading comes behind what was read before it."""
    errors: list[Exception] = []

    def read() -> Iterator[Row]:
        try:
            yield from items
        except Exception as error:  # somebody's generator
            errors.append(error)

    reading = read()
    while some := list(itertools.islice(reading, size)):
        yield some
    if errors:
        raise errors[0]


def _check_on_error(on_error: OnError) -> None:
    if on_error == "drain":
        raise GraphError("Daft cannot let a run drain: say 'raise', 'continue' or 'collect'.")
