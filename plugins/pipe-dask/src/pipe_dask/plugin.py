"""What the kernel asks: the options and capabilities of ``dask``."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from pipe_core import Backend, Capabilities, ExecutorSpec, hookimpl

CAPABILITIES: Final = Capabilities(isolation="remote", survives_worker_death=True, resources=True)


class DaskOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of ``dask``.

    Attributes:
        address: Of the scheduler: ``tcp://host:8786``, ``tls://host:8786``, ``host:8786`` or ``dask://host:8786``.
            Default: a cluster of this machine is started, and stopped at the end.
        client: A `distributed.Client` instead of an address. It stays open.
        max_workers: How many calls run at once. Default: on a cluster of one's own one a core, elsewhere as many as
            the workers have threads at the start; a cluster that grows needs the number.
        worker_resources: What each worker of a cluster of one's own has, for calls that need it: ``{"GPU": 1}``.
        prefetch: How many calls a busy worker may hold ready. Default: 0 for calls, 2 for the chunks of a run.
        allow_insecure: Whether an address of another machine will do without TLS.
        tls_ca: Path of the certificates that are trusted, for ``tls://``.
        tls_cert: Path of this side's certificate.
        tls_key: Path of this side's key.
        timeout: Seconds that the scheduler may take to answer and that a cluster may be without any worker, before it
            counts as lost. On a cluster of one's own, new workers have a minute at least.
        chunk_size: Records in a chunk, for pipes that do not say.
        compression: ``"lz4"`` compresses what travels, for pipes that do not say.
        max_inflight: How many chunks may be read and not yet committed, for pipes that do not say. Default: 20, or
            twice the workers where that is more.
    """

    address: str | None = None
    client: Any = None
    max_workers: int | None = Field(default=None, ge=1)
    worker_resources: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None = None
    prefetch: int | None = Field(default=None, ge=0)
    allow_insecure: bool = False
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    timeout: float = Field(default=12.0, gt=0)
    chunk_size: int | None = Field(default=None, ge=1)
    compression: Literal["lz4"] | None = None
    max_inflight: int | None = Field(default=None, ge=1)


def _start(options: DaskOptions) -> Backend:
    from pipe_dask.backend import DaskBackend

    return DaskBackend(options)


@hookimpl
def pipe_executor(name: str) -> ExecutorSpec | None:
    """Describe ``dask``."""
    if name != "dask":
        return None
    return ExecutorSpec(_start, DaskOptions, "a Dask cluster, or one of this machine", capabilities=CAPABILITIES)
