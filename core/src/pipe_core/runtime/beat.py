"""The beat: what a worker process notes down where its driver can read it after its death.

Each worker has a row of a few numbers. Until somebody attaches it to memory that others see, it is a plain array, so
that noting something down costs the same few nanoseconds everywhere.
"""

from __future__ import annotations

import mmap
from array import array
from pathlib import Path
from typing import Final

STARTED: Final = 0
"""How many calls the worker has begun."""
AT: Final = 1
"""What the call that runs has come to, for example the first record of the batch in work; -1 at its beginning."""
HOOK: Final = 2
"""The number of the hook that runs, from 1 on; 0 for none."""
WIDTH: Final = 8
"""Numbers a row."""
_BYTES: Final = WIDTH * 8

row: array[float] | memoryview[float] = array("d", [0.0] * WIDTH)
"""The row of this process. Look it up in the module each time: `attach` puts another one in its place."""


def begin() -> None:
    """A call begins."""
    row[AT] = -1.0
    row[HOOK] = 0.0
    row[STARTED] += 1


class Board:
    """The rows of many workers in one file. Made by the driver, read when a worker has died.

    Args:
        path: The file.
        rows: How many workers there are.
    """

    def __init__(self, path: Path, rows: int) -> None:
        self.path = path
        path.write_bytes(bytes(_BYTES * rows))
        self._numbers, self._memory = _mapped(path)

    def clear(self, number: int) -> None:
        """A new worker takes the row."""
        self._numbers[number * WIDTH : (number + 1) * WIDTH] = array("d", [0.0] * WIDTH)

    def read(self, number: int) -> list[float]:
        """What the worker noted last."""
        return list(self._numbers[number * WIDTH : (number + 1) * WIDTH])

    def close(self) -> None:
        """Forget the file."""
        self._numbers.release()
        self._memory.close()


def attach(path: str, number: int) -> None:
    """Let this process note down in row *number* of the board at *path* from now on."""
    global row  # one a process
    numbers, _ = _mapped(Path(path))
    row = numbers[number * WIDTH : (number + 1) * WIDTH]


def _mapped(path: Path) -> tuple[memoryview[float], mmap.mmap]:
    with path.open("r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    return memoryview(memory).cast("d"), memory
