"""The codec `msgpack`: how values cross a process border and come back with equal value and equal types.

A value becomes nested flat msgpack arrays (`writer`, `containers`, `columns`, `scalars`, `moments`, `table`), these
become a checked and perhaps compressed frame (`frame`), and `reader` goes the way back under limits. Nothing is
unpickled and nothing is imported because a frame says so. Names are handed out lazily, so that importing the light
module `plugin` does not import msgpack or lz4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipe_core.codecs.codec import MsgpackCodec
    from pipe_core.codecs.options import MsgpackOptions
    from pipe_core.codecs.table import can_travel

__all__ = ["MsgpackCodec", "MsgpackOptions", "can_travel"]


def __getattr__(name: str) -> Any:
    if name == "MsgpackOptions":
        from pipe_core.codecs.options import MsgpackOptions

        return MsgpackOptions
    if name == "MsgpackCodec":
        from pipe_core.codecs.codec import MsgpackCodec

        return MsgpackCodec
    if name == "can_travel":
        from pipe_core.codecs.table import can_travel

        return can_travel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
