"""The executor ``sync``: every call runs in the thread that submits it, one after the other."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from pipe_core.kernel.contracts import Backend, Done, Take
from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.hookspecs import hookimpl
from pipe_core.kernel.specs import Capabilities, ExecutorSpec
from pipe_core.runtime.executor import Executor


class SyncOptions(BaseModel, frozen=True, extra="forbid"):
    """``sync`` has no options: one call at a time, in the calling thread."""


class SyncBackend(Backend):
    """Runs calls where they are submitted."""

    slots = 1
    inline = True

    def start(self, slots: int, take: Take, done: Done) -> None:
        """Remember where calls come from and where their ends are told."""
        self._take, self._done = take, done

    def wake(self) -> None:
        """Run whatever waits, here and now."""
        while (call := self._take(0)) is not None:
            self._done(call, call.run())

    def stop(self, kill: bool = False) -> None:
        """Nothing was started."""


CAPABILITIES = Capabilities(isolation="none", nested_submit=True)


class SyncFifoExecutor(Executor):
    """The executor ``sync`` as a class: strictly first in, first out, nothing is ever pickled."""

    def __init__(self, schema_model: Any = None) -> None:
        if schema_model is not None:
            raise OptionsError(
                "An executor takes no schema: it also runs graphs and tasks. "
                "Give the schema to the pipe: Pipe(source, sink, schema=..., executor=SyncFifoExecutor())."
            )
        super().__init__(SyncBackend(), slots=1, capabilities=CAPABILITIES, name="sync")


@hookimpl
def pipe_executor(name: str) -> ExecutorSpec | None:
    """Describe ``sync``."""
    if name != "sync":
        return None
    return ExecutorSpec(
        lambda options: SyncBackend(),
        SyncOptions,
        "one call at a time, in the calling thread",
        capabilities=CAPABILITIES,
    )
