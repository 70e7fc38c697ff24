"""What the kernel asks: the options and capabilities of ``asyncio``."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, Field, field_validator

from pipe_core import Backend, Capabilities, ExecutorSpec, hookimpl

CAPABILITIES: Final = Capabilities(isolation="thread", native_async=True)


class AsyncIOOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of ``asyncio``. Where only one of the first two is given, it holds for both kinds of calls.

    Attributes:
        concurrency: How many coroutines run at once; in a pipe, how many calls of an async hook. Default 10.
        max_workers: How many threads there are for calls that are no coroutines. Default 10.
        loop: A running event loop to use. Default: one of the executor's own, in a thread of its own.
        chunk_size: Records in a chunk, for pipes that do not say.
        max_inflight: How many chunks may be read and not yet committed, for pipes that do not say. Default: 20, or
            twice the workers where that is more.
        use_batch_validation: False validates records one by one, for pipes that do not say.
    """

    concurrency: int | None = Field(default=None, ge=1)
    max_workers: int | None = Field(default=None, ge=1)
    loop: Any = None  # its class would import asyncio, which the index of plugins has no use for
    chunk_size: int | None = Field(default=None, ge=1)
    max_inflight: int | None = Field(default=None, ge=1)
    use_batch_validation: bool | None = None

    @field_validator("loop")
    @classmethod
    def _is_a_loop(cls, value: Any) -> Any:
        if value is not None and not hasattr(value, "call_soon_threadsafe"):
            raise ValueError(f"give an event loop, as asyncio.get_running_loop() does, not {value!r}")
        return value


def _start(options: AsyncIOOptions) -> Backend:
    from pipe_asyncio.backend import AsyncIOBackend

    return AsyncIOBackend(options.concurrency, options.max_workers, options.loop)


@hookimpl
def pipe_executor(name: str) -> ExecutorSpec | None:
    """Describe ``asyncio``."""
    if name != "asyncio":
        return None
    return ExecutorSpec(
        _start,
        AsyncIOOptions,
        "coroutines on one event loop, other calls in threads",
        capabilities=CAPABILITIES,
        slots_from=("concurrency", "max_workers"),
    )
