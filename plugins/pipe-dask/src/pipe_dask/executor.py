"""The executor ``dask`` as a class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pipe_core import NamedExecutor

if TYPE_CHECKING:
    from distributed import Client


class DaskExecutor(NamedExecutor):
    """Runs calls on a Dask cluster.

    Args:
        address: Of the scheduler, for example ``tcp://host:8786``. Default: a cluster of this machine is started, and
            stopped at the end.
        client: A `distributed.Client` instead of an address. It stays open.
        max_workers: How many calls run at once. Default: one a core, or one a thread of the cluster's workers.
        worker_resources: What each worker of a cluster of one's own has, for calls that need it: ``{"GPU": 1}``.
        prefetch: How many calls a busy worker may hold ready. Default 0.
        allow_insecure: Whether an address of another machine will do without TLS.
        tls_ca: Path of the certificates that are trusted, for ``tls://``.
        tls_cert: Path of this side's certificate.
        tls_key: Path of this side's key.
        timeout: Seconds that the scheduler may take to answer and a cluster may be without any worker. Default 12.
        chunk_size: Records in a chunk, for pipes that do not say. Default: follows the time that chunks take.
        compression: ``"lz4"`` compresses what travels, for pipes that do not say. Default: nothing is compressed.
        max_inflight: How many chunks may be read and not yet committed, for pipes that do not say. Default: 20, or
            twice the workers where that is more.

    Raises:
        OptionsError: A schema was given, which belongs to the pipe; or an option is wrong.
        InsecureAddressError: The address leads to another machine without TLS, and nobody allowed that.
        BackendLost: There is no cluster at the address, or it has no worker.
        VersionMismatchError: Its workers run other versions.
    """

    plugin = "dask"

    def __init__(
        self,
        schema_model: Any = None,
        *,
        address: str | None = None,
        client: Client | None = None,
        max_workers: int | None = None,
        worker_resources: Mapping[str, float] | None = None,
        prefetch: int | None = None,
        allow_insecure: bool | None = None,
        tls_ca: str | None = None,
        tls_cert: str | None = None,
        tls_key: str | None = None,
        timeout: float | None = None,
        chunk_size: int | None = None,
        compression: Literal["lz4"] | None = None,
        max_inflight: int | None = None,
    ) -> None:
        super().__init__(
            schema_model,
            address=address,
            client=client,
            max_workers=max_workers,
            worker_resources=worker_resources,
            prefetch=prefetch,
            allow_insecure=allow_insecure,
            tls_ca=tls_ca,
            tls_cert=tls_cert,
            tls_key=tls_key,
            timeout=timeout,
            chunk_size=chunk_size,
            compression=compression,
            max_inflight=max_inflight,
        )
