"""The spool: shared bytes in a private folder, for workers on the same machine."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import Final

from pipe_core.runtime.left_behind import own, remove_left_behind

_PREFIX: Final = "pipe-"


class Spool:
    """A folder of ours alone, made when it is first needed and removed by `close`.

    One that was never closed, since its process was killed, is removed when the next one is made in its place.

    Args:
        place: Where it is made; default: where temporary files are.
    """

    def __init__(self, place: Path | None = None) -> None:
        self._place = place
        self._folder: Path | None = None
        self._owned: int | None = None
        self._lock = threading.Lock()

    @property
    def folder(self) -> Path:
        """The folder, readable by nobody else."""
        with self._lock:
            if self._folder is None:
                place = self._place or Path(tempfile.gettempdir())
                remove_left_behind(place, _PREFIX)
                self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
                self._owned = own(self._folder)
            return self._folder

    def put(self, digest: str, data: bytes) -> partial[bytes]:
        """Keep *data* under *digest*; the result pulls it in any process of this machine."""
        target = self.folder / digest
        with self._lock:
            if not target.exists():
                staged = target.with_suffix(".part")
                staged.write_bytes(data)
                os.replace(staged, target)
        return partial(pull, str(target.parent))

    def close(self) -> None:
        """Remove the folder and all in it."""
        with self._lock:
            folder, self._folder = self._folder, None
            owned, self._owned = self._owned, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if owned is not None:
            os.close(owned)


def pull(folder: str, digest: str) -> bytes:
    """The bytes under *digest*, on a worker."""
    return (Path(folder) / digest).read_bytes()
