"""`get_executor`: from what was asked for to a ready executor."""

from __future__ import annotations

import concurrent.futures
from typing import Any, cast

from pipe_core.kernel.errors import OptionsError, UnsupportedCapabilityError
from pipe_core.kernel.events import Observers
from pipe_core.kernel.kernel import Choice, Kernel, current_kernel
from pipe_core.kernel.specs import ExecutorSpec
from pipe_core.runtime.cores import cores
from pipe_core.runtime.executor import Executor
from pipe_core.runtime.foreign import adopt


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
    return choose_executor(spec, options, default="sync")[0]


def choose_executor(
    spec: Any,
    options: dict[str, Any] | None = None,
    *,
    default: str | None,
    observers: Observers | None = None,
    prefetch: int = 0,
    waits: bool = False,
) -> tuple[Executor, bool]:
    """As `get_executor`, with the caller's own default and with the factory wrappers of *observers*.

    Args:
        spec: As `get_executor`.
        options: The executor's own options.
        default: What is chosen where nobody says anything.
        observers: Whose wrappers of factories apply.
        prefetch: How many calls a busy slot may hold ready, unless the executor's options say.
        waits: Whether the work mostly waits, so that threads may be more than cores.

    Returns:
        The executor, and whether it was made here: one that somebody gave is theirs to shut down.
    """
    chosen = current_kernel().choose("executors", spec, options, default=default, observers=observers)
    if isinstance(chosen, Choice):
        return _start(chosen, prefetch, waits), True
    if isinstance(chosen, Executor):
        return chosen, False
    if isinstance(chosen, concurrent.futures.Executor):
        return adopt(chosen, prefetch=prefetch), True  # the pool stays theirs, what feeds it is ours
    raise OptionsError(
        f"{chosen!r} is no executor. Give a name such as 'sync', (name, options), or a concurrent.futures.Executor."
    )


def _start(choice: Choice, prefetch: int, waits: bool) -> Executor:
    spec = cast(ExecutorSpec, choice.spec)
    slots = getattr(choice.options, "max_workers", None)
    if slots is None and waits and spec.workers_per_core > 1:
        slots = spec.workers_per_core * cores()
    asked = getattr(choice.options, "prefetch", None)
    return Executor(
        choice.make(),
        slots=slots,
        capabilities=spec.capabilities,
        name=choice.entry.name,
        prefetch=prefetch if asked is None else asked,
    )


def require(executor: Executor, capability: str, kernel: Kernel | None = None) -> None:
    """Make sure that *executor* has *capability*, the name of a yes-or-no field of `Capabilities`.

    Raises:
        UnsupportedCapabilityError: It has not; names the installed executors that have.
    """
    if getattr(executor.capabilities, capability):
        return
    able = _able(capability, kernel or current_kernel())
    raise UnsupportedCapabilityError(
        f"The executor '{executor.name}' does not offer '{capability}'. "
        + (f"Installed executors that do: {', '.join(able)}." if able else "No installed executor does."),
        capability=capability,
        executor=executor.name,
        able=able,
    )


def _able(capability: str, kernel: Kernel) -> list[str]:
    specs = ((entry.name, cast(ExecutorSpec, spec)) for entry, spec in kernel.usable("executors"))
    return [name for name, spec in specs if getattr(spec.capabilities, capability)]
