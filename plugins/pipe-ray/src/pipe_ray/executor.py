"""The executor ``ray`` as a class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pipe_core import NamedExecutor


class RayExecutor(NamedExecutor):
    """Runs calls on a Ray cluster, or on one of this machine.

    Args:
        address: Of the cluster: ``"auto"`` for the one that this machine belongs to, or ``ray://host:10001``. Default:
            the one that this process is connected to already, else one of this machine is started, and stopped at the
            end.
        max_workers: How many calls run at once, each in a worker process that takes one CPU of the cluster. Default: as
            many as the cluster has CPUs; here as many as this process has cores.
        resources: What a Ray of this machine that is started has beside CPUs, for calls that need it:
            ``{"GPU": 1, "licence": 2}``.
        prefetch: How many calls are held ready for a busy worker. Default 0.
        namespace: Ray's namespace, for calls that look for named actors.
        allow_insecure: Whether an address of another machine will do without a Ray token. Default: no.
        timeout: Seconds that the cluster may take to answer and to give the first worker. Default 60.
        chunk_size: Records in a chunk, for pipes that do not say. Default: follows the time that chunks take.
        compression: ``"lz4"`` compresses what travels, for pipes that do not say. Default: nothing is compressed.
        max_inflight: How many chunks may be read and not yet committed, for pipes that do not say. Default 20,
            or twice the workers.

    Raises:
        OptionsError: A schema was given, which belongs to the pipe; or an option is wrong.
        InsecureAddressError: The address leads to another machine, there is no Ray token, and nobody allowed that.
        BackendLost: There is no cluster at the address, or it gives no worker.
        VersionMismatchError: Its workers run other versions.
    """

    plugin = "ray"

    def __init__(
        self,
        schema_model: Any = None,
        *,
        address: str | None = None,
        max_workers: int | None = None,
        resources: Mapping[str, float] | None = None,
        prefetch: int | None = None,
        namespace: str | None = None,
        allow_insecure: bool | None = None,
        timeout: float | None = None,
        chunk_size: int | None = None,
        compression: Literal["lz4"] | None = None,
        max_inflight: int | None = None,
    ) -> None:
        super().__init__(
            schema_model,
            address=address,
            max_workers=max_workers,
            resources=resources,
            prefetch=prefetch,
            namespace=namespace,
            allow_insecure=allow_insecure,
            timeout=timeout,
            chunk_size=chunk_size,
            compression=compression,
            max_inflight=max_inflight,
        )
