"""CPython's own tests of executors pass on ours."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from cpython_suite import cpython_tests

from pipe_asyncio import AsyncIOExecutor
from pipe_threads import ThreadExecutor

for executor in (ThreadExecutor, AsyncIOExecutor):
    globals().update(cpython_tests(executor))
