"""The plugin module of the codec `msgpack`: light, because the kernel imports it to learn what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipe_core.codecs.options import MsgpackOptions
from pipe_core.kernel.hookspecs import hookimpl
from pipe_core.kernel.specs import CodecSpec

if TYPE_CHECKING:
    from pipe_core.codecs.codec import MsgpackCodec


def make_codec(options: MsgpackOptions) -> MsgpackCodec:
    """A codec with an empty table of types; `MsgpackCodec.with_types` gives one that knows a program's classes."""
    from pipe_core.codecs.codec import MsgpackCodec

    return MsgpackCodec(options)


@hookimpl
def pipe_codec(name: str) -> CodecSpec | None:
    """Describe the codec `msgpack`."""
    if name != "msgpack":
        return None
    return CodecSpec(make_codec, MsgpackOptions, "msgpack with every Python type kept, checked frames and lz4")
