"""The executors that core alone can make pass the kit."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

from pipe_core.testing import ExecutorConformance


class TestSync(ExecutorConformance):
    executor = "sync"


class TestAdoptedThreads(ExecutorConformance):
    executor = lambda: ThreadPoolExecutor(2)  # noqa: E731  # a factory


class TestAdoptedProcesses(ExecutorConformance):
    executor = lambda: ProcessPoolExecutor(2, mp_context=get_context("spawn"))  # noqa: E731  # a factory
