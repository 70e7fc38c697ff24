"""What the kernel asks: the options and capabilities of ``loky``."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, Field

from pipe_core import Backend, Capabilities, ExecutorSpec, hookimpl

CAPABILITIES: Final = Capabilities(isolation="process", hard_timeout=True, survives_worker_death=True)


class LokyOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of ``loky``.

    Attributes:
        max_workers: How many worker processes. Default: one a core that this process may use.
        prefetch: How many calls a busy worker may hold ready. Default: 0 for calls, 2 for the chunks of a run.
        chunk_size: Records in a chunk, for pipes that do not say.
        compression: ``"lz4"`` compresses what travels, for pipes that do not say.
        max_inflight: How many chunks may be read and not yet committed, for pipes that do not say. Default: 20, or
            twice the workers where that is more.
    """

    max_workers: int | None = Field(default=None, ge=1)
    prefetch: int | None = Field(default=None, ge=0)
    chunk_size: int | None = Field(default=None, ge=1)
    compression: Literal["lz4"] | None = None
    max_inflight: int | None = Field(default=None, ge=1)


def _start(options: LokyOptions) -> Backend:
    from pipe_loky.backend import LokyBackend

    return LokyBackend()


@hookimpl
def pipe_executor(name: str) -> ExecutorSpec | None:
    """Describe ``loky``."""
    if name != "loky":
        return None
    return ExecutorSpec(_start, LokyOptions, "worker processes of this machine", capabilities=CAPABILITIES)
