"""The executor ``dask``: calls on a Dask cluster, or on one of this machine that is started for them."""

from pipe_dask.executor import DaskExecutor as DaskExecutor
from pipe_dask.plugin import DaskOptions as DaskOptions
