"""The executors: which package each needs, and the same system without this project, as far as there is one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Final

from contenders import WORKERS, installed

PACKAGES: Final = {
    "sync": "pipe_core",
    "threads": "pipe_threads",
    "asyncio": "pipe_asyncio",
    "loky": "pipe_loky",
    "dask": "pipe_dask",
    "ray": "pipe_ray",
}
"""The executors and where they are."""
CHUNKS_AHEAD: Final = 2
"""The prefetch of a run: so many calls does a busy worker hold ready."""
Batch = Callable[[Callable[[], Any], int], Sequence[Any]]
"""Calls a function so many times and gives the results."""


def present(names: Iterable[str], without: Collection[str] = ()) -> list[str]:
    """Those of *names* that are installed and not to be left out."""
    return [name for name in names if name not in without and installed(PACKAGES[name])]


def absent(name: str) -> str:
    """Why an executor takes no part."""
    return "left out" if installed(PACKAGES[name]) else "not installed"


def options(name: str, workers: int = WORKERS) -> dict[str, int]:
    """The options by which an executor has so many workers."""
    return {} if name == "sync" else {"concurrency": workers} if name == "asyncio" else {"max_workers": workers}


def ours(name: str) -> tuple[Batch, Callable[[], None]]:
    """Batches on our executor, with calls held ready by the workers where there are such; and its end."""
    from pipe_core import get_executor

    ahead = {} if name in ("sync", "threads", "asyncio") else {"prefetch": CHUNKS_AHEAD}
    return _by_futures(get_executor(name, **options(name), **ahead))


def bare(name: str) -> tuple[Batch, Callable[[], None]]:
    """The same on the system itself."""
    return {"threads": _bare_threads, "loky": _bare_loky, "dask": _bare_dask, "ray": _bare_ray}[name]()


def _by_futures(executor: Executor) -> tuple[Batch, Callable[[], None]]:
    def batch(call: Callable[[], Any], count: int) -> Sequence[Any]:
        return [future.result() for future in [executor.submit(call) for _ in range(count)]]

    return batch, executor.shutdown


def _bare_threads() -> tuple[Batch, Callable[[], None]]:
    return _by_futures(ThreadPoolExecutor(WORKERS))


def _bare_loky() -> tuple[Batch, Callable[[], None]]:
    from loky import ProcessPoolExecutor

    return _by_futures(ProcessPoolExecutor(WORKERS))


def _bare_dask() -> tuple[Batch, Callable[[], None]]:
    from distributed import Client

    client = Client(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None)

    def batch(call: Callable[[], Any], count: int) -> Sequence[Any]:
        # Dask takes calls that look alike for one call, unless it is told that they are not pure.
        results: Sequence[Any] = client.gather([client.submit(call, pure=False) for _ in range(count)])
        return results

    return batch, client.shutdown


def _bare_ray() -> tuple[Batch, Callable[[], None]]:
    import logging

    import ray

    ray.init(
        address="local", num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
    )

    def batch(call: Callable[[], Any], count: int) -> Sequence[Any]:
        remote = ray.remote(call)
        results: Sequence[Any] = ray.get([remote.remote() for _ in range(count)])
        return results

    return batch, ray.shutdown
