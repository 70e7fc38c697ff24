"""Orders on loky, guarded or not: ``protection_run.py SOURCE TARGET ERRORS WORKERS [--bare | --checkpoint SECONDS]``.

With ``--bare`` nothing is checked that is there to be safe. It does that by replacing functions, here and in every
worker before the run; there is no such setting. With ``--checkpoint`` the run is kept beside the target.
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
    source, target, errors, workers, *words = sys.argv[1:]
    kept: dict[str, Any] = {}
    if "--checkpoint" in words:
        kept = {"checkpoint": f"{target}.runs", "checkpoint_seconds": float(words[-1])}
    with get_executor("loky", max_workers=int(workers), prefetch=2) as executor:
        if "--bare" in words:
            strip_driver()
        # Also the guarded run asks its workers for something first, for both to be alike.
        stripped = executor.everywhere(strip_worker if "--bare" in words else bool)
        if [one.value for one in stripped] != ["--bare" in words] * int(workers):
            raise SystemExit(f"the workers are not as they should be: {stripped}")
        Pipe(source, target, schema=Order, errors=errors, executor=executor, mode="overwrite", **kept).run()
