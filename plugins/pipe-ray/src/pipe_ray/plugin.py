"""What the kernel asks: the options and capabilities of ``ray``."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from pipe_core import Backend, Capabilities, ExecutorSpec, hookimpl

CAPABILITIES: Final = Capabilities(isolation="remote", hard_timeout=True, survives_worker_death=True, resources=True)


class RayOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of ``ray``.

    Attributes:
        address: Of the cluster: ``"auto"`` for the one that this machine belongs to, or ``ray://host:10001``. Default:
            the one that this process is connected to already, else one of this machine is started, and stopped at the
            end.
        max_workers: How many calls run at once, each in a worker process that takes one CPU of the cluster. Default: as
            many as the cluster has CPUs; here as many as this process has cores.
        resources: What a Ray of this machine that is started has beside CPUs, for calls that need it:
            ``{"GPU": 1, "licence": 2}``.
        prefetch: How many calls are held ready for a busy worker. Default: 0 for calls, 2 for the chunks of a run.
        namespace: Ray's namespace, for calls that look for named actors.
        allow_insecure: Whether an address of another machine will do without a Ray token.
        timeout: Seconds that the cluster may take to answer and to give the first worker.
        chunk_size: Records in a chunk, for pipes that do not say.
        compression: ``"lz4"`` compresses what travels, for pipes that do not say.
        max_inflight: How many chunks may be read and not yet committed, for pipes that do not say. Default:
            20, or twice the workers.
    """

    address: str | None = None
    max_workers: int | None = Field(default=None, ge=1)
    resources: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None = None
    prefetch: int | None = Field(default=None, ge=0)
    namespace: str | None = None
    allow_insecure: bool = False
    timeout: float = Field(default=60.0, gt=0)
    chunk_size: int | None = Field(default=None, ge=1)
    compression: Literal["lz4"] | None = None
    max_inflight: int | None = Field(default=None, ge=1)


def _start(options: RayOptions) -> Backend:
    from pipe_ray.backend import RayBackend

    return RayBackend(options)


@hookimpl
def pipe_executor(name: str) -> ExecutorSpec | None:
    """Describe ``ray``."""
    if name != "ray":
        return None
    return ExecutorSpec(_start, RayOptions, "a Ray cluster, or one of this machine", capabilities=CAPABILITIES)
