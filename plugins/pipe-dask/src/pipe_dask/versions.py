"""What runs on a cluster is compared with what runs here, before any data moves."""

from __future__ import annotations

import platform
from typing import Any, Final

from pipe_core.runtime.handshake import compare, versions
from pipe_dask.connection import Connection

DISTRIBUTIONS: Final = ("pipe-dask", "distributed", "cloudpickle")
"""What must be the same on both sides, beside Python and pipe-core."""


def check(connection: Connection) -> None:
    """Make sure that the workers run what runs here, and that the scheduler has the same Python.

    Raises:
        VersionMismatchError: They do not; the message holds a table.
    """
    pythons = connection.ask(lambda client: client.run(platform.python_version, on_error="return"))
    scheduler = connection.ask(lambda client: client.run_on_scheduler(platform.python_version))
    answers = connection.ask(lambda client: client.run(versions, *DISTRIBUTIONS, on_error="return"))
    found = {address: _found(answer, pythons.get(address)) for address, answer in answers.items()}
    compare("dask", {"scheduler": {**versions(*DISTRIBUTIONS), "python": _short(scheduler)}, **found}, DISTRIBUTIONS)


def _found(answer: Any, python: Any) -> dict[str, str]:
    if isinstance(answer, dict):
        return answer
    return {"python": _short(python)}  # it cannot even import the function


def _short(python: Any) -> str:
    return ".".join(python.split(".")[:2]) if isinstance(python, str) else "unknown"
