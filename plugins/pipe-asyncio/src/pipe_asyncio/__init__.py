"""The executor ``asyncio``: coroutines on one event loop, other calls in threads beside it."""

from pipe_asyncio.executor import AsyncIOExecutor as AsyncIOExecutor
from pipe_asyncio.plugin import AsyncIOOptions as AsyncIOOptions
