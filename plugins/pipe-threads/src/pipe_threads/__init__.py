"""The executor ``threads``: calls in threads of the same process, for work that waits."""

from pipe_threads.executor import ThreadExecutor as ThreadExecutor
from pipe_threads.plugin import ThreadsOptions as ThreadsOptions
