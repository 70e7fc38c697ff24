"""Compression by the last suffix of a path or URL: ``.gz``, ``.lz4``, ``.zst``."""

from __future__ import annotations

import gzip
import importlib
import io
import sys
from typing import Any, BinaryIO, Final, cast

from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.urls import without_query

SUFFIXES: Final = (".gz", ".lz4", ".zst")
_PIECE: Final = 1 << 20


def compression_of(path: str) -> str | None:
    """The suffix of a path or URL that means a compression, or None.

    Raises:
        OptionsError: What the compression needs is not installed.
    """
    name = without_query(path).lower()
    found = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)
    if found == ".zst":
        _zstd()
    return found


class Decompressed:
    """What is compressed in another stream. For damaged data it raises OSError, whatever the library raises."""

    def __init__(self, raw: BinaryIO, suffix: str) -> None:
        self._suffix = suffix
        self._stream = _decompressing(raw, suffix)

    def read(self, size: int, /) -> bytes:
        """At most *size* bytes, as soon as there are some; none at the end."""
        try:
            data: bytes = self._stream.read1(size)
        except OSError:
            raise
        except Exception as error:  # EOFError, zlib.error, RuntimeError, ZstdError
            raise OSError(f"its {self._suffix} data is damaged or cut off: {error}") from error
        return data

    def close(self) -> None:
        """Close it, but not the stream below."""
        self._stream.close()


def _decompressing(raw: BinaryIO, suffix: str) -> Any:
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=raw, mode="rb")
    if suffix == ".lz4":
        import lz4.frame

        return lz4.frame.LZ4FrameFile(raw, mode="rb")
    return _zstd().ZstdFile(raw, mode="rb")


def compressing(raw: BinaryIO, suffix: str) -> BinaryIO:
    """A stream that compresses into *raw*. The bytes depend on what is written alone, not on name or time."""
    if suffix == ".gz":
        return cast("BinaryIO", gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0))
    if suffix == ".lz4":
        import lz4.frame

        return cast("BinaryIO", _Even(lz4.frame.LZ4FrameFile(raw, mode="wb", content_checksum=True)))
    zstd = _zstd()
    checked = {zstd.CompressionParameter.checksum_flag: 1}  # else a damaged file would be read as other text
    return cast("BinaryIO", _Even(zstd.ZstdFile(raw, mode="wb", options=checked)))


class _Even(io.RawIOBase):
    """Hands on pieces of one size: what lz4 and zstd make of data depends on where a write ends."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._left = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        left = self._left
        left += data
        if len(left) >= _PIECE:
            end = len(left) - len(left) % _PIECE
            with memoryview(left) as view:
                for begin in range(0, end, _PIECE):
                    self._stream.write(view[begin : begin + _PIECE])
            del left[:end]
        return len(data)

    def flush(self) -> None:
        if self.closed:
            return
        self._stream.write(bytes(self._left))
        self._left.clear()
        self._stream.flush()

    def close(self) -> None:
        if not self.closed:
            try:
                super().close()  # which flushes
            finally:
                self._stream.close()


def _zstd() -> Any:
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise OptionsError(
            "A path ends in .zst, and this Python has no zstd. Install it with: pip install 'pipe-core[zstd]'",
            problems={"path": f"no module {name}"},
        ) from error
