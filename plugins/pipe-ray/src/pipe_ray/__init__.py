"""The executor ``ray``: calls on a Ray cluster, or on one of this machine that is started for them."""

from pipe_ray.executor import RayExecutor as RayExecutor
from pipe_ray.plugin import RayOptions as RayOptions
