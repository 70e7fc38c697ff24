"""The executor ``loky``: calls in worker processes of this machine, which may die."""

from pipe_loky.executor import MultiProcessingExecutor as MultiProcessingExecutor
from pipe_loky.executor import MultiprocessingExecutor as MultiprocessingExecutor
from pipe_loky.plugin import LokyOptions as LokyOptions
