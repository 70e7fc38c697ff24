from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from pipe_core.runs import folder as folders
from pipe_core.runs import lease as leases
from pipe_core.runs.errors import RunLockedError
from pipe_core.runs.folder import RunFolder


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("place", ["epoch", "lock"])
def test_a_disk_without_room_leaves_nobody_locked_out(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, lease = RunFolder.new(tmp_path)
    lease.release()
    with monkeypatch.context() as patched:
        if place == "epoch":
            patched.setattr(folders, "write_whole", full)
        else:
            patched.setattr(leases.os, "pwrite", full)
        with pytest.raises(OSError, match="No space left"):
            RunFolder.take_up(tmp_path, begun.run)
    taken, again = RunFolder.take_up(tmp_path, begun.run)

    assert taken.epoch > begun.epoch
    with pytest.raises(RunLockedError):
        RunFolder.take_up(tmp_path, begun.run)
    again.release()
