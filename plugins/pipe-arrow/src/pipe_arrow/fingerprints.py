"""What tells whether files are still those that they were, without reading all of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from typing import Any, Final

from pipe_arrow.reading import reading_errors

_PRINTED: Final = 64 * 1024
"""Bytes of the beginning and of the end: what a file says of itself is there."""


def fingerprint_of(paths: Iterable[str]) -> dict[str, Any]:
    """Of each file its size, its time, and a hash of its beginning and its end. Raises `SourceError`."""
    return {path: _of_file(path) for path in map(os.path.abspath, paths)}


def _of_file(path: str) -> dict[str, Any]:
    with reading_errors(path), open(path, "rb") as file:
        facts = os.fstat(file.fileno())
        ends = hashlib.sha256(file.read(_PRINTED))
        file.seek(max(facts.st_size - _PRINTED, 0))
        ends.update(file.read(_PRINTED))
        return {"size": facts.st_size, "modified": facts.st_mtime_ns, "ends": ends.hexdigest()}
