"""A job: a call that the backend has taken, and where it runs."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Any

from pipe_core import Call


@dataclass(slots=True, eq=False)
class Job:
    """A call in a slot.

    Attributes:
        given_up: Nobody waits for its end any more, and another call may have its slot.
        task: Of a coroutine that has begun.
        counts: It is one of the coroutines of which there are so many at once.
        thread: Of any other call that has begun.
    """

    slot: int
    call: Call
    is_async: bool
    given_up: bool = False
    task: asyncio.Task[Any] | None = None
    counts: bool = False
    thread: threading.Thread | None = None
