"""Two names of a file system that change places at once."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from typing import Final

_HERE: Final = -100  # AT_FDCWD
_EXCHANGE: Final = 2  # RENAME_EXCHANGE


def exchange(new: str, target: str, *, beside: str) -> None:
    """Put *new* in the place of *target*, which goes to *beside*.

    On Linux both happen at once where the file system can do that; elsewhere *target* is missing for a moment.
    """
    if _exchanged(new, target):
        os.rename(new, beside)
        return
    os.rename(target, beside)
    try:
        os.rename(new, target)
    except OSError:
        os.rename(beside, target)
        raise


def _exchanged(one: str, other: str) -> bool:
    """Whether the system did it. Raises OSError when it could have and may not."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if call is None:
        return False
    if call(_HERE, os.fsencode(one), _HERE, os.fsencode(other), ctypes.c_uint(_EXCHANGE)) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):  # not by this kernel, or not on this file system
        return False
    raise OSError(number, os.strerror(number), other)
