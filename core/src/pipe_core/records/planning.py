"""Planning: everything that can be wrong is found here, before anything runs and before any target is touched."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pipe_core.kernel.contracts import Source
from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.kernel import current_kernel
from pipe_core.kernel.settings import Setting
from pipe_core.records.advice import auto
from pipe_core.records.control import Control
from pipe_core.records.hooks import BoundHook, bind_hooks
from pipe_core.records.limits import Limits
from pipe_core.records.opening import Ends
from pipe_core.records.places import as_sink, as_source, check_places
from pipe_core.records.plan import DEFAULTS, Plan, Wishes
from pipe_core.records.program import Program
from pipe_core.records.report import FlowReport
from pipe_core.records.resuming.again import check_keepable
from pipe_core.records.resuming.asked import asked_of, check_same
from pipe_core.records.resuming.checkpoints import Checkpoints
from pipe_core.records.resuming.kept_run import KeptRun
from pipe_core.records.resuming.promises import delivery_of, notes_on
from pipe_core.records.schema import Schema
from pipe_core.runtime.executor import Executor
from pipe_core.runtime.run_loop import RunLoop
from pipe_core.runtime.select import choose_executor

if TYPE_CHECKING:
    from pipe_core.records.transport.carrier import Carrier

MAX_INFLIGHT: Final = 20
"""Chunks that may be read and not yet committed; more where there are more than ten workers, so that none is idle."""
BATCH: Final = 100
"""Records validated at a time. Larger batches cost more in garbage collection than they save in calls."""

_CHOICES: Final = {
    "mode": ("error", "overwrite", "append", "ignore"),
    "on_error": ("collect", "fail"),
    "error_payload": ("full", "redacted", "hash"),
}


def make_plan(
    wishes: Wishes,
    report: FlowReport,
    control: Control,
    loop: RunLoop,
    *,
    streams: bool,
    kept: KeptRun | None = None,
    force: bool = False,
) -> Plan | None:
    """The plan for one run, with its source and sinks opened; None where ``mode="ignore"`` leaves nothing to do.

    Args:
        wishes: What a person said.
        report: Where it is described.
        control: Whether it shall stop.
        loop: The run's event loop.
        streams: Whether somebody wants the entries.
        kept: Where it is kept how far the run comes, and from where on it goes on.
        force: Go on also where what is asked for is not what it was.

    Raises:
        PipeError: Something is wrong; whatever was opened is closed again.
    """
    _values(wishes)
    with contextlib.ExitStack() as opened:
        observers = current_kernel().observers(wishes.observers)
        # Starting workers comes first: they take the longest.
        executor, owns = choose_executor(
            auto.chosen(wishes, report, loop), default="sync", observers=observers, waits=True
        )
        if owns:
            opened.callback(executor.shutdown)
        if executor.loop is not None:
            loop.use(executor.loop)
        values = _values(wishes, executor)
        schema = Schema(wishes.schema) if wishes.schema is not None else None
        ends = Ends(
            as_source(wishes.source, loop), as_sink(wishes.sink, loop), as_sink(wishes.errors, loop, hostile=True)
        )
        pre, post = _bound(wishes, ends)
        exact = _chunk_size(pre + post, values["chunk_size"])
        _check_order(pre + post, wishes.ordered)
        check_places(ends.source, ends.sink, ends.errors)
        if kept is not None:
            check_keepable(wishes, ends.source, pre + post, resumed=kept.began is not None)
        begun = None if kept is None else kept.begun
        if begun is None and wishes.mode == "ignore" and ends.sink is not None and ends.sink.exists():
            return None
        ends.open_source(opened, schema, pre)
        if kept is not None:
            asked = asked_of(wishes, ends, schema, pre + post, exact=exact, error_payload=values["error_payload"])
            if kept.began is not None:
                report.notes += check_same(kept.began, asked, kept.run, force=force)
        ends.open_sinks(opened, schema, wishes.mode, begun, keeps=kept is not None)
        if kept is not None:
            kept.begin(asked, executor.name, wishes.origin)
        carrier = _carrier(wishes, executor, schema, ends.source)
        hard = executor.capabilities.hard_timeout and carrier is not None
        plan = Plan(
            program=_program(report.run, schema, pre, post, ends, values, exact, loop, control, streams, carrier, hard),
            source=ends.source,
            sink=ends.sink,
            errors=ends.errors,
            mode=wishes.mode,
            executor=executor,
            owns_executor=owns,
            limits=_limits(wishes.limit, values),
            observers=observers,
            exact=exact or values["chunk_size"],
            whole=exact is not None or any(hook.needs_position for hook in pre + post),
            ordered=wishes.ordered,
            max_inflight=values["max_inflight"] or max(MAX_INFLIGHT, 2 * executor.slots),
            max_bytes_inflight=int(values["max_bytes_inflight"]),
            unit=_unit(pre + post, exact),
            least=values["concurrency"] if any(hook.is_async for hook in pre + post) else 1,
            checkpoints=None if kept is None else Checkpoints(kept, values["checkpoint_seconds"], ends, pre + post),
        )
        _describe(report, plan, wishes)
        opened.pop_all()
        return plan


def _values(wishes: Wishes, executor: Executor | None = None) -> dict[str, Any]:
    names = (*DEFAULTS, "chunk_size", "max_errors", "max_error_rate", "max_inflight", "max_runtime")
    settings = {"mode": Setting(wishes.mode, "the call"), **{name: wishes.setting(name, executor) for name in names}}
    _check_choices(settings)
    values = {name: setting.value for name, setting in settings.items()}
    values["one_by_one"] = executor is not None and executor.defaults.get("use_batch_validation") is False
    return values


def _bound(wishes: Wishes, ends: Ends) -> tuple[tuple[BoundHook, ...], tuple[BoundHook, ...]]:
    """The hooks of the source, the pipe and the sink, before and behind validation."""
    pre = bind_hooks(getattr(ends.source, "pre_hooks", ()), wishes.pre, getattr(ends.sink, "pre_hooks", ()))
    post = bind_hooks(getattr(ends.source, "post_hooks", ()), wishes.post, getattr(ends.sink, "post_hooks", ()))
    return pre, post


def _program(
    run: str,
    schema: Schema | None,
    pre: tuple[BoundHook, ...],
    post: tuple[BoundHook, ...],
    ends: Ends,
    values: Mapping[str, Any],
    exact: int | None,
    loop: RunLoop,
    control: Control,
    streams: bool,
    carrier: Carrier | None,
    hard_timeout: bool,
) -> Program:
    return Program(
        run=run,
        schema=schema,
        pre=pre,
        post=post,
        encoder=ends.sink.encoder() if ends.sink is not None else None,
        error_encoder=ends.errors.encoder() if ends.errors is not None else None,
        error_payload=values["error_payload"],
        hook_timeout=values["hook_timeout"],
        concurrency=values["concurrency"],
        batch_size=exact or (1 if values["one_by_one"] else BATCH),
        wants_entries=streams,
        loop=loop,
        stopping=control.stopping,
        carrier=carrier,
        hard_timeout=hard_timeout,
    )


def _carrier(wishes: Wishes, executor: Executor, schema: Schema | None, source: Source) -> Carrier | None:
    """What packs chunks and results for other processes; None where nothing travels."""
    compression = wishes.setting("compression", executor)
    here = executor.capabilities.in_process
    if here and compression.value is None and _codec(wishes) is None:
        return None
    options = {"compression": compression} if compression.value is not None else {}
    choice = current_kernel().choose("codecs", wishes.codec, options, default="msgpack")  # a wrong value is an error
    if here:
        return None
    from pipe_core.records.transport.carrier import Carrier

    return Carrier(choice.make(), schema, getattr(source, "travels", ()), choice.make)


def _codec(wishes: Wishes) -> Any:
    return wishes.codec if wishes.codec is not None else current_kernel().settings.get("codec").value


def _unit(hooks: Sequence[BoundHook], exact: int | None) -> int:
    """How many records must stay together even where one of them kills its worker."""
    return exact or 1 if any(hook.kind == "chunk" and not hook.repeatable for hook in hooks) else 1


def _check_choices(settings: Mapping[str, Setting]) -> None:
    for name, known in _CHOICES.items():
        if settings[name].value not in known:
            words = ", ".join(f"'{word}'" for word in known)
            raise OptionsError(
                f"{name} cannot be {settings[name].value!r} (from {settings[name].source}). Choose one of {words}."
            )


def _chunk_size(hooks: Sequence[BoundHook], asked: int | None) -> int | None:
    """The number of records in every chunk, where a hook can tell; None where nobody can."""
    sizes = {hook.chunk_size for hook in hooks if hook.chunk_size is not None}
    if asked is not None and any(hook.kind == "chunk" for hook in hooks):
        sizes.add(asked)
    if len(sizes) > 1:
        raise OptionsError(
            f"Chunks cannot have {' and '.join(map(str, sorted(sizes)))} records at once. "
            f"Give all hooks and the pipe the same chunk_size."
        )
    return next(iter(sizes), None)


def _check_order(hooks: Sequence[BoundHook], ordered: bool) -> None:
    deciding = [hook.name for hook in hooks if hook.kind == "run"]
    if deciding and not ordered:
        raise OptionsError(
            f"{deciding[0]} decides in the order of the source (scope = 'run'): leave ordered=False out."
        )


def _limits(limit: int | None, values: Mapping[str, Any]) -> Limits:
    _check_limit(limit)
    errors = 0 if values["on_error"] == "fail" else values["max_errors"]
    return Limits(limit, errors, values["max_error_rate"], values["max_poison"], values["max_runtime"] or math.inf)


def _check_limit(limit: object) -> None:
    if limit is None or (type(limit) is int and limit >= 0):
        return
    raise OptionsError(f"limit must be a whole number of records, not {limit!r}.")


def _describe(report: FlowReport, plan: Plan, wishes: Wishes) -> None:
    executor: Executor = plan.executor
    report.source = plan.source.name
    report.sink = plan.sink.name if plan.sink is not None else None
    report.errors = plan.errors.name if plan.errors is not None else None
    report.executor = executor.name
    report.workers = executor.slots
    sinks = [one for one in (plan.sink, plan.errors) if one is not None]
    report.delivery = delivery_of(sinks, plan.mode, kept=plan.checkpoints is not None)
    if plan.checkpoints is not None:
        report.notes += notes_on(sinks)
    _note_unused(report, executor, wishes)


def _note_unused(report: FlowReport, executor: Executor, wishes: Wishes) -> None:
    if not executor.capabilities.in_process:
        report.codec = _codec_name(wishes)
        return
    compression = wishes.setting("compression").value
    used = " and ".join(name for name, value in (("codec", _codec(wishes)), ("compression", compression)) if value)
    if used:
        report.notes.append(f"{used} had no use: on the executor '{executor.name}' nothing travels")


def _codec_name(wishes: Wishes) -> str:
    entry = current_kernel().choose("codecs", wishes.codec, {}, default="msgpack").entry
    return str(entry.name)
