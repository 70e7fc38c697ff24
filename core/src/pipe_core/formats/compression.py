"""Compression by the last suffix of a path: ``.gz``, ``.lz4``, ``.zst``."""

from __future__ import annotations

import gzip
import importlib
import sys
from typing import Any, BinaryIO, Final, cast

from pipe_core.kernel.errors import OptionsError

SUFFIXES: Final = (".gz", ".lz4", ".zst")


def compression_of(path: str) -> str | None:
    """The suffix of *path* that means a compression, or None."""
    return next((suffix for suffix in SUFFIXES if path.lower().endswith(suffix)), None)


def decompressed(raw: BinaryIO, suffix: str) -> BinaryIO:
    """A stream of what is compressed in *raw*. It raises odd exceptions for damaged data: wrap its reads."""
    if suffix == ".gz":
        return cast("BinaryIO", gzip.GzipFile(fileobj=raw, mode="rb"))
    if suffix == ".lz4":
        import lz4.frame

        return cast("BinaryIO", lz4.frame.LZ4FrameFile(raw, mode="rb"))
    return cast("BinaryIO", _zstd().ZstdFile(raw, mode="rb"))


def compressing(raw: BinaryIO, suffix: str) -> BinaryIO:
    """A stream that compresses into *raw*. The bytes depend on what is written alone, not on name or time."""
    if suffix == ".gz":
        return cast("BinaryIO", gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0))
    if suffix == ".lz4":
        import lz4.frame

        return cast("BinaryIO", lz4.frame.LZ4FrameFile(raw, mode="wb", content_checksum=True))
    return cast("BinaryIO", _zstd().ZstdFile(raw, mode="wb"))


def _zstd() -> Any:
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise OptionsError(
            "A path ends in .zst, and this Python has no zstd. Install it with: pip install 'pipe-core[zstd]'",
            problems={"path": f"no module {name}"},
        ) from error
