"""The executor ``asyncio`` as a class."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from typing import Any

from pipe_core import NamedExecutor


class AsyncIOExecutor(NamedExecutor):
    """Runs coroutine functions on one event loop, and other calls in threads beside it.

    Where only one of `concurrency` and `max_workers` is given, it holds for both kinds of calls.

    Args:
        concurrency: How many coroutines run at once; in a pipe, how many calls of an async hook. Default 10.
        max_workers: How many threads there are for calls that are no coroutines. Default 10.
        use_batch_validation: False validates records one by one, for pipes that do not say.
        loop: A running event loop to use; it is never blocked. Default: one of the executor's own.
        chunksize: Records in a chunk, for pipes that do not say. Default: follows the time that chunks take.
        max_inflight: How many chunks may be read and not yet committed, for pipes that do not say. Default: 20, or
            twice the workers where that is more.

    Raises:
        OptionsError: A schema was given, which belongs to the pipe; or an option is wrong.
    """

    plugin = "asyncio"

    def __init__(
        self,
        schema_model: Any = None,
        *,
        concurrency: int | None = None,
        max_workers: int | None = None,
        use_batch_validation: bool | None = None,
        loop: AbstractEventLoop | None = None,
        chunksize: int | None = None,
        max_inflight: int | None = None,
    ) -> None:
        super().__init__(
            schema_model,
            concurrency=concurrency,
            max_workers=max_workers,
            use_batch_validation=use_batch_validation,
            loop=loop,
            chunk_size=chunksize,
            max_inflight=max_inflight,
        )
