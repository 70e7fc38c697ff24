"""The options of the codec `msgpack`."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

MEBIBYTE: Final = 1024 * 1024


class MsgpackOptions(BaseModel):
    """Compression and limits. What `decode` would refuse because of a limit, `encode` refuses as well.

    Attributes:
        compression: ``"lz4"`` compresses every frame that gets smaller by it.
        max_frame_bytes: The longest frame, header included. 64 MiB.
        max_decoded_bytes: The longest payload once it is decompressed, and the most bytes of nested payload that
            are held while a frame is decoded. 256 MiB.
        max_ratio: How many times longer than its compressed bytes a payload may say it is. lz4 reaches 255.
        max_depth: How deep lists, dicts and objects may be nested. Python's own recursion limit is 1,000, and one
            level takes three calls.
        max_containers: How many lists, dicts, rows and objects a frame may hold. Each takes 1 byte of a hostile
            frame and about 100 bytes of memory.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    compression: Literal["lz4"] | None = None
    max_frame_bytes: int = Field(default=64 * MEBIBYTE, gt=0)
    max_decoded_bytes: int = Field(default=256 * MEBIBYTE, gt=0)
    max_ratio: int = Field(default=1000, gt=0)
    max_depth: int = Field(default=64, gt=0, le=200)
    max_containers: int = Field(default=4_000_000, gt=0)
