"""The codec msgpack passes the kit that other codecs have to pass, with and without compression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pipe_core.codecs.options import MsgpackOptions
from pipe_core.codecs.plugin import make_codec
from pipe_core.kernel.contracts import Codec
from pipe_core.testing.codecs import CodecConformance


class TestMsgpack(CodecConformance):
    codec = "msgpack"

    def make_codec(self) -> Codec:
        return make_codec(MsgpackOptions(**self.options))


class TestMsgpackWithLz4(TestMsgpack):
    options: ClassVar[Mapping[str, Any]] = {"compression": "lz4"}
