"""What the kernel asks: the options and capabilities of ``threads``."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, Field

from pipe_core import Backend, Capabilities, ExecutorSpec, hookimpl

CAPABILITIES: Final = Capabilities(isolation="thread")
WORKERS_PER_CORE: Final = 5
"""In a pipe, where threads mostly wait."""


class ThreadsOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of ``threads``.

    Attributes:
        max_workers: How many threads. Default: one a core that this process may use, five in a pipe.
        chunk_size: Records in a chunk, for pipes that do not say.
        concurrency: Calls of an async hook in flight, for pipes that do not say.
        max_inflight: How many chunks may be read and not yet committed, for pipes that do not say. Default: 20, or
            twice the workers where that is more.
        thread_stack_size: Bytes of stack of each thread, 32 KiB at least. Default: the system's.
    """

    max_workers: int | None = Field(default=None, ge=1)
    chunk_size: int | None = Field(default=None, ge=1)
    concurrency: int | None = Field(default=None, ge=1)
    max_inflight: int | None = Field(default=None, ge=1)
    thread_stack_size: int | None = Field(default=None, ge=32_768)


def _start(options: ThreadsOptions) -> Backend:
    from pipe_threads.backend import ThreadBackend

    return ThreadBackend(options.thread_stack_size)


@hookimpl
def pipe_executor(name: str) -> ExecutorSpec | None:
    """Describe ``threads``."""
    if name != "threads":
        return None
    return ExecutorSpec(
        _start,
        ThreadsOptions,
        "threads of the same process",
        capabilities=CAPABILITIES,
        workers_per_core=WORKERS_PER_CORE,
    )
