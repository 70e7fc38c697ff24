"""Orders on loky, guarded or not: ``protection_run.py SOURCE TARGET ERRORS WORKERS [--bare]``.

With ``--bare`` nothing is checked that is there to be safe. It does that by replacing functions, here and in every
worker before the run; there is no such setting.
"""

import sys
import zlib
from array import array
from typing import Any

from schema import Order

from pipe_core import Pipe, get_executor
from pipe_core.records.commit import Commit
from pipe_core.runtime import beat


def no_checksum(data: Any, value: int = 0) -> int:
    """The same for all data."""
    return 0


def no_beat() -> None:
    """Do not note that a call begins."""


def strip_driver() -> None:
    """No checksums of what travels, and no look at the borders of splits."""
    zlib.crc32 = no_checksum
    Commit._check_border = lambda self, result: None  # type: ignore[method-assign]  # what it costs is measured


def strip_worker() -> bool:
    """No checksums, and notes go where nobody reads them, which leaves some stores to memory a batch of records."""
    zlib.crc32 = no_checksum
    beat.begin = no_beat
    beat.row = array("d", [0.0] * beat.WIDTH)
    return zlib.crc32(b"x") == 0


if __name__ == "__main__":
    source, target, errors, workers = sys.argv[1:5]
    with get_executor("loky", max_workers=int(workers), prefetch=2) as executor:
        if "--bare" in sys.argv:
            strip_driver()
        # Also the guarded run asks its workers for something first, for both to be alike.
        stripped = executor.everywhere(strip_worker if "--bare" in sys.argv else bool)
        if [one.value for one in stripped] != ["--bare" in sys.argv] * int(workers):
            raise SystemExit(f"the workers are not as they should be: {stripped}")
        Pipe(source, target, schema=Order, errors=errors, executor=executor, mode="overwrite").run()
