"""Which machine this is: who finds a file that is shared can tell whether the locks on it mean anything."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

_BOOT: Final = "/proc/sys/kernel/random/boot_id"


def machine_names() -> frozenset[str]:
    """What is the same after a restart, and what is the same in all containers. Nothing where nobody knows."""
    names: set[str] = set()
    if sys.platform != "win32":
        names.add(os.uname().nodename)
    with suppress(OSError):
        names.add(Path(_BOOT).read_text("ascii").strip())
    return frozenset(names - {""})
