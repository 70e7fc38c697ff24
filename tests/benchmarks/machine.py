"""The machine and the versions that figures were measured with: without them they say nothing."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import psutil

_PACKAGES: Final = (
    "pipe-core",
    "pydantic",
    "pydantic-core",
    "msgpack",
    "lz4",
    "loky",
    "distributed",
    "ray",
    "zoopipe",
    "pyferris",
    "lionpride",
    "pipefunc",
    "hypernodes",
    "apache-hamilton",
)


def described() -> dict[str, str]:
    """What a reader must know, by name."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "processor": f"{_processor()}, {len(psutil.Process().cpu_affinity() or ()) or os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        **{name: _version(name) for name in _PACKAGES},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
