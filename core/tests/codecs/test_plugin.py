from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from pipe_core.codecs import plugin
from pipe_core.codecs.options import MsgpackOptions
from pipe_core.kernel.contracts import Codec
from pipe_core.kernel.specs import CodecSpec


def test_the_spec_describes_the_codec() -> None:
    spec = plugin.pipe_codec("msgpack")
    assert isinstance(spec, CodecSpec)
    assert spec.options is MsgpackOptions
    assert isinstance(spec.factory(spec.options()), Codec)


def test_other_names_are_none_of_its_business() -> None:
    assert plugin.pipe_codec("json") is None


def test_importing_the_plugin_imports_neither_msgpack_nor_lz4() -> None:
    code = "import sys, pipe_core.codecs.plugin; print(sorted({'msgpack', 'lz4', 'lz4.frame'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


@pytest.mark.parametrize(
    "options", [{"compresion": "lz4"}, {"compression": "zip"}, {"max_depth": 0}, {"max_depth": 1000}]
)
def test_wrong_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MsgpackOptions.model_validate(options)


def test_options_are_frozen() -> None:
    with pytest.raises(ValidationError):
        MsgpackOptions().max_depth = 3  # type: ignore[misc]  # wrong on purpose
