"""Files that are whole or not there, and outlive a loss of power."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pipe_core.runtime.failpoints import failpoint


def sync_folder(folder: str) -> None:
    """Make the names in *folder* durable."""
    if os.name == "nt":  # a folder cannot be opened there
        return
    number = os.open(folder or ".", os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write_whole(path: Path, data: bytes, *, durable: bool) -> None:
    """Put *data* at *path*, whole or not at all; if *durable*, on stable storage."""
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(staged, "xb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        failpoint("file.written")
        os.replace(staged, path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    failpoint("file.replaced")
    if durable:
        sync_folder(str(path.parent))
