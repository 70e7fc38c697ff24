"""Specs: what a plugin answers when the kernel asks what it offers.

A spec is a frozen description. Making one must not import the backend behind it: that happens in `factory`,
after the options were validated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from pydantic import BaseModel

    from pipe_core.kernel.contracts import Backend, Codec, Format, Scheduler  # noqa: F401  # named in the bases below


API_VERSION: Final = 1
"""The version of the hook specifications. A plugin made for another one is refused."""

ProductT = TypeVar("ProductT")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an executor can do. Every default is the weakest honest claim, and each holds from the first call.

    Attributes:
        isolation: Where calls run: in the caller's thread (``none``), in threads of the same process, in other
            processes of this machine, or on other machines.
        native_async: Coroutine functions run on an event loop of the executor's own.
        cancel_running: `Future.cancel` ends a call that already runs, of whatever kind. Only for executors that bring
            futures of their own: those of the standard library, which every backend gets, say True for a call that
            never runs and for no other. None of the executors here claims it; they have `Executor.give_up`.
        hard_timeout: A call that runs too long is killed, not only given up.
        survives_worker_death: The executor stays usable after a worker died.
        nested_submit: A call may submit calls to the same executor and wait for them.
        resources: A call may say what it needs of its worker, as `Executor.submit_needing`: it runs only where that
            is, and what it needs is nobody else's while it runs.
    """

    isolation: Literal["none", "thread", "process", "remote"] = "none"
    native_async: bool = False
    cancel_running: bool = False
    hard_timeout: bool = False
    survives_worker_death: bool = False
    nested_submit: bool = False
    resources: bool = False

    @property
    def in_process(self) -> bool:
        """Whether calls see the caller's own objects."""
        return self.isolation in ("none", "thread")


@dataclass(frozen=True, slots=True)
class Spec(Generic[ProductT]):
    """What every family's spec has.

    Attributes:
        factory: Makes the product from a validated instance of `options`; the only place that imports a backend.
        options: A pydantic model with ``extra="forbid"``.
        summary: One line for ``pipe plugins list``.
        api_version: The version of the hook specifications that the plugin was written for.
    """

    factory: Callable[[Any], ProductT]
    options: type[BaseModel]
    summary: str = ""
    api_version: int = API_VERSION


@dataclass(frozen=True, slots=True)
class ExecutorSpec(Spec["Backend"]):
    """Describes an executor. `factory` returns a `Backend`; core makes the executor over it.

    Core reads these options, where there are any: ``max_workers``, how many calls run at once; ``prefetch``, how many
    calls a busy slot may hold ready; and ``chunk_size``, ``compression``, ``concurrency``, ``max_inflight`` and
    ``use_batch_validation``, which pipes take that do not say them themselves.

    Attributes:
        capabilities: What it can do.
        workers_per_core: How many workers a core has by default where the work mostly waits, as in a run of records.
        slots_from: The options that say how many calls run at once. Of several that are given, the largest does.
    """

    capabilities: Capabilities = Capabilities()
    workers_per_core: int = 1
    slots_from: tuple[str, ...] = ("max_workers",)


@dataclass(frozen=True, slots=True)
class SchedulerSpec(Spec["Scheduler"]):
    """Describes a scheduler: which waiting task goes next."""


@dataclass(frozen=True, slots=True)
class CodecSpec(Spec["Codec"]):
    """Describes a codec: how a value becomes bytes and comes back."""


@dataclass(frozen=True, slots=True)
class HookSpec(Spec[Any]):
    """Describes a record hook. `when` says on which side of validation it runs unless the user says otherwise."""

    when: Literal["pre", "post"] = "pre"


@dataclass(frozen=True, slots=True)
class FormatSpec(Spec["Format"]):
    """Describes a format: how a file, table or topic is read and written.

    Attributes:
        suffixes: File suffixes with the dot, lower case, that mean this format.
        schemes: URL schemes (without ``://``) that mean this format; its own name always does.
        check: Raises `PluginDependencyError` where something is not installed that the format needs beside its
            distribution, such as an extra. It is asked before anything runs, and imports nothing.
    """

    suffixes: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    check: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class ObserverSpec(Spec[Any]):
    """Describes an observer: an object with `hookimpl` methods for kernel events."""
