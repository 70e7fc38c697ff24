"""The codec msgpack passes the kit that other codecs have to pass, with and without compression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pipe_core.testing.codecs import CodecConformance


class TestMsgpack(CodecConformance):
    codec = "msgpack"


class TestMsgpackWithLz4(CodecConformance):
    codec = "msgpack"
    options: ClassVar[Mapping[str, Any]] = {"compression": "lz4"}
    examples = 50
