"""The executor ``threads`` as a class."""

from __future__ import annotations

from typing import Any

from pipe_core import NamedExecutor


class ThreadExecutor(NamedExecutor):
    """Runs calls in threads of this process.

    Args:
        max_workers: How many threads. Default: one a core.
        chunksize: Records in a chunk, for pipes that do not say. Default: follows the time that chunks take.
        concurrency: Calls of an async hook in flight, for pipes that do not say. Default 10.
        max_inflight: How many chunks may be read and not yet committed, for pipes that do not say. Default: 20, or
            twice the workers where that is more.

    Raises:
        OptionsError: A schema was given, which belongs to the pipe; or an option is wrong.
    """

    plugin = "threads"

    def __init__(
        self,
        schema_model: Any = None,
        *,
        max_workers: int | None = None,
        chunksize: int | None = None,
        concurrency: int | None = None,
        max_inflight: int | None = None,
    ) -> None:
        super().__init__(
            schema_model,
            max_workers=max_workers,
            chunk_size=chunksize,
            concurrency=concurrency,
            max_inflight=max_inflight,
        )
