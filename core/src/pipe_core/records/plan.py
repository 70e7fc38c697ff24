"""The plan of a run: what a person asked for, and what was decided."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipe_core.kernel.contracts import Mode, Sink, Source
from pipe_core.kernel.events import Observers
from pipe_core.kernel.kernel import current_kernel
from pipe_core.kernel.settings import Setting
from pipe_core.records.dispatch import Dispatch
from pipe_core.records.limits import Limits
from pipe_core.records.program import Program
from pipe_core.records.resuming.checkpoints import Checkpoints
from pipe_core.runtime.executor import Executor

DEFAULTS: Final[Mapping[str, Any]] = {
    "max_bytes_inflight": 64 * 1024 * 1024,
    "concurrency": 10,
    "hook_timeout": 300.0,
    "on_error": "collect",
    "error_payload": "full",
    "max_poison": 100,
    "checkpoint_seconds": 2.0,
}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person said when they made the pipe.

    Attributes:
        settings: What the settings may fill in.
        checkpoint: The folder in which runs are kept; None to keep nothing.
        origin: How the pipe was made, for whoever has to make it again; plain data.
    """

    source: Any
    sink: Any
    schema: Any
    errors: Any
    pre: tuple[Any, ...]
    post: tuple[Any, ...]
    executor: Any
    ordered: bool
    codec: Any
    mode: Mode
    limit: int | None
    observers: Sequence[Any] | None
    settings: Mapping[str, Any]
    checkpoint: Path | None = None
    origin: Mapping[str, Any] | None = None

    def setting(self, name: str, executor: Executor | None = None) -> Setting:
        """The value of a setting: the call's own, then the executor's, then what the settings say, then the default."""
        if self.settings.get(name) is not None:
            return Setting(self.settings[name], "the call")
        if executor is not None and name in executor.defaults:
            return Setting(executor.defaults[name], f"the executor '{executor.name}'")
        return current_kernel().settings.get(name, DEFAULTS.get(name))


@dataclass(slots=True)
class Plan:
    """Everything that a run needs, decided and checked before anything starts.

    Attributes:
        exact: How many records every chunk but the last has, where that is settled.
        whole: Whether a source that could be read in splits is cut into chunks.
        unit: How many records must stay together even where one of them kills its worker.
        least: How many records a piece has at least.
        checkpoints: How far the run comes is kept there; None where nobody asked for it.
    """

    program: Program
    source: Source
    sink: Sink | None
    errors: Sink | None
    mode: Mode
    executor: Executor
    owns_executor: bool
    limits: Limits
    observers: Observers
    exact: int | None
    whole: bool
    ordered: bool
    max_inflight: int
    max_bytes_inflight: int
    unit: int
    least: int
    checkpoints: Checkpoints | None = None

    def begin(self) -> Dispatch:
        """The way to the workers. Where the user's code keeps it from travelling, what the plan took is given back."""
        try:
            for hook in self.program.hooks:
                if hook.kind == "run" and hasattr(hook.source, "begin"):
                    hook.source.begin()  # before it travels, so that workers get it without an earlier run's memory
            dispatch = Dispatch(self.executor, self.program)
            if self.checkpoints is not None:
                self.checkpoints.restore()
            return dispatch
        except BaseException:
            with contextlib.ExitStack() as held:
                for sink in (self.sink, self.errors):
                    if sink is not None:
                        held.callback(sink.close)
                        held.callback(sink.abort)
                held.callback(self.source.close)
                if self.owns_executor:
                    held.callback(self.executor.shutdown)
            raise
