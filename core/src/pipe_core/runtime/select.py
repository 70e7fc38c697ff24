"""`get_executor`: from what was asked for to a ready executor."""

from __future__ import annotations

import concurrent.futures
from typing import Any, ClassVar, Final, cast

from pipe_core.kernel.contracts import Backend
from pipe_core.kernel.errors import OptionsError, UnsupportedCapabilityError
from pipe_core.kernel.events import Observers
from pipe_core.kernel.kernel import Choice, Kernel, current_kernel
from pipe_core.kernel.specs import ExecutorSpec
from pipe_core.runtime.cores import cores
from pipe_core.runtime.executor import Executor
from pipe_core.runtime.foreign import adopt, foreign_parts

FOR_PIPES: Final = ("chunk_size", "compression", "concurrency", "max_inflight", "use_batch_validation")
"""Options of executors that are defaults for the pipes that run on them."""


def get_executor(spec: Any = None, /, **options: Any) -> Executor:
    """A ready executor, which the caller shuts down.

    Args:
        spec: A name (``"sync"``), a URL (``"ray://head:10001?namespace=x"``), ``(name, options)``, an options model, or
            any `concurrent.futures.Executor`. Default: as the settings say, then ``"sync"``.
        **options: The executor's own options, for example ``max_workers=4``.

    Raises:
        PluginError: The plugin cannot be used.
        OptionsError: An option is unknown or wrong.
    """
    if spec == "auto":
        raise OptionsError(
            "'auto' chooses the executor of a pipe by what it has to do: Pipe(..., executor='auto'). Name one here."
        )
    return choose_executor(spec, options, default="sync")[0]


def choose_executor(
    spec: Any,
    options: dict[str, Any] | None = None,
    *,
    default: str | None,
    observers: Observers | None = None,
    waits: bool = False,
) -> tuple[Executor, bool]:
    """As `get_executor`, with the caller's own default and with the factory wrappers of *observers*.

    Args:
        spec: As `get_executor`.
        options: The executor's own options.
        default: What is chosen where nobody says anything.
        observers: Whose wrappers of factories apply.
        waits: Whether the work mostly waits, so that threads may be more than cores.

    Returns:
        The executor, and whether it was made here: one that somebody gave is theirs to shut down.
    """
    chosen = current_kernel().choose("executors", spec, options, default=default, observers=observers)
    if isinstance(chosen, Choice):
        return _start(chosen, waits), True
    if isinstance(chosen, Executor):
        return chosen, False
    if isinstance(chosen, concurrent.futures.Executor):
        return adopt(chosen), True  # the pool stays theirs, what feeds it is ours
    raise _no_executor(chosen)


def check_executor(spec: Any) -> None:
    """Make sure that `choose_executor` will know what is meant by *spec*. Nothing is started.

    Raises:
        PluginError: The plugin cannot be used.
        OptionsError: An option is unknown or wrong, or *spec* is something else.
    """
    chosen = current_kernel().choose("executors", spec, {}, default=None)
    if not isinstance(chosen, Choice | concurrent.futures.Executor):
        raise _no_executor(chosen)


def executor_parts(spec: Any, options: dict[str, Any], *, default: str) -> tuple[Backend, dict[str, Any]]:
    """What an `Executor` is made of, for its subclasses: a backend, and arguments beside it.

    Args:
        spec: As `get_executor`. Somebody's executor stays theirs, and is fed.
        options: The executor's own options.
        default: What is chosen where nobody says anything.
    """
    chosen = current_kernel().choose("executors", spec, options, default=default)
    if isinstance(chosen, Choice):
        return chosen.make(), _parameters(chosen)
    if isinstance(chosen, concurrent.futures.Executor):
        return foreign_parts(chosen)
    raise _no_executor(chosen)


def _no_executor(chosen: Any) -> OptionsError:
    return OptionsError(
        f"{chosen!r} is no executor. Give a name such as 'sync', (name, options), or a concurrent.futures.Executor."
    )


def _start(choice: Choice, waits: bool) -> Executor:
    return Executor(choice.make(), **_parameters(choice, waits))


def _parameters(choice: Choice, waits: bool = False) -> dict[str, Any]:
    """What an executor takes beside its backend, from the options of its plugin."""
    spec = cast(ExecutorSpec, choice.spec)
    said = {name: value for name, value in choice.options if value is not None}
    slots = max((said[name] for name in spec.slots_from if name in said), default=None)
    if slots is None and waits and spec.workers_per_core > 1:
        slots = spec.workers_per_core * cores()
    return {
        "slots": slots,
        "capabilities": spec.capabilities,
        "name": choice.entry.name,
        "prefetch": said.get("prefetch"),
        "defaults": {name: said[name] for name in FOR_PIPES if name in said},
    }


def slots_of(choice: Choice) -> int | None:
    """How many calls would run at once on an executor that has not been started; None where only a cluster knows."""
    said: int | None = _parameters(choice)["slots"]
    is_here = cast(ExecutorSpec, choice.spec).capabilities.isolation != "remote"
    return cores() if said is None and is_here else said


class NamedExecutor(Executor):
    """An executor as a class of its own: a subclass says its plugin's name and takes the plugin's options.

    Options that are None count as not given.

    Raises:
        OptionsError: A schema was given, which belongs to the pipe; or an option is wrong.
    """

    plugin: ClassVar[str]

    def __init__(self, schema_model: Any = None, /, **options: Any) -> None:
        if schema_model is not None:
            name = type(self).__name__
            raise OptionsError(
                f"An executor takes no schema: it also runs graphs and tasks. Give the schema to the pipe: "
                f"Pipe(source, sink, schema=..., executor={name}())."
            )
        given = {name: value for name, value in options.items() if value is not None}
        choice = current_kernel().choose("executors", (self.plugin, given), {}, default=None)
        super().__init__(choice.make(), **_parameters(choice))


def require(executor: Executor, capability: str, kernel: Kernel | None = None) -> None:
    """Make sure that *executor* has *capability*, the name of a yes-or-no field of `Capabilities`.

    Raises:
        UnsupportedCapabilityError: It has not; names the installed executors that have.
    """
    if getattr(executor.capabilities, capability):
        return
    able = offering(capability, kernel)
    raise UnsupportedCapabilityError(
        f"The executor '{executor.name}' does not offer '{capability}'. "
        + (f"Installed executors that do: {', '.join(able)}." if able else "No installed executor does."),
        capability=capability,
        executor=executor.name,
        able=able,
    )


def offering(capability: str, kernel: Kernel | None = None) -> list[str]:
    """The installed executors with *capability*."""
    usable = (kernel or current_kernel()).usable("executors")
    specs = ((entry.name, cast(ExecutorSpec, spec)) for entry, spec in usable)
    return [name for name, spec in specs if getattr(spec.capabilities, capability)]
