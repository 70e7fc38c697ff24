"""What runs on the workers."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from distributed import Worker, WorkerPlugin, get_worker

from pipe_core.runtime import beat, share, wire

CALL: Final = beat.WIDTH - 1
"""Where in its row a worker notes down the number of the call that it runs; 0 for none."""
_TURN: Final = beat.WIDTH - 2
"""Where in its row a worker notes down which of its name it is, counted from 1."""
ROWS: Final = 2
"""Rows of the board a worker."""

SENT: Final = b""
"""The result of a task whose call's answer is on its way already."""
_SMALL: Final = 4096
"""Bytes of an answer that goes with the news that its call has ended. The scheduler remembers a thousand of them."""


def run(number: int, frame: bytes, topic: str) -> bytes:
    """Run the call *number*, which *frame* holds. A small answer is published under *topic*.

    Nothing can be raised here: what the call raises is in its answer.
    """
    beat.begin()
    beat.row[CALL] = number  # on a cluster of ours this outlives the worker
    answer = wire.run_frame(frame)
    if len(answer) <= _SMALL:
        get_worker().log_event(topic, [number, answer])
        answer = SENT
    beat.row[CALL] = 0
    return answer


async def run_beside(frame: bytes, dask_worker: Worker) -> bytes:
    """Run *frame* where the calls run, before those that wait: Dask would run it in the worker's event loop."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(dask_worker.executors["default"], wire.run_frame, frame)


def forget(digests: list[str]) -> None:
    """Drop shared values: the worker lives on when their executor is shut down."""
    for digest in digests:
        share._pulled.pop(digest, None)


class Noting(WorkerPlugin):
    """Lets a worker of a cluster of ours note down what it runs.

    Each has two rows of the board. One that takes the place of a dead worker has its name, and takes the other row:
    what the dead one ran can be read as long as its successor lives.

    Args:
        board: The file, of `ROWS` rows a worker.
    """

    def __init__(self, board: str) -> None:
        self._board = board

    def setup(self, worker: Worker) -> None:
        """Called when the worker starts, before anything runs there."""
        numbers = range(ROWS * int(worker.name), ROWS * (int(worker.name) + 1))
        turns = {number: self._attached(number)[_TURN] for number in numbers}
        row = self._attached(min(numbers, key=turns.__getitem__))
        row[CALL] = 0
        row[_TURN] = max(turns.values()) + 1

    def _attached(self, number: int) -> Any:
        beat.attach(self._board, number)
        return beat.row
