"""The executor ``loky`` as a class."""

from __future__ import annotations

from typing import Any, Literal

from pipe_core import NamedExecutor


class MultiprocessingExecutor(NamedExecutor):
    """Runs calls in worker processes of this machine.

    Args:
        max_workers: How many worker processes. Default: one a core.
        chunksize: Records in a chunk, for pipes that do not say. Default: follows the time that chunks take.
        compression: ``"lz4"`` compresses what travels, for pipes that do not say. Default: nothing is compressed.
        max_inflight: How many chunks may be read and not yet committed, for pipes that do not say. Default: 20, or
            twice the workers where that is more.
        prefetch: How many calls a busy worker may hold ready. Default 0.

    Raises:
        OptionsError: A schema was given, which belongs to the pipe; or an option is wrong.
    """

    plugin = "loky"

    def __init__(
        self,
        schema_model: Any = None,
        *,
        max_workers: int | None = None,
        chunksize: int | None = None,
        compression: Literal["lz4"] | None = None,
        max_inflight: int | None = None,
        prefetch: int | None = None,
    ) -> None:
        super().__init__(
            schema_model,
            max_workers=max_workers,
            chunk_size=chunksize,
            compression=compression,
            max_inflight=max_inflight,
            prefetch=prefetch,
        )


MultiProcessingExecutor = MultiprocessingExecutor
